"""One self-contained HTML page for a run: what was run, a table per environment, and the figures."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from .analysis import Log, load
from .errors import NotLogged, RunFolderError
from .plots import as_svg, draw, kinds_for
from .tables import number

__all__ = ["write_report"]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
figure { margin: 1rem 0; background: white; border-radius: 6px; padding: 0.5rem; overflow-x: auto; }
figure svg { max-width: 100%; height: auto; }
pre { overflow-x: auto; padding: 0.7rem; border: 1px solid #8884; border-radius: 6px; }
.failure { color: #c0392b; }
small { color: #888; }
"""


def write_report(place: str | Path, *, skip_damaged: bool = False) -> str:
    """Write ``report.html`` and ``figures/<kind>.svg`` into a run folder and return the page's path.

    Raises:
        RunFolderError: There is no such run, or it cannot be written to.
    """
    opened = load(place, skip_damaged=skip_damaged)
    assert opened.folder is not None
    figures, lacking = _figures(opened)
    page = _page(opened, opened.folder.facts(), figures, lacking)
    try:
        for kind, svg in figures.items():
            opened.folder.write(f"figures/{kind}.svg", svg.encode())
        opened.folder.write("report.html", page.encode())
    except OSError as error:
        raise RunFolderError(f"cannot write the report into {place}: {error}") from error
    return f"{opened.folder.place}/report.html"


def _figures(opened: Log) -> tuple[dict[str, str], list[str]]:
    """SVG of each kind of figure that the run holds, and why the others are missing."""
    drawn, lacking = {}, []
    for kind in kinds_for(opened):
        try:
            drawn[kind] = as_svg(draw(opened, kind))
        except NotLogged as error:
            lacking.append(f"No figure of the {kind}: {error}.")
    return drawn, lacking


def _page(opened: Log, facts: dict[str, Any], figures: dict[str, str], lacking: list[str]) -> str:
    experiment = facts["experiment"]
    body = [
        f"<h1>{escape(experiment['name'])}</h1>",
        f"<p>{escape(experiment.get('summary', ''))}</p>",
        f"<p>{experiment['replications']:,} replications of {experiment['horizon']:,} rounds, "
        f"seed {experiment['seed']}; status: {escape(facts['status'])}.</p>",
        *(f"<figure>{svg[svg.index('<svg') :]}</figure>" for svg in figures.values()),
        *(f"<p><small>{escape(line)}</small></p>" for line in lacking),
        *_tables(opened),
        "<p><small>Intervals are 95 % for the mean over replications (Student's t). The lower bound is asymptotic: "
        "at a finite horizon lower-order terms move the ratio either way.</small></p>",
    ]
    if facts["left_out"]:
        body.append("<h2>Left out</h2><ul>")
        body += [
            f"<li>{escape(p['agent'])} on {escape(p['environment'])}: {escape(p['reason'])}</li>"
            for p in facts["left_out"]
        ]
        body.append("</ul>")
    if facts["failures"]:
        body.append("<h2 class=failure>Failures</h2><ul>")
        body += [f"<li>{escape(f['label'])}: {escape(f['cause'])}</li>" for f in facts["failures"]]
        body.append("</ul>")
    shown = {
        name: facts.get(name) for name in ("started", "finished", "wall_s", "backend", "commit", "versions", "machine")
    }
    body.append(f"<h2>Provenance</h2><pre>{escape(json.dumps(shown, indent=2))}</pre>")
    declaration = experiment | {"checkpoints": f"{len(experiment['checkpoints'])} rounds"}
    body.append(f"<h2>Declaration</h2><pre>{escape(_listed(declaration))}</pre>")
    title = escape(experiment["name"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def _listed(declaration: dict[str, Any]) -> str:
    """JSON with a line for each agent and environment."""
    lines = []
    for name, value in declaration.items():
        items = value if isinstance(value, list) and value and isinstance(value[0], dict) else None
        text = json.dumps(value) if items is None else "[\n    " + ",\n    ".join(map(json.dumps, items)) + "\n  ]"
        lines.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _tables(opened: Log) -> list[str]:
    parts = []
    for environment, rows in opened.summary().groupby("environment", sort=False):
        parts.append(
            f"<h2>{escape(str(environment))}</h2><div class=wide><table><tr><th>agent</th><th>mean regret</th>"
        )
        parts.append("<th>95 % interval</th><th>lower bound</th><th>ratio</th><th>replications</th></tr>")
        for row in rows.sort_values("regret").itertuples():
            cells = [
                number(row.regret),
                f"[{number(row.low)}, {number(row.high)}]",
                number(row.bound),
                number(row.ratio, 3),
                f"{row.replications:,}",
            ]
            columns = "".join(f"<td>{cell}</td>" for cell in cells)
            parts.append(f"<tr><td>{escape(row.agent)}</td>{columns}</tr>")
        parts.append("</table></div>")
    return parts
