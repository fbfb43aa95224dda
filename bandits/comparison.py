"""Comparisons of agents: each a row of numbers and a sentence for people.

Agents of one seed share the noise of a replication, so they are compared on the same replications: the spread that
counts is that of the difference, often a fraction of either agent's own. Agents of different seeds are compared
without pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from .crossed import crossed_mean
from .protocol import FloatArray, IntArray
from .significance import TestResult, gaps, holm, independent_test, paired_test, replications_needed
from .statistics import check_level
from .words import count

__all__ = [
    "LARGER_IS_BETTER",
    "Comparison",
    "Gain",
    "Sample",
    "compare_samples",
    "gains_over",
    "p_value",
    "reference_of",
    "verdict_line",
    "with_error",
]

LARGER_IS_BETTER = frozenset({"reward", "accuracy", "psnr", "ssim"})  # of every other column less is better


@dataclass(frozen=True)
class Sample:
    """What one agent reached in each replication of an environment.

    Attributes:
        agent: Label.
        noise: Samples of one noise share it, replication by replication.
        replications: Numbers of the finished replications, increasing, (R,).
        values: What is compared, (R,).
        crossed: Of values that items and networks share: which item each is of, (R,), and which network, (R,), or None
            where there is no network. A replication counts once for each network.
    """

    agent: str
    noise: str
    replications: IntArray
    values: FloatArray
    crossed: tuple[IntArray, IntArray | None] | None = None

    @property
    def networks(self) -> IntArray | None:
        """Which network each value is of; None where there is none."""
        return None if self.crossed is None else self.crossed[1]

    def for_each(self, networks: IntArray | None) -> Sample:
        """The same, its values there for each network of another, where it has none of its own."""
        if self.networks is not None:
            return self
        items = self.replications if self.crossed is None else self.crossed[0]
        numbers = np.zeros(1, dtype=np.int64) if networks is None else np.unique(networks)
        n = len(numbers)
        return replace(
            self,
            replications=np.tile(self.replications, n),
            values=np.tile(self.values, n),
            crossed=(np.tile(items, n), np.repeat(numbers, len(self.replications))),
        )


@dataclass(frozen=True)
class Comparison:
    """Two agents on one environment.

    Attributes:
        environment: Label.
        t: Round; ``at_horizon`` says whether it is the last one.
        at_horizon: See ``t``.
        column: What is compared.
        agent, other: Labels; the first has the better mean.
        gain: How much better, at least 0.
        low, high: Confidence interval for the gain, for this pair alone, at ``level``.
        level: Confidence level of the interval.
        effect_size: Gain in standard deviations of the paired difference (Cohen's d_z; pooled where not paired).
        p: Two-sided p-value of equal means: paired t test, or Welch's.
        p_holm: The same, corrected by Holm for all pairs of the family.
        family: Number of pairs compared on this environment: the family over which p_holm is corrected.
        alpha: Bound on the probability of separating any equal pair of the family.
        separated: Whether p_holm is at most alpha.
        replications: Pairs of replications; the smaller sample if not paired.
        paired: Whether the agents share their noise.
        when: When the values were taken, in words, where ``t`` is no round, such as "step 100".
        judged: Whether it is known that less, or more, is better; else the first is only the lower one.
        pairs: What was paired, in words, where replications are not independent: "600 pairs (200 items, 3 networks)".
        replications_80, replications_90: Replications that would separate the two with power 80 % and 90 %, at level
            alpha / family (the strictest that Holm may ask for), if the effect size is the true one.
    """

    environment: str
    t: int
    at_horizon: bool
    column: str
    agent: str
    other: str
    gain: float
    low: float
    high: float
    level: float
    effect_size: float
    p: float
    p_holm: float
    family: int
    alpha: float
    separated: bool
    replications: int
    paired: bool
    replications_80: float
    replications_90: float
    when: str | None = None
    judged: bool = True
    pairs: str | None = None

    @property
    def line(self) -> str:
        """The comparison in plain words."""
        noun = "replication" if self.replications == 1 else "replications"
        pairs = self.pairs or f"{whole(self.replications)} {'paired' if self.paired else 'unpaired'} {noun}"
        if self.replications < 2:
            return f"{self.agent} and {self.other} cannot be compared: {pairs}"
        when = self.when or f"{'T' if self.at_horizon else 't'} = {whole(self.t)}"
        what = f"{self.column} at {when}"
        if math.isnan(self.gain):
            why = f"{what} is NaN or infinite in some replications"
            return f"{self.agent} and {self.other} cannot be compared: {why}; {pairs}"
        if self.gain == 0 and self.p == 1:
            return f"{self.agent} and {self.other} are equal: the same {what} throughout; {pairs}"
        gain, low, high = with_error(self.gain, self.low, self.high)
        by = f"{gain} [{low}, {high}] {what}; {p_value(self.p_holm)}, {pairs}"
        if self.separated:
            return f"{self.agent} is {'better' if self.judged else 'lower'} than {self.other} by {by}"
        if math.isinf(self.replications_90):
            return f"{self.agent} and {self.other} are not separated: difference {by}"
        return (
            f"{self.agent} and {self.other} are not separated: difference {by}; if that is the true difference, "
            f"{_rounded(self.replications_80)} replications would do with power 80 %, "
            f"{_rounded(self.replications_90)} with 90 %"
        )

    def as_row(self) -> dict[str, Any]:
        """Every field and the line: a row of `bandits.Log.compare`."""
        row = asdict(self) | {"line": self.line}
        if self.when is None:  # agents on environments
            del row["when"], row["judged"], row["pairs"]
        return row


def compare_samples(
    environment: str,
    samples: Sequence[Sample],
    *,
    t: int,
    horizon: int,
    column: str,
    alpha: float,
    level: float,
    larger_is_better: bool | None = None,
    when: str | None = None,
    judged: bool = True,
    against: str | None = None,
) -> list[Comparison]:
    """Compare every pair of agents of one environment, the best first: the family of Holm's correction.

    Whether larger is better is known by the name of the column, unless it is given. With ``against``, the label of one
    agent, the family is that agent's comparisons with each other one.
    """
    check_level(alpha, "alpha")
    check_level(level)
    sign = -1.0 if (column in LARGER_IS_BETTER if larger_is_better is None else larger_is_better) else 1.0
    tests = []
    ordered = sorted(samples, key=lambda sample: sign * float(sample.values.mean()))
    for a, b in combinations(ordered, 2):
        if against is not None and against not in (a.agent, b.agent):
            continue
        found, pairs = _test(a, b, level, sign)
        agent, other = (a, b) if not found.difference < 0 else (b, a)
        paired = pairs is not None or a.noise == b.noise
        tests.append((agent.agent, other.agent, paired, pairs, found if agent is a else _turned(found)))
    p_holm = holm(np.array([found.p for *_, found in tests]))
    return [
        Comparison(
            environment=environment,
            t=t,
            at_horizon=t == horizon,
            column=column,
            agent=agent,
            other=other,
            gain=found.difference,
            low=found.low,
            high=found.high,
            level=level,
            effect_size=found.effect_size,
            p=found.p,
            p_holm=float(corrected),
            family=len(tests),
            alpha=alpha,
            separated=bool(corrected <= alpha),
            replications=found.replications,
            paired=paired,
            replications_80=math.inf if pairs else _needed(found, alpha / len(tests), 0.8, paired),
            replications_90=math.inf if pairs else _needed(found, alpha / len(tests), 0.9, paired),
            when=when,
            judged=judged,
            pairs=pairs,
        )
        for (agent, other, paired, pairs, found), corrected in zip(tests, p_holm, strict=True)
    ]


@dataclass(frozen=True)
class Gain:
    """How much better than the reference an agent is, negative where it is worse.

    Attributes:
        mean, low, high: With the interval of this pair alone.
        p: Corrected by Holm.
        separated: Whether p is at most alpha.
    """

    mean: float
    low: float
    high: float
    p: float
    separated: bool


def reference_of(pairs: Sequence[Comparison]) -> str | None:
    """The agent that all of several pairs have in common."""
    if len(pairs) < 2:
        return None
    common = set.intersection(*({one.agent, one.other} for one in pairs))
    return common.pop() if common else None


def gains_over(pairs: Sequence[Comparison], reference: str) -> dict[str, Gain]:
    """By agent, how much better than the reference it is."""
    found = {}
    for one in pairs:
        agent = one.other if one.agent == reference else one.agent
        mean, low, high = (one.gain, one.low, one.high)
        if one.agent == reference:
            mean, low, high = -mean, -high, -low
        found[agent] = Gain(mean, low, high, one.p_holm, one.separated)
    return found


def _test(a: Sample, b: Sample, level: float, sign: float) -> tuple[TestResult, str | None]:
    """The test that fits the two, and what was paired, in words, where it is not replications."""
    if a.crossed is not None or b.crossed is not None:
        return _crossed_test(a, b, level, sign)
    if a.noise != b.noise:
        return independent_test(sign * a.values, sign * b.values, level), None
    _, in_a, in_b = np.intersect1d(a.replications, b.replications, assume_unique=True, return_indices=True)
    return paired_test(sign * a.values[in_a], sign * b.values[in_b], level), None


def _crossed_test(a: Sample, b: Sample, level: float, sign: float) -> tuple[TestResult, str]:
    """Paired by replication, and so by item, and by network; agents of different noise still share the last two.

    An agent without networks is paired with every network of the other.
    """
    tells = a.crossed is not None  # which items there are; one of the two does
    a, b = a.for_each(b.networks), b.for_each(a.networks)
    assert a.crossed is not None and b.crossed is not None and a.networks is not None and b.networks is not None
    keys = (a.networks << 32) + a.replications, (b.networks << 32) + b.replications
    _, in_a, in_b = np.intersect1d(*keys, assume_unique=True, return_indices=True)
    gap = gaps(sign * a.values[in_a], sign * b.values[in_b])
    items = a.crossed[0][in_a] if tells else b.crossed[0][in_b]
    found = crossed_mean(gap, items, a.networks[in_a], level)
    effect = found.mean / found.sd if found.sd else math.copysign(math.inf, found.mean) if found.mean else 0.0
    result = TestResult(found.mean, found.low, found.high, effect, found.p, found.sd, found.values)
    of = f"{count(found.items, 'item')}, {count(found.networks, 'network')}"
    return result, f"{count(found.values, 'pair')} ({of})"


def _turned(found: TestResult) -> TestResult:
    """The same comparison seen from the other agent."""
    return TestResult(
        -found.difference, -found.high, -found.low, -found.effect_size, found.p, found.sd, found.replications
    )


def _needed(found: TestResult, alpha: float, power: float, paired: bool) -> float:
    """Replications of each agent; without pairs the difference varies by both agents' spreads."""
    effect = found.effect_size if paired else found.effect_size / math.sqrt(2)
    return replications_needed(effect, alpha, power)


def verdict_line(verdict: Mapping[str, Any], column: str, margin: float) -> str:
    """A row of `Log.verdicts` in plain words."""
    agent, other = verdict["agent"], verdict["other"]
    gain, low, high = with_error(verdict["gain"], verdict["low"], verdict["high"])
    played = whole(verdict["replications"])
    when = f"{gain} [{low}, {high}] {column} at look {verdict['look']}, {played} paired replications"
    return {
        "separated": f"{agent} is better than {other} by {when}",
        "equivalent": f"{agent} and {other} are equivalent within {margin:g}: difference {when}",
        "same": f"{agent} and {other} are equal: the same {column} in {played} replications",
        "open": f"{agent} and {other} are not separated: difference {when}",
    }[verdict["state"]]


def with_error(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A number with its interval, all with the decimals that the width of the interval leaves meaningful."""
    half = (high - low) / 2
    if not 0 < half < math.inf:
        return f"{value:.4g}", f"{low:.4g}", f"{high:.4g}"
    decimals = max(0, -math.floor(math.log10(half / 2)))  # half a width of 2 or more shows its first digit
    return f"{value:z,.{decimals}f}", f"{low:z,.{decimals}f}", f"{high:z,.{decimals}f}"


def whole(n: int) -> str:
    """A whole number for people: 1000, 10,000."""
    return f"{n:,}" if n >= 10_000 else str(n)


def p_value(p: float) -> str:
    """A p-value for people."""
    if p < 1e-6:
        return "p < 1e-6"
    return f"p = {p:.1e}" if p < 1e-3 else f"p = {p:.2g}"


def _rounded(n: float) -> str:
    """About as many, to two digits, rounded up."""
    unit = 10 ** max(0, math.floor(math.log10(n)) - 1)
    return whole(math.ceil(n / unit) * unit)
