"""The page itself: HTML around the tables, and the styles, scripts and numbers that it carries inside.

It asks nothing of any server, and a policy in its head forbids it: scripts run only if their hash stands there, so that
text of a user could not run even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from ..analysis import Log
from ..comparison import Comparison
from ..errors import BadParameter, NotLogged
from ..neural.log import NeuralLog
from ..tables import number
from ..words import count
from .again import commands
from .charts import chart_data
from .tables import comparison_matrix, facts_table, result_table

__all__ = ["again", "as_list", "build_page", "document", "drawings", "trouble"]

INTERACTIVE = ("regret", "ratio", "difference")  # kinds that the script draws, or the comparison matrix shows
MOST_FIGURES = 4_000_000  # letters of drawings on the page; what is beyond lies in figures/ only


def build_page(
    opened: Log, facts: Mapping[str, Any], place: str, figures: Mapping[str, str], lacking: Sequence[str]
) -> str:
    """Build the page of a run.

    Args:
        opened: Its log.
        facts: What run.json holds.
        place: Run folder.
        figures: SVG by kind of figure.
        lacking: Why other kinds are missing.
    """
    experiment = facts["experiment"]
    data = chart_data(opened)
    results = _environments(opened, data)
    body = [
        _head(experiment, facts, [one["name"] for one in data["environments"]]),
        *trouble(opened, facts),  # after the log was read: only then is it known what is damaged
        *results,
        "<p class=note>Intervals are 95 % for the mean over replications (Student's t), bands in the curves at "
        "each round by itself. The lower bound is asymptotic: at a finite horizon lower-order terms move the ratio "
        "either way. “Growth / bound's” is the slope of regret against ln t in the last decade over the bound's; "
        "“probably best” is the bootstrap probability that the agent's mean is the least.</p>",
        *_sequential(opened),
        *_left_out(facts),
        *drawings(figures, lacking),
        *again(facts, place),
    ]
    return document(experiment["name"], "\n".join(body), data)


def document(title: str, body: str, data: Mapping[str, Any]) -> str:
    """The whole page: without data, it runs no script."""
    scripts = [_asset("uplot.js"), _asset("page.js")] if data else []
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<title>{escape(title)}</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_asset("uplot.css")}\n{_asset("page.css")}</style></head>\n'
        f"<body>\n{body}\n"
        f'<script type="application/json" id="data">{json_for_html(data)}</script>\n'
        + "\n".join(f"<script>{script}</script>" for script in scripts)
        + "\n</body></html>\n"
    )


def json_for_html(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _head(experiment: Mapping[str, Any], facts: Mapping[str, Any], environments: Sequence[str]) -> str:
    links = "".join(f'<a href="#environment-{k}">{escape(name)}</a>' for k, name in enumerate(environments))
    took = f" in {number(facts['wall_s'], 3)} s" if facts.get("wall_s") else ""
    return (
        f"<header><h1>{escape(experiment['name'])}</h1><p>{escape(experiment.get('summary', ''))}</p>"
        f"<p>{count(experiment['replications'], 'replication')} of {count(experiment['horizon'], 'round')}, "
        f"{count(len(experiment['agents']), 'agent')}, {count(len(environments), 'environment')}, "
        f"seed {experiment['seed']}; "
        f"status: <b>{escape(facts['status'])}</b>{took}, {escape(str(facts.get('started', '')))}. "
        '<a href="#again">How to run it again</a></p>'
        + (f"<nav aria-label=environments>{links}</nav>" if len(environments) > 1 else "")
        + "<noscript><p class=warning>The curves need JavaScript; ‘bandits plot’ draws them, too.</p></noscript>"
        "</header>\n<div id=tools hidden role=toolbar aria-label='all curves'></div>"
    )


def trouble(opened: Log | NeuralLog, facts: Mapping[str, Any]) -> list[str]:
    """What failed and what was skipped, before any result."""
    failures = [f"{one['label']}: {one['cause']}" for one in facts["failures"]]
    found = {"Failures": failures, "Skipped, damaged": opened.damaged}
    return [
        f"<section class=failure><h2>{title}</h2>{as_list(lines)}</section>" for title, lines in found.items() if lines
    ]


def _left_out(facts: Mapping[str, Any]) -> list[str]:
    """Pairs that cannot play, those of one agent and one reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in facts["left_out"]:
        groups.setdefault((one["agent"], one["reason"]), []).append(one["environment"])
    lines = [f"{agent} on {', '.join(where)}: {reason}" for (agent, reason), where in groups.items()]
    return [f"<section><h2>Left out</h2>{as_list(lines)}</section>"] if lines else []


