"""The questions that `bandits.analysis.Log` answers with a table; each is documented there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .cells import CellFacts
from .comparison import LARGER_IS_BETTER, Comparison, Sample, compare_samples, verdict_line
from .errors import BadParameter, NotLogged, UnknownName
from .protocol import FloatArray, IntArray
from .registry import lookup
from .sequential import judge
from .significance import gaps
from .statistics import (
    Interval,
    Method,
    chance_of_least_mean,
    check_level,
    efficient,
    log_slopes,
    mean_interval,
    share_best,
)

if TYPE_CHECKING:
    import pandas as pd

    from .analysis import Log

__all__ = ["allocation", "best", "bound", "comparisons", "pareto", "slope", "summary", "verdicts", "why_uncounted"]

NAN = float("nan")


def _named(facts: CellFacts) -> dict[str, Any]:
    return {"cell": facts.cell, "environment": facts.environment, "agent": facts.agent}


def _frame(rows: Sequence[dict[str, Any]], columns: str) -> pd.DataFrame:
    """Rows as a table that has its columns even where there is no row."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=columns.split())


def _at_most_ratio(found: Interval, bound: float) -> tuple[float, float, float]:
    """Mean and interval in units of the bound; NaN where there is none."""
    unit = bound if bound > 0 else NAN
    return float(found.mean) / unit, float(found.low) / unit, float(found.high) / unit


def by_environment(cells: Sequence[CellFacts]) -> dict[str, list[CellFacts]]:
    """Cells of each environment, in order."""
    groups: dict[str, list[CellFacts]] = {}
    for facts in cells:
        groups.setdefault(facts.environment, []).append(facts)
    return groups


def summary(log: Log, at: int | None, level: float, method: Method) -> pd.DataFrame:
    """See `Log.summary`."""
    rows = []
    for facts in log.cells:
        t = facts.checkpoint(at)
        _, values = log.values(facts, "regret", t)
        found = mean_interval(values, level, method)
        bound = NAN if facts.bound is None else float(facts.bound.at(np.array([t]))[0])
        ratio, ratio_low, ratio_high = _at_most_ratio(found, bound)
        rows.append(
            _named(facts)
            | {
                "t": t,
                "replications": found.replications,
                "regret": float(found.mean),
                "low": float(found.low),
                "high": float(found.high),
                "sd": float(values.std(ddof=1)) if len(values) > 1 else NAN,
                "median": float(np.median(values)) if len(values) else NAN,
                "bound": bound,
                "bound_name": None if facts.bound is None else facts.bound.name,
                "ratio": ratio,
                "ratio_low": ratio_low,
                "ratio_high": ratio_high,
                "run_steps_per_s": facts.horizon / facts.seconds,
            }
        )
    return _frame(
        rows,
        "cell environment agent t replications regret low high sd median bound bound_name ratio ratio_low ratio_high "
        "run_steps_per_s",
    )


def bound(log: Log) -> pd.DataFrame:
    """See `Log.bound`."""
    import pandas as pd

    frames = [
        pd.DataFrame(_named(facts) | {"t": facts.checkpoints, "bound": facts.bound.at(facts.checkpoints)})
        for facts in log.cells
        if facts.bound is not None
    ]
    return pd.concat(frames, ignore_index=True) if frames else _frame([], "cell environment agent t bound")


def allocation(log: Log, at: int | None) -> pd.DataFrame:
    """See `Log.allocation`."""
    import pandas as pd

    frames = []
    for facts in log.cells:
        t = facts.checkpoint(at)
        pulls = log.pulls(facts, t)
        if not len(pulls):
            continue
        plays = mean_interval(pulls.astype(np.float64))
        known = None if facts.bound is None else facts.bound.allocation
        facts_of_arms = {
            "arm": np.arange(pulls.shape[1]),
            "t": t,
            "replications": len(pulls),
            "plays": plays.mean,
            "low": plays.low,
            "high": plays.high,
            "bound": np.nan if known is None else known * np.log(t),
        }
        frames.append(pd.DataFrame(_named(facts) | facts_of_arms))
    columns = "cell environment agent arm t replications plays low high bound"
    return pd.concat(frames, ignore_index=True) if frames else _frame([], columns)


