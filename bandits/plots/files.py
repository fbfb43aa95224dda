"""Figures as files: the same log gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis import Log, load_regret
from ..errors import BadParameter, NotLogged, RunFolderError, UsageError
from .kinds import draw, kinds_for, taken
from .style import STYLES, using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Saved", "as_svg", "save", "save_kinds", "save_regret"]

_DPI = {"default": 150, "publication": 300}  # of PNG files, and of pictures of bands inside the others


@dataclass(frozen=True)
class Saved:
    """A figure's file, and what it shows in words: for publications, its caption."""

    path: Path
    caption: str


def as_svg(figure: Figure, dpi: int = 150) -> str:
    """SVG of a figure, coordinates to a hundredth of a point: half the size, and no eye sees it."""
    from matplotlib import rc_context

    text = io.StringIO()
    metadata = {"Date": None, "Creator": "bandits", "Title": str(figure.get_label())}
    with rc_context({"svg.hashsalt": STYLES["default"].rc["svg.hashsalt"]}):
        figure.savefig(text, format="svg", metadata=metadata, dpi=dpi)
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text.getvalue())


def save(
    place: str | Path,
    kind: str = "regret",
    out: str | Path | None = None,
    *,
    skip_damaged: bool = False,
    style: str = "default",
    width: str | None = None,
    **choices: Any,
) -> Path:
    """Draw a figure of a run into a file and return its path.

    Args:
        place: Run folder.
        kind: One of `KINDS`.
        out: PNG, SVG or PDF file, or a folder; by default ``figures/<kind>.png`` in the run folder.
        skip_damaged: Go on without damaged log files.
        style: As for `draw`.
        width: As for `draw`.
        choices: The other choices of `draw`: agents, environments, log, band, at, reference, against.
    """
    return _save(load_regret(place, skip_damaged=skip_damaged), place, kind, out, style, width, choices).path


def save_kinds(
    opened: Log,
    place: str | Path,
    kinds: Sequence[str],
    out: Path | None = None,
    *,
    style: str = "default",
    width: str | None = None,
    **choices: Any,
) -> tuple[list[Saved], list[str]]:
    """Save several kinds of a log: "all" stands for those that it holds. Each takes those of the choices that it can.

    ``place`` is where the log came from; the other arguments are those of `save`.

    Returns:
        The figures, and why kinds that only "all" asked for are not among them.

    Raises:
        BadParameter: No kind asked for takes one of the choices, or several figures would go into one file.
        NotLogged: The run does not hold a kind that was asked for by name, or none at all.
    """
    names = list(dict.fromkeys(kinds_for(opened) if "all" in kinds else kinds))
    if len(names) > 1 and out is not None and out.suffix:
        raise BadParameter(f"{len(names)} figures do not go into the one file {out}: give --out a folder")
    given = {name: value for name, value in choices.items() if value is not None and (name, value) != ("log", "auto")}
    drawn, left_out = [], []
    for name in names:
        others = [
            choice for choice in given if len(names) > 1 and name not in taken(choice) and set(names) & {*taken(choice)}
        ]
        own = {choice: value for choice, value in given.items() if choice not in others}
        try:
            drawn.append(_save(opened, place, name, out, style, width, own))
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


def _save(
    opened: Log,
    place: str | Path,
    kind: str,
    out: str | Path | None,
    style: str,
    width: str | None,
    choices: dict[str, Any],
) -> Saved:
    file = _file(opened, place, kind, out, choices.get("against"))
    with using(style, width):
        figure = draw(opened, kind, style=style, width=width, **choices)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(figure, file, _DPI[style])
        except OSError as error:
            raise RunFolderError(f"cannot write {file}: {error.strerror}. Choose another --out.") from error
    return Saved(file, str(figure.get_label()))


def _write(figure: Figure, file: Path, dpi: int) -> None:
    """Write a figure without anything that changes from one time to the next, its caption inside."""
    suffix, caption = file.suffix.lower(), str(figure.get_label())
    if suffix == ".svg":
        file.write_text(as_svg(figure, dpi), encoding="utf-8")
    elif suffix == ".pdf":
        figure.savefig(file, dpi=dpi, metadata={"CreationDate": None, "Creator": "bandits", "Title": caption})
    else:
        figure.savefig(file, dpi=dpi, metadata={"Software": "bandits", "Title": caption})


def _file(opened: Log, place: str | Path, kind: str, out: str | Path | None, against: str | None) -> Path:
    """Where a figure goes."""
    about = "" if against is None else "-against-" + re.sub(r"[^.\w-]", "_", against)
    name = f"{kind}{about}.png"
    if out is None:
        if opened.folder is None or not opened.folder.is_local:
            raise UsageError(f"{place} is not one run on this machine: say where the figure goes with --out")
        root = opened.folder.path if "://" in opened.folder.place else Path(opened.folder.place)
        return root / "figures" / name
    file = Path(out)
    if not file.suffix:
        return file / name
    if file.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BadParameter(f"a figure ends in .png, .svg or .pdf, got {file}")
    return file
