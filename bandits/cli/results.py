"""Commands that read what runs logged: ``show``, ``compare``, ``export``, ``plot``, ``report`` and ``watch``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadParameter
from ..labels import split
from .options import AsJson, RunPlace, RunPlaces, SkipDamaged
from .printing import as_records

if TYPE_CHECKING:
    from ..analysis import Log
    from ..neural.log import NeuralLog

__all__ = ["compare", "export", "plot", "report", "show", "watch"]


def show(
    places: RunPlaces,
    at: Annotated[int | None, typer.Option(help="Round to summarise; default: the horizon.")] = None,
    best: Annotated[
        str | None, typer.Option(metavar="METRIC", help="Of neural runs: only the arm with the best mean of this.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="PARAM,...", help="With --best: of all arms that agree in these parameters.")
    ] = None,
    skip_damaged: SkipDamaged = False,
    as_json: AsJson = False,
) -> None:
    """Print mean regret with its 95 % interval, the lower bound, and the ratio of the two; of neural runs, metrics.

    Example: bandits show results/quickstart-20260101T000000Z
    """
    from ..analysis import Log
    from ..tables import print_any_summary

    opened = open_logs(places, skip_damaged)
    if best is None and by is not None:
        raise BadParameter("--by belongs to --best METRIC")
    if best is not None and isinstance(opened, Log):
        raise BadParameter("--best belongs to neural runs; of agents, bandits compare says who is best")
    summary = opened.summary(at) if best is None else opened.best(best, listed(by) or (), at)
    name_damaged(opened)
    if as_json:
        print(json.dumps(as_records(summary)))
    else:
        print_any_summary(summary)
        if not summary["replications"].any():
            print(f"note: {opened.why_empty()}", file=sys.stderr)


def compare(
    places: RunPlaces,
    at: Annotated[int | None, typer.Option(help="Round to compare at; default: the horizon.")] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, separated by commas.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this environment; may be repeated.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Log column, or metric; default: regret, of neural runs every metric.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="ARM", help="Of neural runs: compare with this arm only; all: every pair. Default: as declared."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Bound on the chance of separating any equal pair.")] = 0.05,
    skip_damaged: SkipDamaged = False,
    as_json: AsJson = False,
) -> None:
    """Compare every pair of agents on the same replications, corrected for the number of pairs, in plain words.

    Of neural runs, the arms of each task; --agents then names trials.

    Example: bandits compare results/quickstart-20260101T000000Z --agents ucb1,kl_ucb
    """
    from ..analysis import Log
    from ..tables import print_comparisons, print_verdicts

    opened = open_logs(places, skip_damaged)
    if not isinstance(opened, Log):
        if environment:
            raise BadParameter("--environment belongs to agents on environments, and this run is of neural trials")
        found = opened.select(listed(agents)).comparisons(column, at, against=against, alpha=alpha)
        name_damaged(opened)
        if as_json:
            print(json.dumps({"pairs": as_records([one.as_row() for one in found])}))
        else:
            print_comparisons(found, None)
        return
    if against is not None:
        raise BadParameter("--against belongs to neural runs; of agents, --agents picks who is compared")
    column = column or "regret"
    chosen = opened.select(listed(agents), environment)
    found = chosen.comparisons(at, column=column, alpha=alpha)
    best = chosen.best(at, column) if len({facts.noise for facts in chosen.cells}) == 1 else None
    verdicts = opened.verdicts()
    name_damaged(opened)
    if as_json:
        answer = {
            "pairs": as_records([one.as_row() for one in found]),
            "best": None if best is None else as_records(best),
            "sequential": None if verdicts is None else as_records(verdicts),
        }
        print(json.dumps(answer))
        return
    print_comparisons(found, best)
    if verdicts is not None:
        print_verdicts(verdicts)


def export(
    places: RunPlaces,
    format_: Annotated[str, typer.Option("--format", help="csv, parquet or latex.")] = "csv",
    table: Annotated[
        str,
        typer.Option(
            help="summary, compare, best, slope, bound, allocation, parameters, or log: every log row; of neural "
            "runs summary, compare or log."
        ),
    ] = "summary",
    at: Annotated[int | None, typer.Option(help="Round; default: the horizon (of log: every round).")] = None,
    out: Annotated[Path | None, typer.Option(help="File; default: print (csv and latex).")] = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Write a table of a run as CSV, Parquet or LaTeX.

    Example: bandits export results/quickstart-20260101T000000Z --format latex --out table.tex
    """
    from ..export import write_table

    opened = open_logs(places, skip_damaged)
    written = write_table(opened, table, format_, out, at)
    name_damaged(opened)
    print(written, end="" if written.endswith("\n") else "\n")