def comparisons(log: Log, at: int | None, column: str, alpha: float, level: float) -> list[Comparison]:
    """See `Log.compare`."""
    found, finished = [], 0
    for environment, cells in by_environment(log.cells).items():
        t = _common_round(cells, at)
        samples = [Sample(facts.agent, facts.noise, *log.values(facts, column, t)) for facts in cells]
        samples = [sample for sample in samples if len(sample.values)]
        finished += len(samples)
        horizon = max(facts.horizon for facts in cells)
        found += compare_samples(environment, samples, t=t, horizon=horizon, column=column, alpha=alpha, level=level)
    if not found:
        alone = all(len(cells) < 2 for cells in by_environment(log.cells).values())
        two = "two agents" if alone else "two agents with finished replications"
        raise NotLogged(f"nothing to compare: no environment has {two}" if alone or finished else log.why_empty())
    return found


def _common_round(cells: Sequence[CellFacts], at: int | None) -> int:
    """The round asked for, by default the horizon that all share.

    Raises:
        BadParameter: Agents of one environment were played for different horizons, or the round was not recorded.
    """
    horizons = sorted({facts.horizon for facts in cells})
    if at is None and len(horizons) > 1:
        shared = set.intersection(*(set(facts.checkpoints.tolist()) for facts in cells))
        remedy = f"say at which round to compare, such as --at {max(shared)}" if shared else "they share no checkpoint"
        raise BadParameter(f"agents on {cells[0].environment} were played for {horizons} rounds: {remedy}")
    return max(facts.checkpoint(at) for facts in cells)


def best(log: Log, at: int | None, column: str) -> pd.DataFrame:
    """See `Log.best`."""
    rows = []
    for environment, cells in by_environment(log.cells).items():
        t = _common_round(cells, at)
        _, values = common_values(log, cells, column, t)
        turned = -values if column in LARGER_IS_BETTER else values
        shares, chances = share_best(turned), chance_of_least_mean(turned)
        for j, facts in enumerate(cells):
            rows.append(
                {
                    "environment": environment,
                    "agent": facts.agent,
                    "t": t,
                    "replications": len(values),
                    "mean": float(values[:, j].mean()) if len(values) else NAN,
                    "share_best": float(shares[j]),
                    "chance_best_mean": float(chances[j]),
                }
            )
    return _frame(rows, "environment agent t replications mean share_best chance_best_mean")


def common_values(log: Log, cells: Sequence[CellFacts], column: str, t: int) -> tuple[IntArray, FloatArray]:
    """The replications that all cells have finished, (R,), and a column of them at one round: (R, A).

    Raises:
        BadParameter: The cells do not share their noise.
    """
    if len({facts.noise for facts in cells}) > 1:
        raise BadParameter(f"agents on {cells[0].environment} were played with different seeds: they share nothing")
    found = [log.values(facts, column, t) for facts in cells]
    common = found[0][0]
    for replications, _ in found[1:]:
        common = np.intersect1d(common, replications, assume_unique=True)
    return common, np.column_stack([values[np.searchsorted(replications, common)] for replications, values in found])


def slope(log: Log, decades: float, level: float) -> pd.DataFrame:
    """See `Log.slope`."""
    check_level(level)
    if not decades > 0:
        raise BadParameter(f"decades must be positive, got {decades}")
    rows = []
    for facts in log.cells:
        late = facts.checkpoints >= facts.horizon / 10**decades
        t = facts.checkpoints[late]
        _, values = log.values(facts)
        found = mean_interval(log_slopes(t, values[:, late]), level)
        known = None if facts.bound is None else facts.bound.at(t)[None, :]
        bound = NAN if known is None else float(log_slopes(t, known)[0])
        ratio, ratio_low, ratio_high = _at_most_ratio(found, bound)
        rows.append(
            _named(facts)
            | {
                "first_t": int(t[0]),
                "last_t": int(t[-1]),
                "checkpoints": t.size,
                "replications": found.replications,
                "slope": float(found.mean),
                "low": float(found.low),
                "high": float(found.high),
                "bound_slope": bound,
                "ratio": ratio,
                "ratio_low": ratio_low,
                "ratio_high": ratio_high,
            }
        )
    return _frame(
        rows,
        "cell environment agent first_t last_t checkpoints replications slope low high bound_slope ratio ratio_low "
        "ratio_high",
    )


