"""What commands print in common: the end of a run, and rows for ``--json``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ..runs import Run

__all__ = ["as_records", "conclude"]


def conclude(finished: Run, *, report: bool, as_json: bool) -> None:
    """Print what came out and where it lies; exit 1 if something failed, 130 if it was interrupted."""
    from ..store import RunFolder

    looks = " --until-separated" if "sequential" in RunFolder.open(finished.place).facts() else ""
    remedy = f"bandits resume {finished.place}{looks}"
    if finished.interrupted:
        print(f"interrupted; finished parts are kept. Continue with: {remedy}", file=sys.stderr)
    if report and not finished.interrupted:
        from ..report import write_report

        written = write_report(finished.place)
        if not as_json:
            print(f"report  {written}")
    if as_json:
        from ..runs import facts_as_json

        print(facts_as_json(finished))
    elif not finished.interrupted:
        from ..analysis import load
        from ..tables import print_any_summary, print_verdicts

        opened = load(finished.place)
        print_any_summary(opened.summary())
        if (verdicts := opened.verdicts()) is not None:
            print_verdicts(verdicts)
        print(f"run     {finished.place}  ({finished.wall_s:.1f} s)")
        print(f"log     {finished.place}/log/  (Parquet)")
    if finished.failures:
        complete = len(finished.cells) - len({failure.cell for failure in finished.failures} | {*finished.waiting})
        waiting = f", {len(finished.waiting)} wait for what failed." if finished.waiting else "."
        print(
            f"{len(finished.failures)} task(s) failed; {complete} of {len(finished.cells)} cells are complete{waiting} "
            f"Mend the cause, then: {remedy}",
            file=sys.stderr,
        )
        for failure in finished.failures:
            print(f"  {failure}", file=sys.stderr)
    if finished.interrupted:
        raise typer.Exit(130)
    if finished.failures:
        raise typer.Exit(1)


def as_records(table: Any) -> list[dict[str, Any]]:
    """Rows for JSON: null for what is no finite number."""
    import math

    rows = table if isinstance(table, list) else table.to_dict("records")
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in rows]