def plot(
    place: RunPlace,
    kind: Annotated[
        list[str],
        typer.Option(
            help="regret, ratio, distribution, difference, allocation, messages, spreading, cost, all; may be repeated."
        ),
    ] = ["regret"],
    out: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF file, or a folder; default: RUN/figures/KIND.png.")
    ] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, separated by commas.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this environment; may be repeated.")
    ] = None,
    log: Annotated[str, typer.Option(help="Logarithmic axes: auto, x, y, xy or none.")] = "auto",
    band: Annotated[
        str | None, typer.Option(help="t (default), normal or bootstrap of the mean; median, quantiles or none.")
    ] = None,
    at: Annotated[int | None, typer.Option(help="Round, of figures that show one; default: the horizon.")] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="AGENT", help="Of difference: the agent to subtract; default: the best.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="KIND.PARAM", help="Draw regret or ratio against a swept parameter: environment.gap, agent.c."
        ),
    ] = None,
    style: Annotated[str, typer.Option(help="default or publication: for print, without colours, too.")] = "default",
    width: Annotated[
        str | None, typer.Option(help="Of a publication: one-column (default), two-column, or a length such as 120mm.")
    ] = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Draw curves of regret, its ratio to the lower bound, its distribution, paired differences, and more.

    Example: bandits plot results/quickstart-20260101T000000Z --kind regret --kind difference --out figures/
    """
    from ..analysis import load_regret
    from ..plots.files import save_kinds

    choices: dict[str, Any] = {"log": log, "band": band, "at": at, "reference": reference, "against": against}
    choices |= {"agents": listed(agents), "environments": environment or None}
    opened = load_regret(place, skip_damaged=skip_damaged)
    drawn, left_out = save_kinds(opened, place, kind, out, style=style, width=width, **choices)
    name_damaged(opened)
    for figure in drawn:
        print(figure.path)
        if style != "default":
            print(f"caption: {figure.caption}", file=sys.stderr)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)


def report(place: RunPlace, skip_damaged: SkipDamaged = False) -> None:
    """Write report.html into the run folder: one page with tables and figures.

    Example: bandits report results/quickstart-20260101T000000Z
    """
    from ..report.write import write_report_of

    opened = open_logs([place], skip_damaged)
    written = write_report_of(opened, place)
    name_damaged(opened)
    print(written)


def watch(
    place: RunPlace,
    pause: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Follow a run: its curves in the terminal until it is over, then its table. Ctrl-C leaves; the run goes on.

    Example: bandits watch results/quickstart-20260101T000000Z
    """
    from ..watch import watch as follow

    follow(place, pause=pause)


def open_logs(places: list[str], skip_damaged: bool) -> Any:
    """The log of one run or of several as one."""
    from ..analysis import load

    return load(places, skip_damaged=skip_damaged)


def listed(names: str | None) -> list[str] | None:
    """Names separated by commas; those inside brackets belong to a label, such as ``lin_ts(ridge=1, sd=0.5)``."""
    return split(names) if names else None


def name_damaged(opened: Log | NeuralLog) -> None:
    """Say on stderr what was skipped."""
    for name in opened.damaged:
        print(f"skipped, damaged: {name}", file=sys.stderr)
