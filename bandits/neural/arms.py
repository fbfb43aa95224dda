"""Arms of a neural run: trials that differ only in the seed of their networks, taken as one; and which are compared.

A trial's class says what its parameters are for (`bandits.neural.trials.Trial`): ``pooled`` ones only choose among
networks, ``task`` ones say what is asked, and the rest is what an arm is. Arms of one task are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..comparison import Sample
from ..crossed import crossed_mean
from ..errors import BadParameter, did_you_mean
from ..protocol import FloatArray, IntArray
from ..statistics import Method, mean_interval

__all__ = ["Arm", "TrialFacts", "Values", "arms_of", "inside", "parameter", "references"]


@dataclass(frozen=True)
class TrialFacts:
    """What is known of a cell without reading its log: one row of cells.parquet.

    Attributes:
        cell: Key.
        kind: "trial", or "training" of a model that trials use.
        trial: Label.
        trial_name: Registered name.
        parameters: Every parameter, as plain data.
        replications: Number asked for.
        seed: Seed of all randomness, as text (it has 64 bits).
        seconds: Worker seconds per replication; NaN if unknown.
        run: Run folder.
        larger_is_better: Metrics of which more is better.
        smaller_is_better: Metrics of which less is better.
        counts: Metrics that count work.
        pooled: Parameters that only choose among networks.
        task: Parameters that say what is asked.
        items: Replication r is of item r mod items; None where each is one of its own.
        networks: Replication r uses network r mod networks; None where all use the same.
        control: Whether it is there as a bound or a floor.
        reference: Whether the experiment compares the others of its task with it.
    """

    cell: str
    kind: str
    trial: str
    trial_name: str
    parameters: dict[str, Any]
    replications: int
    seed: str
    seconds: float
    run: str
    larger_is_better: tuple[str, ...] = ()
    smaller_is_better: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    pooled: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    items: int | None = None
    networks: int | None = None
    control: bool = False
    reference: bool = False

    @property
    def crossed(self) -> bool:
        """Whether replications share items or networks, and so are not independent."""
        return bool(self.pooled or self.items or self.networks)

    @property
    def plain(self) -> bool:
        """Whether its class says nothing of what its parameters are for: it is an arm by itself."""
        return not (self.crossed or self.task)

    @property
    def network(self) -> str:
        """Which network it has."""
        return _text({name: self.parameters.get(name) for name in self.pooled})

    @property
    def asked(self) -> str:
        """What is asked of it: equal for trials that can be compared."""
        return _text([self.trial_name, {name: self.parameters.get(name) for name in self.task}]) if self.task else ""

    @property
    def own(self) -> dict[str, Any]:
        """The parameters that make its arm."""
        return {name: value for name, value in self.parameters.items() if name not in (*self.pooled, *self.task)}


@dataclass(frozen=True)
class Values:
    """A metric of an arm at a step.

    Attributes:
        step: When it was logged.
        replications: Number of the replication of each value, (N,).
        values: (N,).
        items: Which item each is of, (N,), where items or networks are shared; None in plain trials.
        networks: Which network each is of, (N,); None where there is none.
    """

    step: int
    replications: IntArray
    values: FloatArray
    items: IntArray | None = None
    networks: IntArray | None = None

    def sample(self, agent: str, noise: str) -> Sample:
        """What is compared."""
        if self.items is None:
            return Sample(agent, noise, self.replications, self.values)
        return Sample(agent, noise, self.replications, self.values, (self.items, self.networks))

    def summary(self, level: float, method: Method) -> dict[str, Any]:
        """Mean with its interval, and what it is over; ``method`` is for values that share nothing."""
        n = len(np.unique(self.replications))
        if self.items is None:
            interval = mean_interval(self.values, level, method)
            ends = (float(interval.mean), float(interval.low), float(interval.high))
            items, networks = n, 1
        else:
            networks_of = np.zeros(len(self.items), dtype=np.int64) if self.networks is None else self.networks
            found = crossed_mean(self.values, self.items, networks_of, level)
            ends, items, networks = (found.mean, found.low, found.high), found.items, found.networks
        return {
            "replications": n,
            "items": items,
            "networks": networks,
            **dict(zip(("mean", "low", "high"), ends, strict=True)),
            "sd": float(self.values.std(ddof=1)) if len(self.values) > 1 else float("nan"),
            "median": float(np.median(self.values)) if len(self.values) else float("nan"),
            "shared": self.items is not None,
        }


@dataclass(frozen=True)
class Arm:
    """Trials that differ in nothing but their networks.

    Attributes:
        trials: They.
        label: What tells it from other arms; unique in a run.
        task: What is asked, where that differs in the run: "operator=box".
    """

    trials: tuple[TrialFacts, ...]
    label: str
    task: str = ""

    @property
    def first(self) -> TrialFacts:
        """One of the trials."""
        return self.trials[0]

    @property
    def seconds(self) -> float:
        """Worker seconds per replication of one trial."""
        return float(np.mean([facts.seconds for facts in self.trials]))


def arms_of(trials: Sequence[TrialFacts]) -> list[Arm]:
    """Put trials together, in order of declaration."""
    groups: dict[tuple[str, ...], list[TrialFacts]] = {}
    for facts in trials:
        groups.setdefault(_key(facts, trials), []).append(facts)
    labels = _labels([group[0] for group in groups.values()])
    return [Arm(tuple(group), *said) for group, said in zip(groups.values(), labels, strict=True)]


def _key(facts: TrialFacts, trials: Sequence[TrialFacts]) -> tuple[str, ...]:
    """Equal for trials of one arm; a trial that pools nothing is an arm, and so is one that is there twice."""
    if not facts.pooled:
        return (facts.run, facts.cell)
    earlier = sum(other.cell == facts.cell for other in trials[: trials.index(facts)])
    return (facts.trial_name, facts.seed, facts.asked, _text(facts.own), str(earlier))


def _labels(heads: Sequence[TrialFacts]) -> list[tuple[str, str]]:
    """Label and task of arms, each given by one of its trials: the parameters in which arms differ."""
    said = []
    for facts in heads:
        alike = [other for other in heads if other.trial_name == facts.trial_name]
        vary = {
            name for name in facts.parameters if len({_text(other.parameters.get(name)) for other in alike}) > 1
        } - set(facts.pooled)
        of_task = inside({name: facts.parameters[name] for name in facts.task if name in vary})
        of_arm = inside({name: value for name, value in facts.own.items() if name in vary})
        several = len({other.trial_name for other in heads if other.task}) > 1
        task = ", ".join(part for part in (facts.trial_name if several else "", of_task) if part)
        said.append((facts.trial if facts.plain else of_arm or facts.trial_name, task if facts.task else ""))
    unique = len(set(said)) == len(said)
    return (
        said
        if unique
        else [(f"{facts.trial} of {facts.run}", task) for facts, (_, task) in zip(heads, said, strict=True)]
    )


def references(arms: Sequence[Arm], against: str | None) -> set[int]:
    """Numbers of the arms that others are compared with, at most one for each task; none where every pair is.

    Args:
        arms: All arms.
        against: A label, or a part of one that no other arm of the task has; "all" for every pair; None leaves it to
            what the experiment declares.

    Raises:
        BadParameter: A task has no such arm, or several.
    """
    if against == "all":
        return set()
    if against is None:
        return {i for i, arm in enumerate(arms) if any(facts.reference for facts in arm.trials)}
    chosen = set()
    for asked in dict.fromkeys(arm.first.asked for arm in arms):
        mine = [i for i, arm in enumerate(arms) if arm.first.asked == asked]
        found = [i for i in mine if arms[i].label == against] or [i for i in mine if against in arms[i].label]
        if len(found) != 1:
            known = [arms[i].label for i in mine]
            where = f" where {arms[mine[0]].task}" if arms[mine[0]].task else ""
            raise BadParameter(
                f"{len(found)} arms are called '{against}'{where}.{did_you_mean(against, known)} There are: {known}"
            )
        chosen.add(found[0])
    return chosen


def parameter(arm: Arm) -> dict[str, Any]:
    """Parameters of an arm by name; those of a mapping stand for themselves."""
    found: dict[str, Any] = {}
    for name, value in arm.first.parameters.items():
        found |= value if isinstance(value, Mapping) else {name: value}
    return found


def inside(parameters: Mapping[str, Any]) -> str:
    """Parameters as words; those of a mapping stand for themselves, a method's name too, and None is left out."""
    said = []
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            said += [f"{key}={one}" for key, one in value.items()]
        elif name == "method" and value is not None:
            said.append(str(value))
        elif value is not None:
            said.append(f"{name}={value}")
    return ", ".join(said)


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True)