def as_list(lines: Sequence[str]) -> str:
    """Lines as a list, escaped."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _environments(opened: Log, data: Mapping[str, Any]) -> list[str]:
    summary = _summary(opened)
    pairs = _pairs(opened)
    parts = []
    for k, environment in enumerate(data["environments"]):
        name = environment["name"]
        rows = summary[summary["environment"] == name]
        first = rows.iloc[0]
        bound = f"; {first.bound_name}: {number(first.bound)}" if not np.isnan(first.bound) else ""
        here = [pair for pair in pairs if pair.environment == name]
        order = rows[rows["replications"] > 0].sort_values("regret")["agent"].tolist()
        parts.append(
            f'<section class=environment id="environment-{k}"><h2>{escape(name)}</h2>'
            f"<p>T = {first.t:,}{escape(bound)}</p>"
            f'<div class=curves data-environment="{k}"></div>{result_table(rows)}'
            + (f"<h3>Paired comparisons</h3>{comparison_matrix(here, order)}" if here else "")
            + "</section>"
        )
    return parts


def _summary(opened: Log) -> pd.DataFrame:
    """`Log.summary` with the slope over the bound's, and the chance that the mean is the best."""
    slopes = opened.slope()[["cell", "ratio"]].rename(columns={"ratio": "slope_ratio"})
    table = opened.summary().merge(slopes, on="cell", how="left")
    try:
        best = opened.best()[["environment", "agent", "chance_best_mean"]]
    except (BadParameter, NotLogged):
        return table.assign(chance_best_mean=np.nan)
    return table.merge(best, on=["environment", "agent"], how="left")


def _pairs(opened: Log) -> list[Comparison]:
    try:
        return opened.comparisons()
    except (BadParameter, NotLogged):
        return []


def _sequential(opened: Log) -> list[str]:
    verdicts = opened.verdicts()
    if verdicts is None:
        return []
    lines = [
        f"{environment}: {line}" for environment, line in zip(verdicts["environment"], verdicts["line"], strict=True)
    ]
    return [
        "<section><h2>Sequential test</h2><p>This run went on until its agents separated: its claims are these, any of "
        f"them wrong with probability at most {verdicts['alpha'].iloc[0]:g}. p-values and intervals of single pairs "
        f"elsewhere are for a size fixed in advance and look surer than they are.</p>{as_list(lines)}</section>"
    ]


def drawings(figures: Mapping[str, str], lacking: Sequence[str], title: str = "More figures") -> list[str]:
    """Figures that the script does not draw, as images: in an image, nothing runs and no style leaks."""
    parts, spent = [], 0
    for kind, svg in figures.items():
        source = base64.b64encode(svg.encode()).decode()
        spent += len(source)
        if spent > MOST_FIGURES:
            parts.append(f"<p class=note>The figure of the {escape(kind)} is too large for this page: ")
            parts.append(f"figures/{escape(kind)}.svg has it.</p>")
            continue
        alt = f"figure: {escape(kind)}"
        parts.append(
            f"<figure><figcaption>{escape(kind.capitalize())}</figcaption>"
            f'<img alt="{alt}" src="data:image/svg+xml;base64,{source}"></figure>'
        )
    parts += [f"<p class=note>{escape(line)}</p>" for line in lacking]
    return [f"<section><h2>{escape(title)}</h2>", *parts, "</section>"] if parts else []


def again(facts: Mapping[str, Any], place: str) -> list[str]:
    """How to run it again, and where it came from."""
    lines = "".join(f"<p>{escape(what)}:</p><pre>{escape(how)}</pre>" for what, how in commands(facts, place))
    provenance = {
        name: facts[name] for name in ("started", "finished", "wall_s", "backend", "workers", "commit") if name in facts
    }
    declaration = json.dumps(facts["experiment"])
    return [
        f"<section id=again><h2>How to run it again</h2>{lines}"
        f"<details><summary>Declaration</summary><pre class=wrapped>{escape(declaration)}</pre></details></section>",
        f"<section><h2>Provenance</h2>{facts_table(provenance)}"
        f"<h3>Versions</h3>{facts_table(facts.get('versions') or {})}"
        f"<h3>Machine</h3>{facts_table(facts.get('machine') or {})}</section>",
    ]