def pareto(log: Log, x: str, y: str, at: int | None, level: float) -> pd.DataFrame:
    """See `Log.pareto`."""
    check_level(level)
    rows: list[dict[str, Any]] = []
    for facts in log.cells:
        t = facts.checkpoint(at)
        row = _named(facts) | {"t": t, "replications": 0}
        for cost in (x, y):
            if cost == "seconds":
                row |= {cost: facts.seconds, f"{cost}_low": NAN, f"{cost}_high": NAN}
                continue
            values = log.values(facts, cost, t)[1]
            if cost == "messages" and why_uncounted(facts, values) is not None:
                values = np.full_like(values, np.nan)
            found = mean_interval(values, level)
            row |= {cost: float(found.mean), f"{cost}_low": float(found.low), f"{cost}_high": float(found.high)}
            row["replications"] = found.replications
        rows.append(row)
    signs = np.array([-1.0 if cost in LARGER_IS_BETTER else 1.0 for cost in (x, y)])
    for environment in by_environment(log.cells):
        here = [row for row in rows if row["environment"] == environment]
        for row, wins in zip(here, efficient(signs * np.array([[r[x], r[y]] for r in here])), strict=True):
            row["efficient"] = bool(wins)
    columns = ["cell environment agent t replications", *(f"{c} {c}_low {c}_high" for c in (x, y)), "efficient"]
    return _frame(rows, " ".join(columns))


def why_uncounted(facts: CellFacts, messages: FloatArray) -> str | None:
    """Why an agent's count of messages is no cost of its sharing, in words for a label; None where it is.

    A run says whether its agents share outside the network. Of an older run the agent itself is asked, which is not
    registered where it came from a plug-in that is not loaded: if it logged no message, nothing is known.

    Args:
        facts: The cell.
        messages: What was logged, of any shape.
    """
    declared = facts.shares_outside_network
    if declared is None:
        try:
            declared = bool(getattr(lookup("agent", facts.agent_name).target, "shares_outside_network", False))
        except UnknownName:
            return None if messages.any() else "unknown whether it shares outside the network: load its plug-in"
    return "shares outside the network: no messages to count" if declared else None


def verdicts(log: Log) -> pd.DataFrame | None:
    """See `Log.verdicts`."""
    design = None if log.folder is None else log.folder.facts().get("sequential")
    if not design or not design["looks"]:
        return None
    pairs, differences = pair_differences(log, design["column"], design["looks"][-1])
    found = judge(differences, design["looks"], design["alpha"], design["margin"])
    rows = []
    for (first, second), verdict in zip(pairs, found, strict=True):
        turned = verdict.difference < 0
        gain, low, high = verdict.difference, verdict.low, verdict.high
        row = {
            "environment": first.environment,
            "agent": (second if turned else first).agent,
            "other": (first if turned else second).agent,
            "state": verdict.state,
            "look": verdict.look,
            "replications": verdict.replications,
            "gain": -gain if turned else gain,
            "low": -high if turned else low,
            "high": -low if turned else high,
            "p": verdict.p,
            "threshold": verdict.threshold,
            "alpha": design["alpha"],
        }
        rows.append(row | {"line": verdict_line(row, design["column"], design["margin"])})
    return _frame(rows, "environment agent other state look replications gain low high p threshold alpha line")


def pair_differences(log: Log, column: str, most: int) -> tuple[list[tuple[CellFacts, CellFacts]], FloatArray]:
    """Every pair of agents of every environment, and second minus first of replications 0 .. most - 1: (R, m).

    Of a column where more is better, first minus second: less is better in what is returned.
    """
    pairs: list[tuple[CellFacts, CellFacts]] = []
    found: list[FloatArray] = [np.empty((most, 0))]
    sign = -1.0 if column in LARGER_IS_BETTER else 1.0
    for cells in by_environment(log.cells).values():
        replications, found_here = common_values(log, cells, column, cells[0].horizon)
        if (finished := int((replications < most).sum())) < most:
            raise NotLogged(f"{cells[0].environment}: {finished} of {most} replications are finished by all agents")
        values = sign * found_here[:most]
        for i, j in combinations(range(len(cells)), 2):
            pairs.append((cells[i], cells[j]))
            found.append(gaps(values[:, [i]], values[:, [j]]))
    return pairs, np.concatenate(found, axis=1)
