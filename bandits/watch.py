"""``bandits watch``: mean regret in the terminal while a run goes on, plain lines where there is no terminal.

Watching reads the run folder and nothing else, so it may begin, end and be repeated at will, on any machine that sees
the folder.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from .analysis import Curve, Log, load_regret
from .cells import CellFacts
from .plots.heights import height_of
from .tables import number, print_summary
from .terminal_plot import COLOURS, plot
from .words import count

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = ["Look", "look", "render", "watch"]

_STILL_S = 10.0  # seconds without news after which it is asked whether anybody plays


@dataclass(frozen=True)
class Look:
    """A run at one moment.

    Attributes:
        log: Its log.
        status: "running", "complete", "failed" or "interrupted".
        curves: Mean regret by cell.
    """

    log: Log
    status: str
    curves: dict[str, Curve]

    @property
    def done(self) -> int:
        """Finished replications of all cells."""
        return sum(curve.replications for curve in self.curves.values())

    @property
    def environments(self) -> dict[str, list[CellFacts]]:
        """Cells by environment, in order."""
        groups: dict[str, list[CellFacts]] = {}
        for facts in self.log.cells:
            groups.setdefault(facts.environment, []).append(facts)
        return groups

    def head(self) -> str:
        """One line: how far the run is."""
        asked = sum(facts.replications for facts in self.log.cells)
        return f"{self.status}: {self.done:,} of {count(asked, 'replication')} in {count(len(self.log.cells), 'cell')}"


def watch(place: str | Path, *, pause: float = 2.0, stream: TextIO | None = None) -> None:
    """Follow a run until it is over, then print its table; Ctrl-C leaves, and the run goes on.

    Args:
        place: Run folder.
        pause: Seconds between two looks.
        stream: Where to write; by default stdout.

    Raises:
        RunFolderError: There is no such run.
    """
    from rich.console import Console

    console = Console(file=stream or sys.stdout)
    drawn = console.is_terminal and "utf" in (console.encoding or "").lower()
    looks = _looks(place, pause)
    last = None
    try:
        for now in _drawn(console, looks) if drawn else looks:
            if not drawn and (last is None or (now.done, now.status) != (last.done, last.status)):
                _say(now, console.file)
            last = now
    except KeyboardInterrupt:
        return
    assert last is not None
    if drawn:
        print(last.head(), file=console.file)
    if last.status == "running":
        print(f"nobody plays this run any more: continue it with 'bandits resume {place}'", file=console.file)
    if last.done:
        print_summary(last.log.summary())


def look(place: str | Path) -> Look:
    """Read what is finished now."""
    log = load_regret(place)
    status = str(log.folder.facts()["status"]) if log.folder else "running"
    return Look(log, status, {facts.cell: log.curve(facts) for facts in log.cells})


def _looks(place: str | Path, pause: float) -> Iterator[Look]:
    """Look again and again, until the run is over or nobody plays it."""
    done, news = -1, time.monotonic()
    while True:
        begun = time.monotonic()
        now = look(place)
        yield now
        if now.done != done:
            done, news = now.done, begun
        if now.status != "running" or (
            begun - news > _STILL_S and now.log.folder is not None and now.log.folder.is_abandoned()
        ):
            return
        time.sleep(max(pause, 4 * (time.monotonic() - begun)))  # reading must not slow the run down


def _drawn(console: Console, looks: Iterator[Look]) -> Iterator[Look]:
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=True) as live:
        for page, now in enumerate(looks):
            live.update(render(now, console.width, console.height, page), refresh=True)
            yield now


def render(now: Look, width: int, height: int, page: int = 0) -> RenderableType:
    """As many environments as fit, with their curves; page by page where more are there.

    Args:
        now: What is known.
        width: Letters in a line of the terminal.
        height: Its lines.
        page: Counts up; chooses which environments are shown.
    """
    from rich.console import Group
    from rich.text import Text

    groups = list(now.environments.items())
    most_agents = max(len(cells) for _, cells in groups)
    least = most_agents + 9  # title, six lines of curves, two of axis
    fit = max(1, min(len(groups), (height - 2) // least))
    pages = -(-len(groups) // fit)
    shown = groups[page % pages * fit :][:fit]
    lines = max(4, min(16, (height - 2) // fit - most_agents - 3))
    parts: list[Any] = [Text(now.head() + (f"; environments page by page, {len(groups)} in all" if pages > 1 else ""))]
    for environment, cells in shown:
        parts += [Text(environment, style="bold"), *_panel(now, cells, min(width, 100), lines)]
    return Group(*parts)


def _panel(now: Look, cells: list[CellFacts], width: int, height: int) -> Iterator[Text]:
    from rich.text import Text

    known = {facts.agent: now.curves[facts.cell] for facts in cells if now.curves[facts.cell].replications}
    colours = {facts.agent: COLOURS[i % len(COLOURS)] for i, facts in enumerate(cells)}
    if known:
        bound = cells[0].bound
        top, _ = height_of({agent: curve.mean for agent, curve in known.items()})
        log_t = bound is not None and len(bound.starts) == 1
        lines = {agent: (curve.t, curve.mean) for agent, curve in known.items()}
        yield plot(lines, colours, top=top, width=width, height=height, log_t=log_t)
    for facts in cells:
        yield Text.assemble(("━━ ", colours[facts.agent]), _state(facts, now.curves[facts.cell]), no_wrap=True)


def _state(facts: CellFacts, curve: Curve) -> str:
    reached = "no replication yet" if not curve.replications else number(float(curve.mean[-1]))
    if curve.replications > 1:
        reached += f" ± {number(float(curve.half_width[-1]), 2)}"
    return f"{facts.agent}  {reached}  ({curve.replications:,} of {facts.replications:,})"


def _say(now: Look, stream: IO[str]) -> None:
    """Plain lines."""
    print(now.head(), file=stream, flush=True)
    if now.status == "running":
        for environment, cells in now.environments.items():
            known = [_state(facts, now.curves[facts.cell]) for facts in cells if now.curves[facts.cell].replications]
            if known:
                print(f"  {environment}: {'; '.join(known)}", file=stream, flush=True)
