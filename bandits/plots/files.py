"""The kinds of figures by name, and their files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis import Log, load_regret
from ..errors import BadParameter, NotLogged, RunFolderError, UsageError, did_you_mean
from .allocation import draw_allocation
from .cost import COMPARATORS, draw_cost
from .messages import draw_messages
from .ratio import draw_ratio
from .regret import draw_regret
from .spreading import draw_spreading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "as_svg", "draw", "kinds_for", "save", "save_kinds", "save_regret"]

KINDS: dict[str, Callable[..., Figure]] = {
    "regret": draw_regret,
    "ratio": draw_ratio,
    "allocation": draw_allocation,
    "messages": draw_messages,
    "spreading": draw_spreading,
    "cost": draw_cost,
}
_OF_POPULATIONS = ("messages", "spreading")


def draw(
    opened: Log,
    kind: str = "regret",
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
) -> Figure:
    """Draw one kind of figure.

    Args:
        opened: Log, from `bandits.load` or `bandits.simulate`.
        kind: One of `KINDS`.
        agents: Labels or registered names of those to draw; by default all.
        environments: The same of environments.
        log: Logarithmic axes of "regret": "auto", "x", "y", "xy" or "none". The other kinds have axes of their own.

    Raises:
        BadParameter: There is no such kind, agent or environment.
        NotLogged: The run does not hold what the kind draws.
        RunFolderError: No replication is finished yet.
    """
    if kind not in KINDS:
        raise BadParameter(
            f"no kind of figure is called '{kind}'.{did_you_mean(kind, KINDS)} There are: {', '.join(KINDS)}."
        )
    if kind == "regret":
        return draw_regret(opened, agents=agents, environments=environments, log=log)
    if log != "auto":
        raise BadParameter(f"log chooses the axes of the regret figure; a figure of kind '{kind}' has its own")
    return KINDS[kind](opened, agents=agents, environments=environments)


def kinds_for(opened: Log) -> list[str]:
    """Kinds that make sense for a run: those of populations only where one played, costs only where some are logged."""
    population = any(facts.n_learners is not None for facts in opened.cells)
    costs = any(opened.logs(facts, column) for facts in opened.cells for column in COMPARATORS)
    special = {"cost": costs, **dict.fromkeys(_OF_POPULATIONS, population)}
    return [kind for kind in KINDS if special.get(kind, True)]


def as_svg(figure: Figure) -> str:
    """SVG of a figure, coordinates to a hundredth of a point: half the size, and no eye sees it."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "bandits"})
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text.getvalue())


def save(
    place: str | Path,
    kind: str = "regret",
    out: str | Path | None = None,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    skip_damaged: bool = False,
) -> Path:
    """Draw a figure of a run into a file and return its path.

    Args:
        place: Run folder.
        kind: One of `KINDS`.
        out: PNG, SVG or PDF file, or a folder; by default ``figures/<kind>.png`` in the run folder.
        agents: As for `draw`.
        environments: As for `draw`.
        log: As for `draw`.
        skip_damaged: Go on without damaged log files.
    """
    opened = load_regret(place, skip_damaged=skip_damaged)
    file = _file(opened, place, kind, out)
    figure = draw(opened, kind, agents=agents, environments=environments, log=log)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=150)
    except OSError as error:
        raise RunFolderError(f"cannot write {file}: {error.strerror}. Choose another --out.") from error
    return file


def save_kinds(
    place: str | Path, kinds: Sequence[str], out: Path | None = None, *, log: str = "auto", **chosen: Any
) -> tuple[list[Path], list[str]]:
    """Save several kinds: "all" stands for those that the run holds.

    Returns:
        Paths of the figures, and why kinds that only "all" asked for are not among them.

    Raises:
        NotLogged: The run does not hold a kind that was asked for by name, or none at all.
    """
    names = list(dict.fromkeys(kinds_for(load_regret(place)) if "all" in kinds else kinds))
    if len(names) > 1 and out is not None and out.suffix:
        raise BadParameter(f"{len(names)} figures do not go into the one file {out}: give --out a folder")
    if log != "auto" and "regret" not in names:
        raise BadParameter(f"--log chooses the axes of the regret figure, which is not among: {', '.join(names)}")
    drawn, left_out = [], []
    for name in names:
        try:
            drawn.append(save(place, name, out, log=log if name == "regret" else "auto", **chosen))
        except NotLogged as error:
            if name in kinds:
                raise
            left_out.append(f"{name}: {error}")
    return drawn, left_out


def save_regret(
    place: str | Path, out: Path | None = None, *, agents: Sequence[str] | None = None, log: str = "auto"
) -> Path:
    """Draw a run's regret into a file and return its path: `save` for the kind "regret"."""
    return save(place, "regret", out, agents=agents, log=log)


def _file(opened: Log, place: str | Path, kind: str, out: str | Path | None) -> Path:
    """Where a figure goes."""
    if out is None:
        if opened.folder is None or not opened.folder.is_local:
            raise UsageError(f"{place} is not one run on this machine: say where the figure goes with --out")
        root = opened.folder.path if "://" in opened.folder.place else Path(opened.folder.place)
        return root / "figures" / f"{kind}.png"
    file = Path(out)
    if not file.suffix:
        return file / f"{kind}.png"
    if file.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BadParameter(f"a figure ends in .png, .svg or .pdf, got {file}")
    return file
