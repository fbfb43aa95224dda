"""Every error that the engine raises on purpose.

    BanditsError
    ├── UsageError            the caller asked for something that cannot be: exit status 2
    │   ├── UnknownName       no agent, environment or experiment of that name
    │   ├── BadParameter      a parameter's name, type or value is wrong
    │   ├── UnsupportedProblem  this agent cannot play this environment
    │   ├── PluginError       a plug-in file is missing or does not load
    │   ├── RunFolderError    a run folder is missing, foreign, unreadable or not writable
    │   │   └── DamagedPart   a log file of a run is truncated or was changed
    │   └── NotLogged         a run does not hold what a table or figure needs
    ├── StoreError            a run folder could not be written to in the middle of a run: exit status 1
    └── PlayError             an agent or environment broke while it played: exit status 1

Messages say what was wrong (with the value), what was expected, and what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "BadParameter",
    "BanditsError",
    "DamagedPart",
    "NotLogged",
    "PlayError",
    "PluginError",
    "RunFolderError",
    "StoreError",
    "UnknownName",
    "UnsupportedProblem",
    "UsageError",
    "did_you_mean",
    "in_one_line",
]


class BanditsError(Exception):
    """Root of everything that the engine raises on purpose."""


class UsageError(BanditsError):
    """The request itself is wrong; the command line answers with exit status 2."""


class UnknownName(UsageError):
    """No agent, environment or experiment is registered under the name."""


class BadParameter(UsageError, ValueError):
    """A parameter of an agent, environment or experiment has a wrong name, type or value."""


class UnsupportedProblem(UsageError):
    """The agent cannot play the environment, for instance because it needs rewards in [0, 1]."""


class PluginError(UsageError):
    """A plug-in file does not exist, or raised while it was loaded."""


class RunFolderError(UsageError):
    """A run folder is missing, foreign, unreadable or not writable."""


class DamagedPart(RunFolderError):
    """A log file of a run is truncated, was changed, or is not what its name says.

    Args:
        place: Run folder.
        path: The file in it.
        reason: What is wrong.
        inside: Whether its end says that it is whole, so that `resume`, which reads no more of it, would keep it.
    """

    def __init__(self, place: str, path: str, reason: str, *, inside: bool = False) -> None:
        super().__init__(
            f"{place}/{path} is damaged ({reason}): {'remove it, then ' if inside else ''}'bandits resume {place}' "
            "plays its replications again; "
            "--skip-damaged (in Python: load(..., skip_damaged=True)) goes on without them"
        )
        self.path = path


class NotLogged(UsageError):
    """A run does not hold what a table or figure needs, for instance because pulls were not recorded."""


class StoreError(BanditsError):
    """A file of a run could not be written, for instance because the disk is full."""


class PlayError(BanditsError):
    """An agent or an environment broke while it played."""

    def __init__(self, message: str, *, t: int | None = None) -> None:
        super().__init__(message)
        self.t = t


def in_one_line(error: BaseException, limit: int = 300) -> str:
    """Type and message of an exception on one line, without the terminal colours that compilers add."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Failed in nopython mode"):
        lines = lines[1:]  # numba's preamble
    text = " | ".join(lines)
    return f"{type(error).__name__}: {text if len(text) <= limit else text[:limit] + ' ...'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'ucb1'?" for the nearest known name, or an empty string."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""
