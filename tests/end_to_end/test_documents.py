"""README.md and docs/: what they say can be run runs, what they show is printed, and where they link to exists."""

from __future__ import annotations

import re
from pathlib import Path

import docstrings
import make_reference
import pytest
import snippets

every_document = pytest.mark.parametrize(
    "document", snippets.DOCUMENTS, ids=lambda path: str(path.relative_to(snippets.ROOT))
)

SMALLER = {  # what the README's commands do in minutes, in seconds
    snippets.ROOT / "README.md": {
        "bandits run quickstart": "bandits run quickstart --smoke",
        "--horizon 20000": "--horizon 1000",
        "--horizon 10000 --replications 200": "--horizon 300 --replications 4",
        "bandits run side_observations_quick": "bandits run side_observations_quick --smoke",
        "--workers 8": "--workers 1",
        "--replications 5000": "--replications 25",
        "--max-replications 6400": "--max-replications 50",
        "--max-replications 25600": "--max-replications 100",
    }
}


@every_document
def test_every_snippet_runs_and_prints_what_stands_below_it(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    reader = snippets.Reader(document, tmp_path, SMALLER.get(document, {}))
    try:
        for block, printed in reader.follow():
            assert printed or "print(" not in block.text or block.file, f"{document.name}:{block.line} printed nothing"
            if block.expected is not None:
                assert snippets.matches(block.expected, printed), f"{document.name}:{block.line} printed\n{printed}"
    finally:
        snippets.take_local_modules()
    assert reader.used == set(reader.smaller)


def test_the_matcher_sees_another_number_and_forgives_another_speed():
    table = "agent  mean   M run-steps/s\n ────\n ucb1   12.3   4.56\nrun results/x (0.1 s)\n"
    assert snippets.matches(table, table.replace("4.56", "7.8").replace("0.1 s", "2.5 s").replace("────", "──────"))
    assert not snippets.matches(table, table.replace("12.3", "12.4"))
    assert not snippets.matches(table, table + "one line more\n")
    assert snippets.matches("a ... c\n", "a b c\n")
    assert not snippets.matches("a ... c\n", "a b d\n")


def test_the_reference_is_what_the_docstrings_say():
    """Else: `make docs`, and commit what it writes."""
    written = {path.name: path.read_text() for path in make_reference.REFERENCE.glob("*")}
    made = make_reference.pages()
    assert set(written) == set(made)
    stale = [name for name in made if written[name] != made[name]]
    assert not stale, f"docs/reference/ is out of date, run 'make docs': {', '.join(stale)}"


def test_every_parameter_in_the_reference_says_what_it_means():
    for kind in ("agent", "environment"):
        page = make_reference.pages()[f"{kind}s.md"]
        assert not re.findall(r"^\| `\w+` .*\|\s*\|$", page, flags=re.M)


PAGES = [*snippets.DOCUMENTS, *sorted(make_reference.REFERENCE.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`(?!\])", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            place = (page.parent / path).resolve() if path else page
            assert place.exists(), target
            assert not anchor or anchor in anchors(place), target


def anchors(page: Path) -> set[str]:
    """Links to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), flags=re.M)
    return {docstrings.anchor(heading) for heading in headings}
