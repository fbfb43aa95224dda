"""What the README says there is, is there; its snippets are run by test_documents.py."""

from __future__ import annotations

import re
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


def test_every_agent_and_experiment_is_in_the_readme():
    from bandits.registry import entries

    for kind in ("agent", "environment", "experiment"):
        for entry in entries(kind):
            assert f"`{entry.name}`" in README, entry.name
