"""The page of a neural run: each metric of each trial, every pair compared, curves, and what trials kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..comparison import Comparison, Gain, gains_over, p_value, reference_of, with_error
from ..errors import DamagedPart, NotLogged
from ..neural.log import NeuralLog
from ..tables import CROSSED_NOTE, count_text, interval_note, number
from .page import again, as_list, document, drawings, trouble
from .tables import facts_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["build_neural_page", "neural_figures"]

DIFFERENCES = "differences"


def neural_figures(opened: NeuralLog) -> dict[str, str]:
    """SVG of each kind of figure that the run holds."""
    from ..plots.files import as_svg
    from ..plots.gains import draw_gains
    from ..plots.trials import draw_kept, draw_steps

    drawn = {}
    kinds = ((DIFFERENCES, draw_gains), ("metrics by step", draw_steps), ("what trials kept", draw_kept))
    for kind, draw in kinds:
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
    names = {arm.first.cell: labels[arm.first.cell] if arm.first.plain else arm.label for arm in opened.arms()}
    metrics = summary[~summary["count"].astype(bool)]
    found = _comparisons(opened)
    body = [
        _head(facts),
        *trouble(opened, facts),
        *[f"<p class=note>All of {escape(line)}</p>" for line in shared],
        *_differences(figures),
        *[
            _metric(str(metric), str(task), rows, names, found.get(f"{metric}, {task}" if task else str(metric), []))
            for (metric, task), rows in metrics.groupby(["metric", "task"], sort=True)
        ],
        *_counts(summary[summary["count"].astype(bool)]),
        f"<p class=note>{escape(interval_note(metrics))} Differences are paired; p-values are corrected by Holm over "
        f"the comparisons of a metric and task.{escape(' ' + CROSSED_NOTE if _crossed(found) else '')}</p>",
        *drawings({kind: svg for kind, svg in figures.items() if kind != DIFFERENCES}, []),
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


def _metric(metric: str, task: str, rows: pd.DataFrame, names: Mapping[str, str], pairs: Sequence[Comparison]) -> str:
    """A metric of every arm of a task, with its difference to the reference where there is one."""
    reference = reference_of(pairs)
    heads = ["trial", "mean", "95 % interval"]
    heads += [f"better than {reference} by", "95 % interval", "p (Holm)"] if reference else ["median", "step"]
    heads += ["replications", "networks", "s per replication"]
    gains = {} if reference is None else gains_over(pairs, reference)
    body = ""
    for row in rows.itertuples():
        interval = "-" if math.isnan(row.low) else f"[{number(row.low)}, {number(row.high)}]"
        cells = [number(row.mean), interval]
        cells += _gain(gains.get(row.trial)) if reference else [number(row.median), f"{row.step:,}"]
        cells += [f"{row.replications:,}", str(row.networks), number(row.seconds, 3)]
        body += f"<tr><th scope=row>{escape(names[row.cell])}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    head = "".join(f"<th scope=col>{escape(one)}</th>" for one in heads)
    title = f"{metric}, {task}" if task else metric
    return (
        f"<section><h2>{escape(title)}</h2><div class=wide><table class='results trials'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{_pairs(pairs)}</section>"
    )


def _gain(gain: Gain | None) -> list[str]:
    if gain is None:
        return ["reference", "", ""]
    mean, low, high = with_error(gain.mean, gain.low, gain.high)
    p = "-" if math.isnan(gain.p) else p_value(gain.p).removeprefix("p = ").removeprefix("p ")
    return [f"<b>{mean}</b>" if gain.separated else mean, f"[{low}, {high}]", escape(p)]


def _comparisons(opened: NeuralLog) -> dict[str, list[Comparison]]:
    """By metric and task."""
    try:
        found = opened.comparisons()
    except NotLogged:
        return {}
    return {name: [one for one in found if one.environment == name] for name in {one.environment for one in found}}


def _crossed(found: Mapping[str, Sequence[Comparison]]) -> bool:
    return any(one.pairs for pairs in found.values() for one in pairs)


def _pairs(found: Sequence[Comparison]) -> str:
    if not found:
        return ""
    separated = sum(one.separated for one in found)
    return (
        f"<details><summary>{separated} of {len(found)} pairs separated at alpha = {found[0].alpha:g}</summary>"
        f"{as_list([one.line for one in found])}</details>"
    )


def _counts(rows: pd.DataFrame) -> list[str]:
    """What each arm cost: the counts that it logged, which nobody tests."""
    parts = []
    for task, mine in rows.groupby("task", sort=True):
        table = mine.pivot_table(index="trial", columns="metric", values="mean", sort=False)
        head = "".join(f"<th scope=col>{escape(str(one))}</th>" for one in ["trial", *table.columns])
        body = "".join(
            f"<tr><th scope=row>{escape(str(row[0]))}</th>{''.join(f'<td>{count_text(x)}</td>' for x in row[1:])}</tr>"
            for row in table.itertuples()
        )
        title = f"What it cost, {task}" if task else "What it cost"
        parts.append(
            f"<section><h2>{escape(title)}</h2><div class=wide><table class='results trials'>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
        )
    return parts


def _differences(figures: Mapping[str, str]) -> list[str]:
    """The figure of differences, before any table, and how to read it."""
    if DIFFERENCES not in figures:
        return []
    said = (
        "Paired differences with 95 % intervals; right of 0 is better. Hollow: not separated from the reference "
        "(Holm, 5 %). Grey squares are controls: a floor and a bound; one far outside stands as an arrow at the edge."
    )
    return drawings({DIFFERENCES: figures[DIFFERENCES]}, [said], "Against the reference")


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
