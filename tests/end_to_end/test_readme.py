"""What the README says there is, is there; its snippets are run by test_documents.py."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_readme_opens_with_its_two_commands():
    first = re.search(r"```sh\n(.*?)```", README, flags=re.S).group(1)
    assert re.findall(r"^make (\w+)", first, flags=re.M) == ["quickstart", "test"]


COMMANDS = re.search(r"\| command \| does \|\n(.*?)\n\n", README, flags=re.S).group(1)


@pytest.mark.parametrize("command", re.findall(r"^\| `(\w+)", COMMANDS, flags=re.M))
def test_every_command_of_the_table_explains_itself_with_an_example(bandits, command):
    answer = bandits(command, "--help")
    assert answer.code == 0
    assert f"Example: bandits {command}" in " ".join(answer.out.split())


GALLERY = re.search(r"^## Gallery\n(.*?)^## ", README, flags=re.S | re.M).group(1)


def test_the_gallery_has_three_small_figures_each_with_its_commands():
    figures = re.findall(r"^!\[[^]]+\]\((\S+)\)$", GALLERY, flags=re.M)
    commands = re.findall(r"```sh\n(.*?)```", GALLERY, flags=re.S)
    assert len(figures) == len(commands) == 3
    for figure, command in zip(figures, commands, strict=True):
        assert command.rstrip().endswith(f"--out {figure}")
        assert 1000 < (Path(__file__).parents[2] / figure).stat().st_size < 200_000
    assert len(list((Path(__file__).parents[2] / "docs/figures").iterdir())) == 3


@pytest.mark.parametrize("commands", re.findall(r"```sh\n(.*?)```", GALLERY, flags=re.S))
def test_the_commands_of_the_gallery_draw_their_figure_at_a_small_size(bandits, tmp_path, commands):
    run, plot = (shlex.split(line)[1:] for line in commands.strip().splitlines())
    small = ("--horizon", 300, "--replications", 4, "--backend", "serial", "--quiet")
    assert (ran := bandits(*run, *small)).code == 0, ran.err
    assert (drawn := bandits(*plot)).code == 0, drawn.err
    new, kept = (root / plot[-1] for root in (tmp_path, Path(__file__).parents[2]))
    assert titles(new) == titles(kept), "the same panels and agents as in the figure that the README shows"


def titles(svg: Path) -> list[str]:
    """Labels that begin with the name of an agent or environment; matplotlib writes every text as a comment, too."""
    from bandits.registry import entries

    known = {entry.name for kind in ("agent", "environment") for entry in entries(kind)}
    texts = re.findall(r"<!-- (.*?) -->", svg.read_text())
    return [text for text in texts if re.split(r"\W", text)[0] in known]


def test_every_agent_and_experiment_is_in_the_readme():
    from bandits.registry import entries

    for kind in ("agent", "environment", "experiment"):
        for entry in entries(kind):
            assert f"`{entry.name}`" in README, entry.name
