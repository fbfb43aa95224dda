"""What the README says can be run, runs."""

from __future__ import annotations

import re
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


def test_every_agent_and_experiment_is_in_the_readme():
    from bandits.registry import entries

    for kind in ("agent", "environment", "experiment"):
        for entry in entries(kind):
            assert f"`{entry.name}`" in README, entry.name
