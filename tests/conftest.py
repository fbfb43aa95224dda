"""Shared helpers: the command line called in this process, and plug-in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bandits import registry
from bandits.cli import main


@pytest.fixture(autouse=True)
def plugins_stay_in_their_test(monkeypatch):
    """Plug-ins that a test loads are forgotten afterwards."""
    monkeypatch.setattr(registry, "_plugins", {})
    for kind in ("agent", "environment", "experiment"):
        registry.load_builtin(kind)
    monkeypatch.setattr(registry, "_entries", {kind: dict(found) for kind, found in registry._entries.items()})


@dataclass
class Answer:
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.strip().splitlines()[-1])


@pytest.fixture
def bandits(capsys, tmp_path, monkeypatch) -> Callable[..., Answer]:
    """Call ``bandits ...`` in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return Answer(int(exit_.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def plugin(tmp_path) -> Callable[[str], Path]:
    """Write a Python file and return its path."""

    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
