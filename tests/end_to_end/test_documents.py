"""README.md and docs/: what they say can be run runs, what they show is printed, and where they link to exists."""

from __future__ import annotations

import pytest
import snippets

every_document = pytest.mark.parametrize("document", snippets.DOCUMENTS, ids=lambda path: path.name)

SMALLER = {  # what the README's commands do in minutes, in seconds
    "README.md": {
        "bandits run quickstart": "bandits run quickstart --smoke",
        "--horizon 20000": "--horizon 1000",
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
    reader = snippets.Reader(document, tmp_path, SMALLER.get(document.name, {}))
    try:
        for block, printed in reader.follow():
            if block.expected is not None:
                assert snippets.matches(block.expected, printed), f"{document.name}:{block.line} printed\n{printed}"
    finally:
        snippets.take_local_modules()
    assert reader.used == set(reader.smaller)
