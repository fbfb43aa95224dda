"""Write the report into the run folder."""

from __future__ import annotations

from pathlib import Path

from ..analysis import Log, load
from ..errors import DamagedPart, NotLogged, RunFolderError, UsageError
from ..neural.log import NeuralLog
from ..plots import as_svg, draw, kinds_for
from ..store import RunFolder
from .page import INTERACTIVE, build_page
from .trials import build_neural_page, neural_figures

__all__ = ["write_report", "write_report_of"]


def write_report(place: str | Path, *, skip_damaged: bool = False) -> str:
    """Write ``report.html`` into a run folder, with a drawing of each figure that its script does not draw.

    The drawings lie in ``figures/<kind>.svg``, and on the page. Returns the page's path.

    Raises:
        UsageError: The place stands for several runs.
        DamagedPart: A log file is damaged, and damaged files are not skipped.
        RunFolderError: There is no such run, or it cannot be written to.
    """
    return write_report_of(load(place, skip_damaged=skip_damaged), place)


def write_report_of(opened: Log | NeuralLog, place: str | Path) -> str:
    """Write the report of a log that was opened from a place: see `write_report`."""
    folder: RunFolder | None = opened.folder
    if folder is None:
        raise UsageError(f"{place} stands for {len(opened.folders)} runs; a report is of one run")
    if isinstance(opened, NeuralLog):
        figures = neural_figures(opened)
        page = build_neural_page(opened, folder.facts(), folder.place, figures)
    else:
        figures, lacking = _figures(opened)
        page = build_page(opened, folder.facts(), folder.place, figures, lacking)
    try:
        for kind, svg in figures.items():
            folder.write(f"figures/{kind}.svg", svg.encode())
        folder.write("report.html", page.encode())
    except OSError as error:
        raise RunFolderError(f"cannot write the report into {place}: {error}") from error
    return f"{folder.place}/report.html"


def _figures(opened: Log) -> tuple[dict[str, str], list[str]]:
    """SVG of each other kind of figure that the run holds, and why the rest is missing."""
    drawn, lacking = {}, []
    for kind in kinds_for(opened):
        if kind in INTERACTIVE:
            continue
        try:
            drawn[kind] = as_svg(draw(opened, kind))
        except DamagedPart:
            raise
        except RunFolderError:  # nothing is finished: the page says so at each environment
            continue
        except NotLogged as error:
            lacking.append(f"No figure of the {kind}: {error}.")
    return drawn, lacking
