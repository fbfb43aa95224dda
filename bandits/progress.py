"""What a user sees on stderr while a run goes on: a bar per cell on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, TextIO

from . import words

__all__ = ["PlainProgress", "Progress", "RichProgress", "SilentProgress", "make_progress"]


class Progress(Protocol):
    """Told by the scheduler what happens."""

    def add(self, key: str, label: str, total: int, done: int) -> None:
        """A job exists, with so many replications, so many of them finished before."""

    def say(self, text: str) -> None:
        """Something worth one line."""

    def advance(self, key: str, count: int, seconds: float) -> None:
        """So many more replications of a job are finished, in so many worker seconds."""

    def fail(self, key: str, text: str) -> None:
        """A job failed."""

    def close(self) -> None:
        """The run is over."""


class SilentProgress:
    """Says nothing."""

    def add(self, key: str, label: str, total: int, done: int) -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def advance(self, key: str, count: int, seconds: float) -> None:
        """Say nothing."""

    def fail(self, key: str, text: str) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


class PlainProgress:
    """One line when a cell is finished or has failed, and one every few seconds in between.

    Args:
        stream: Where to write.
        horizon: Rounds per replication, for the rate in run-steps per second; None tells seconds per replication.
        pause: Seconds between two lines about cells in progress.
    """

    def __init__(self, stream: TextIO, horizon: int | None, pause: float = 10.0) -> None:
        self._stream, self._horizon, self._pause = stream, horizon, pause
        self._cells: dict[str, list[Any]] = {}  # label, total, done, seconds, replications of this run
        self._finished = 0
        self._last = self._start = time.monotonic()

    def add(self, key: str, label: str, total: int, done: int) -> None:
        """Remember a cell."""
        self._cells[key] = [label, total, done, 0.0, 0]
        self._finished += done >= total

    def say(self, text: str) -> None:
        """Write one line."""
        print(text, file=self._stream, flush=True)

    def advance(self, key: str, count: int, seconds: float) -> None:
        """Write a line if the cell is finished, or if nothing was said for a while."""
        cell = self._cells[key]
        cell[2] += count
        cell[3] += seconds
        cell[4] += count
        label, total, done, spent, played = cell
        rate = _rate(played, spent, self._horizon) + (" per core" if self._horizon else "")
        if done >= total:
            self._finished += 1
            self.say(f"[{self._finished}/{len(self._cells)}] {label}: {words.count(total, 'replication')}, {rate}")
            self._last = time.monotonic()
        elif time.monotonic() - self._last > self._pause:
            self.say(f"  {label}: {done}/{total} replications, {rate}, {self._remaining()}")
            self._last = time.monotonic()

    def fail(self, key: str, text: str) -> None:
        """Write the failure."""
        self.say(text)

    def close(self) -> None:
        """Nothing to tidy up."""

    def _remaining(self) -> str:
        share = sum(cell[2] / cell[1] for cell in self._cells.values()) / len(self._cells)
        left = (time.monotonic() - self._start) * (1 - share) / max(share, 1e-9)
        return f"about {left:.0f} s left"


class RichProgress:
    """A bar per cell with rate and time left; finished cells give way when there are many.

    Args:
        stream: The terminal.
        horizon: Rounds per replication; None tells seconds per replication.
    """

    MOST_BARS = 20

    def __init__(self, stream: TextIO, horizon: int | None) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._horizon, self._escape = horizon, escape
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=stream),
        )
        self._ids: dict[str, Any] = {}
        self._spent: dict[str, tuple[float, int]] = {}

    def add(self, key: str, label: str, total: int, done: int) -> None:
        """Add a bar."""
        self._bars.start()
        visible = len(self._ids) < self.MOST_BARS and done < total
        self._ids[key] = self._bars.add_task(self._escape(label), total=total, completed=done, rate="", visible=visible)

    def say(self, text: str) -> None:
        """Write one line above the bars."""
        self._bars.console.print(text, style="dim", markup=False, highlight=False)

    def advance(self, key: str, count: int, seconds: float) -> None:
        """Move a bar."""
        spent, played = self._spent.get(key, (0.0, 0))
        self._spent[key] = spent, played = spent + seconds, played + count
        rate = _rate(played, spent, self._horizon)
        self._bars.update(self._ids[key], advance=count, rate=rate, visible=True)
        shown = [task for task in self._bars.tasks if task.visible]
        if len(shown) > self.MOST_BARS:
            finished = next((task for task in shown if task.finished), None)
            if finished is not None:
                self._bars.update(finished.id, visible=False)

    def fail(self, key: str, text: str) -> None:
        """Write the failure above the bars."""
        self._bars.console.print(text, style="red", markup=False, highlight=False)
        self._bars.update(self._ids[key], rate="failed")

    def close(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()


def _rate(played: int, spent: float, horizon: int | None) -> str:
    if horizon is None:
        return f"{spent / max(played, 1):.3g} s per replication"
    return f"{played * horizon / max(spent, 1e-9) / 1e6:.1f} M run-steps/s"


def make_progress(horizon: int | None, *, quiet: bool = False, stream: TextIO | None = None) -> Progress:
    """Bars on a terminal, plain lines elsewhere, nothing if quiet."""
    stream = stream or sys.stderr
    if quiet or stream is None:
        return SilentProgress()
    return RichProgress(stream, horizon) if stream.isatty() else PlainProgress(stream, horizon)
