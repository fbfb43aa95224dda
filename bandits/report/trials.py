"""The page of a neural run: each metric of each trial, every pair compared, curves, and what trials kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import DamagedPart, NotLogged
from ..neural.log import NeuralLog
from ..tables import number
from .page import again, as_list, document, drawings, trouble
from .tables import facts_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["build_neural_page", "neural_figures"]


def neural_figures(opened: NeuralLog) -> dict[str, str]:
    """SVG of each kind of figure that the run holds."""
    from ..plots.files import as_svg
    from ..plots.trials import draw_kept, draw_steps

    drawn = {}
    for kind, draw in (("metrics by step", draw_steps), ("what trials kept", draw_kept)):
        try:
            drawn[kind.replace(" ", "-")] = as_svg(draw(opened))
        except DamagedPart:
            raise
        except NotLogged:
            continue
    return drawn


def build_neural_page(opened: NeuralLog, facts: Mapping[str, Any], place: str, figures: Mapping[str, str]) -> str:
    """Build the page of a neural run.

    Args:
        opened: Its log.
        facts: What run.json holds.
        place: Run folder.
        figures: SVG by kind of figure.
    """
    summary, (labels, shared) = opened.summary(), opened.short_labels()
    body = [
        _head(facts),
        *trouble(opened, facts),
        *[f"<p class=note>All of {escape(line)}</p>" for line in shared],
        *[_metric(opened, str(metric), rows, labels) for metric, rows in summary.groupby("metric", sort=True)],
        "<p class=note>Means over replications with 95 % intervals (Student's t). Differences are paired by "
        "replication; p-values are corrected by Holm over the pairs of a metric.</p>",
        *drawings(figures, []),
        *_trainings(opened),
        *_notes(facts),
        *again(facts, place),
    ]
    return document(facts["experiment"]["name"], "\n".join(body), {})


def _head(facts: Mapping[str, Any]) -> str:
    experiment = facts["experiment"]
    took = f" in {number(facts['wall_s'], 3)} s" if facts.get("wall_s") else ""
    where = f" on {escape('; '.join(facts['devices']))}" if facts.get("devices") else ""
    return (
        f"<header><h1>{escape(experiment['name'])}</h1><p>{escape(experiment.get('summary', ''))}</p>"
        f"<p>{len(experiment['trials'])} trial(s), {experiment['replications']:,} replication(s), seed "
        f"{experiment['seed']}; status: <b>{escape(facts['status'])}</b>{took}{where}, "
        f'{escape(str(facts.get("started", "")))}. <a href="#again">How to run it again</a></p></header>'
    )


def _metric(opened: NeuralLog, metric: str, rows: pd.DataFrame, labels: Mapping[str, str]) -> str:
    heads = ["trial", "mean", "95 % interval", "median", "step", "replications", "s per replication"]
    body = ""
    for row in rows.itertuples():
        interval = "-" if math.isnan(row.low) else f"[{number(row.low)}, {number(row.high)}]"
        cells = [number(row.mean), interval, number(row.median), f"{row.step:,}", f"{row.replications:,}"]
        cells.append(number(row.seconds, 3))
        body += f"<tr><th scope=row>{escape(labels[row.cell])}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    head = "".join(f"<th scope=col>{one}</th>" for one in heads)
    return (
        f"<section><h2>{escape(metric)}</h2><div class=wide><table class='results trials'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{_pairs(opened, metric)}</section>"
    )


def _pairs(opened: NeuralLog, metric: str) -> str:
    try:
        found = opened.comparisons(metric)
    except NotLogged:
        return ""
    separated = sum(one.separated for one in found)
    return (
        f"<details><summary>{separated} of {len(found)} pairs separated at alpha = {found[0].alpha:g}</summary>"
        f"{as_list([one.line for one in found])}</details>"
    )


def _trainings(opened: NeuralLog) -> list[str]:
    """The models that trials used, with what they were measured to be."""
    lines = []
    for facts in opened.cells:
        if facts.kind != "training":
            continue
        last = opened.rows(facts).to_pandas().groupby("metric")["value"].last()
        said = ", ".join(f"{name} {number(value)}" for name, value in last.items())
        lines.append((facts.trial, f"{said or 'not trained yet'} ({number(facts.seconds, 3)} s)"))
    return [f"<section><h2>Trained models</h2>{facts_table(lines)}</section>"] if lines else []


def _notes(facts: Mapping[str, Any]) -> list[str]:
    return [f"<section><h2>Notes</h2>{as_list(facts['notes'])}</section>"] if facts.get("notes") else []
