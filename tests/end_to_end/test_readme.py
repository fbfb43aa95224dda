"""What the README says can be run, runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.S)


def block(containing: str) -> str:
    (found,) = [text for text in PYTHON if containing in text]
    return found


def test_the_readme_opens_with_its_two_commands():
    first = re.search(r"```sh\n(.*?)```", README, flags=re.S).group(1)
    assert re.findall(r"^make (\w+)", first, flags=re.M) == ["quickstart", "test"]


def test_twelve_lines_lead_to_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(block("save_regret(run.place)"), "README", "exec"), {"__name__": "__main__"})
    assert "thompson_beta" in capsys.readouterr().out
    assert len(list(tmp_path.glob("results/first-*/figures/regret.png"))) == 1


def test_the_agent_runs_as_a_plug_in_and_the_log_is_read_three_ways(bandits, plugin, capsys):
    path = plugin(block('@register_agent("my_agent"'), "my_agent.py")
    size = ("--horizon", 200, "--replications", 20, "--backend", "serial")
    ran = bandits("run", "quickstart", "--plugin", path, "--agent", "my_agent", "--out", "RUN", *size)
    assert ran.code == 0, ran.err
    assert "my_agent" in ran.out
    for library in ("import pandas", "import duckdb", "import polars"):
        exec(compile(block(library), "README", "exec"), {})
        assert "bernoulli" in capsys.readouterr().out
    exec(compile(block('bandits.load("RUN")'), "README", "exec"), {})
    assert "bound_slope" in capsys.readouterr().out


def test_the_sweep_has_every_combination(capsys):
    exec(compile(block(".sweep("), "README", "exec"), {})
    assert capsys.readouterr().out == "12 cells\n"


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
