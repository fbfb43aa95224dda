"""What `NeuralLog` answers: means of arms, comparisons of arms, and the best of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..comparison import LARGER_IS_BETTER, Comparison, compare_samples
from ..errors import BadParameter, NotLogged, did_you_mean
from ..statistics import Method
from .arms import Arm, parameter, references

if TYPE_CHECKING:
    import pandas as pd

    from .log import NeuralLog

__all__ = ["best", "comparisons", "direction", "summary"]

_COLUMNS = ["cell", "trial", "task", "metric", "step", "replications", "items", "networks", "mean", "low", "high"]
_COLUMNS += ["sd", "median", "shared", "count", "seconds"]


def summary(log: NeuralLog, at: int | None, level: float, method: Method) -> pd.DataFrame:
    """See `NeuralLog.summary`."""
    import pandas as pd

    found = []
    for arm in log.arms():
        for metric in _metrics(log, arm):
            try:
                values = log.arm_values(arm, metric, at)
            except NotLogged:
                continue
            row = {"cell": arm.first.cell, "trial": arm.label, "task": arm.task, "metric": metric, "step": values.step}
            row |= values.summary(level, method)
            found.append(row | {"count": metric in arm.first.counts, "seconds": arm.seconds})
    return pd.DataFrame(found, columns=_COLUMNS)


def comparisons(
    log: NeuralLog, metric: str | None, at: int | None, against: str | None, alpha: float, level: float
) -> list[Comparison]:
    """See `NeuralLog.compare`."""
    arms = log.arms()
    logged = [_metrics(log, arm) for arm in arms]
    every, counts = sorted(set().union(*logged)), {one for arm in arms for one in arm.first.counts}
    _known(metric, every)
    if metric in counts:
        raise BadParameter(f"'{metric}' counts work and is no metric: bandits show prints it, and nothing is tested")
    chosen = references(arms, against)
    found: list[Comparison] = []
    for one in [name for name in every if name not in counts] if metric is None else [metric]:
        for asked in dict.fromkeys(arm.first.asked for arm in arms):
            here = [i for i, arm in enumerate(arms) if arm.first.asked == asked and one in logged[i]]
            reference = next((arms[i].label for i in here if i in chosen), None)
            if len(here) > 1 and not (chosen and reference is None):
                found += _family(log, [arms[i] for i in here], one, at, reference, alpha, level)
    if not found:
        raise NotLogged("nothing to compare: no metric was logged by two trials of one task")
    return found


def _family(
    log: NeuralLog, arms: Sequence[Arm], metric: str, at: int | None, against: str | None, alpha: float, level: float
) -> list[Comparison]:
    """The arms of one task by one metric."""
    values = [log.arm_values(arm, metric, at) for arm in arms]
    better = direction(metric, arms)
    last = max(one.step for one in values)
    task = arms[0].task
    return compare_samples(
        f"{metric}, {task}" if task else metric,
        [one.sample(arm.label, arm.first.seed) for arm, one in zip(arms, values, strict=True)],
        t=last,
        horizon=last,
        column=metric,
        alpha=alpha,
        level=level,
        larger_is_better=better == "larger",
        when=f"step {last}" if len({one.step for one in values}) == 1 else "the last step",
        judged=better is not None,
        against=against,
    )


def best(log: NeuralLog, metric: str, by: Sequence[str], at: int | None) -> pd.DataFrame:
    """See `NeuralLog.best`."""
    arms = log.arms()
    _known(metric, sorted({one for arm in arms for one in _metrics(log, arm)}))
    better = direction(metric, arms)
    if better is None:
        raise BadParameter(f"nobody says whether more or less {metric} is better: name it in larger_is_better or so")
    names = sorted({name for arm in arms for name in parameter(arm)})
    for name in by:
        if name not in names:
            raise BadParameter(f"no trial of this run has the parameter '{name}'.{did_you_mean(name, names)}")
    table = summary(log, at, 0.95, "t")
    table = table[table["metric"] == metric].reset_index(drop=True)
    agree = {arm.first.cell: str([arm.first.asked, *(parameter(arm).get(name) for name in by)]) for arm in arms}
    means = table["mean"].fillna(-np.inf if better == "larger" else np.inf)  # NaN is no better than any number
    groups = means.groupby(table["cell"].map(agree), sort=False)
    rows = groups.idxmax() if better == "larger" else groups.idxmin()
    return table.loc[rows].assign(candidates=groups.size().to_numpy()).reset_index(drop=True)


def direction(metric: str, arms: Sequence[Arm]) -> str | None:
    """Whether "larger" or "smaller" is better; None where nobody says."""
    if metric in LARGER_IS_BETTER or any(metric in arm.first.larger_is_better for arm in arms):
        return "larger"
    return "smaller" if any(metric in arm.first.smaller_is_better for arm in arms) else None


def _metrics(log: NeuralLog, arm: Arm) -> list[str]:
    return sorted({metric for facts in arm.trials for metric in log.metrics(facts)})


def _known(metric: str | None, every: Sequence[str]) -> None:
    if metric is not None and metric not in every:
        raise NotLogged(f"no trial has the metric '{metric}'.{did_you_mean(metric, every)} There are: {list(every)}")
