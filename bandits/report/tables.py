"""The page's tables: results and paired comparisons of each environment, and lists of facts. Every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..comparison import Comparison
from ..tables import number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["comparison_matrix", "facts_table", "result_table"]


def result_table(rows: pd.DataFrame) -> str:
    """Mean regret of each agent, the smallest first, with interval, median, ratio to the bound and rank.

    Args:
        rows: The rows of one environment in `Log.summary`, with ``slope_ratio`` of `Log.slope` and ``chance_best_mean``
            of `Log.best`, both NaN where there is none.
    """
    columns = {"mean regret": [number(row.regret) for row in rows.itertuples()]}
    columns["95 % interval"] = [_interval(row.low, row.high) for row in rows.itertuples()]
    columns["median"] = [number(row.median) for row in rows.itertuples()]
    if rows["ratio"].notna().any():
        columns["ratio to bound"] = [
            f"{number(row.ratio, 3)} {_interval(row.ratio_low, row.ratio_high, 3)}".removesuffix(" -")
            for row in rows.itertuples()
        ]
    if rows["slope_ratio"].notna().any():
        columns["growth / bound's"] = [number(row.slope_ratio, 3) for row in rows.itertuples()]
    if rows["chance_best_mean"].notna().any():
        columns["probably best"] = [_percent(row.chance_best_mean) for row in rows.itertuples()]
    columns["replications"] = [f"{row.replications:,}" for row in rows.itertuples()]
    columns["M run-steps/s"] = [number(row.run_steps_per_s / 1e6, 3) for row in rows.itertuples()]
    heads = "".join(f"<th scope=col>{escape(head)}</th>" for head in ["agent", *columns])
    order = sorted(range(len(rows)), key=lambda i: (math.isnan(rows["regret"].iloc[i]), rows["regret"].iloc[i]))
    body = "".join(
        f"<tr><th scope=row>{escape(str(rows['agent'].iloc[i]))}</th>"
        + "".join(f"<td>{values[i]}</td>" for values in columns.values())
        + "</tr>"
        for i in order
    )
    return f"<div class=wide><table class=results><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def comparison_matrix(pairs: Sequence[Comparison], order: Sequence[str]) -> str:
    """Every pair of agents: how much less regret the row's agent has than the column's, and whether that is sure.

    Below it stand all pairs in words; the script shows the sentence of the cell that is pointed at.

    Args:
        pairs: Comparisons of one environment.
        order: Agents, the best first.
    """
    at = {agent: i for i, agent in enumerate(order)}
    cells: dict[tuple[int, int], str] = {}
    for k, pair in enumerate(pairs):
        i, j = at[pair.agent], at[pair.other]
        kinds = ("better", "worse") if pair.separated else ("open", "open")
        for place, kind, sign in (((i, j), kinds[0], "−"), ((j, i), kinds[1], "+")):
            cells[place] = f"<td class={kind} data-pair={k}>{_difference(pair, sign)}</td>"
    numbers = range(len(order))
    heads = "".join(f'<th scope=col title="{escape(order[j])}">{j + 1}</th>' for j in numbers)
    body = "".join(
        f"<tr><th scope=row>{i + 1} {escape(order[i])}</th>"
        + "".join(cells.get((i, j), "<td class=self></td>") for j in numbers)
        + "</tr>"
        for i in numbers
    )
    separated = sum(pair.separated for pair in pairs)
    lines = "".join(f"<li>{escape(pair.line)}</li>" for pair in pairs)
    how = "paired, on shared noise" if all(pair.paired for pair in pairs) else "without pairs where noise differs"
    return (
        f"<div class=comparison><div class=wide><table class=matrix>"
        f"<thead><tr><th scope=col>row − column</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        f"<p class=said aria-live=polite></p>"
        f"<p class=note>Difference of mean regret, row minus column, {how}. "
        "<span class=better>−</span> the row's agent is better, <span class=worse>+</span> worse, "
        f"<span class=open>(±)</span> not separated: {separated} of {len(pairs)} pairs are separated at alpha = "
        f"{pairs[0].alpha:g} (t tests, Holm's correction over these pairs).</p>"
        f"<details><summary>All {len(pairs)} comparisons in words</summary><ol class=lines>{lines}</ol></details></div>"
    )


def facts_table(facts: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """Names and values, one pair a row."""
    pairs = facts.items() if isinstance(facts, Mapping) else facts
    rows = "".join(f"<tr><th scope=row>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in pairs)
    return f"<div class=wide><table class=facts><tbody>{rows}</tbody></table></div>"


def _difference(pair: Comparison, sign: str) -> str:
    if math.isnan(pair.gain) or math.isnan(pair.p):
        return "-"
    if pair.gain == 0:
        return "="
    gain = f"{sign}{number(abs(pair.gain), 3)}"
    return gain if pair.separated else f"({gain})"


def _interval(low: float, high: float, digits: int = 4) -> str:
    return "-" if math.isnan(low) else f"[{number(low, digits)}, {number(high, digits)}]"


def _percent(share: float) -> str:
    """A probability from a bootstrap, which cannot tell small ones from 0."""
    if math.isnan(share):
        return "-"
    if share < 0.001:
        return "&lt; 0.1 %"
    return "&gt; 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"
