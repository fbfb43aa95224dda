"""Experiments as data: what to play, how long, how often, and with which seed.

    Experiment(
        name="my_study",
        environments=[environment("bernoulli", means=[0.9, 0.8, 0.5])],
        agents=[agent("ucb1"), agent("thompson_beta")],
        horizon=10_000, replications=1000, seed=1,
    )

A *cell* is one (environment, agent) pair with all its parameters; its key is a hash of what it is, never of its
place in a list, so adding an agent moves nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import operator
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .errors import BadParameter, BanditsError, UnsupportedProblem, did_you_mean
from .protocol import Problem
from .registry import lookup
from .specs import Spec, written

if TYPE_CHECKING:
    import pyarrow as pa

    from .protocol import Job
    from .scheduler import Settings

__all__ = ["Cell", "Experiment", "LeftOut", "declared", "log_spaced", "whole"]

MAX_HORIZON = 2**32 - 1  # rounds fill one 32-bit word of the random counter
MAX_REPLICATIONS = 2**32 - 2
MAX_CHECKPOINTS = 1_000_000


@dataclass(frozen=True)
class Cell:
    """One agent on one environment: the unit of comparison.

    Attributes:
        environment: Environment with its parameters.
        agent: Agent with its parameters.
        seed: Seed of all randomness.
        checkpoints: Rounds that are recorded; the last one is the horizon.
        replications: Number of replications R. Not part of the key: a longer run continues a shorter one.
        extras: Optional log columns.
    """

    environment: Spec
    agent: Spec
    seed: int
    checkpoints: tuple[int, ...]
    replications: int
    extras: tuple[str, ...] = ()

    replays: ClassVar[bool] = True

    @property
    def names(self) -> dict[str, str]:
        """Labels of its parts."""
        return {"environment": self.environment.label, "agent": self.agent.label}

    @property
    def horizon(self) -> int:
        """Number of rounds T."""
        return self.checkpoints[-1]

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"{self.agent.label} on {self.environment.label}"

    @cached_property
    def key(self) -> str:
        """Hash of what the cell is: a letter and 15 hexadecimal digits."""
        from .streams import STREAM_VERSION

        identity = {
            "environment": [self.environment.name, written(self.environment.parameters)],
            "agent": [self.agent.name, written(self.agent.parameters)],
            "seed": self.seed,
            "checkpoints": self.checkpoints,
            "extras": sorted(self.extras),
            "streams": STREAM_VERSION,
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return "c" + hashlib.sha256(text.encode()).hexdigest()[:15]  # a letter first: no reader takes it for a number

    def build_environment(self, streams: Any) -> Any:
        """Construct the environment for a batch."""
        return self.environment.build(streams)

    def build_agent(self, environment: Any, streams: Any) -> Any:
        """Construct the agent for a batch.

        It learns the horizon only if it declares ``uses_horizon``, and the best action only if it declares
        ``is_oracle``.

        Raises:
            UnsupportedProblem: The agent cannot play the environment.
        """
        target = lookup("agent", self.agent.name).target
        problem = environment.problem
        if problem.unseen_rewards.size and getattr(target, "needs_reward", True):
            raise UnsupportedProblem(
                f"agent {self.agent.label}: learns from rewards, and playing arm {problem.unseen_rewards[0]} does not "
                f"show its own: play an agent that learns from observations, such as pooled_ucb"
            )
        if (problem.n_learners is not None) != getattr(target, "plays_population", False):
            raise UnsupportedProblem(f"agent {self.agent.label}: {_population(problem.n_learners)}")
        if getattr(target, "uses_horizon", False):
            problem = dataclasses.replace(problem, horizon=self.horizon)
        if getattr(target, "is_oracle", False):
            problem = dataclasses.replace(
                problem,
                best_action=getattr(environment, "best_action", None),
                informed_action=getattr(environment, "informed_action", None),
            )
        if getattr(target, "knows_bandits", False):
            problem = dataclasses.replace(problem, bandit=environment.bandit)
        if getattr(target, "plays_in_turn", False):
            problem = dataclasses.replace(problem, play_in_turn=environment.play_in_turn)
        player = self.agent.build(problem, streams)
        if hasattr(environment, "watch"):
            environment.watch(player)
        return player


def _population(n_learners: int | None) -> str:
    """Why an agent cannot play a population, or nothing else."""
    if n_learners is None:
        return "plays a population of learners, and here one learner plays alone: play it on collaborative"
    return f"plays one learner, and here are {n_learners}: play an agent for populations, such as isolated_ucb"


@dataclass(frozen=True)
class LeftOut:
    """A pair that is not a cell because the agent cannot play the environment."""

    environment: str
    agent: str
    reason: str

    def __str__(self) -> str:
        return f"{self.agent} on {self.environment}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A declared experiment: every agent plays every environment that it can play.

    Attributes:
        name: Snake-case name; names the run folder.
        environments: Environments, from `environment`.
        agents: Agents, from `agent`.
        horizon: Number of rounds T.
        replications: Number of independent replications R of each cell.
        seed: Seed of all randomness; replication r uses (seed, r).
        checkpoints: How many rounds to record (log-spaced, always with T), or the rounds themselves.
        every: Record every this many rounds instead.
        extras: Optional log columns: "pulls"; "learners" for a row per learner of a population.
        smoke: Fields to replace for a quick trial, such as ``dict(horizon=500, replications=8)``.
        summary: One line that says what it shows.
    """

    name: str
    environments: Sequence[Spec]
    agents: Sequence[Spec]
    horizon: int
    replications: int
    seed: int = 0
    checkpoints: int | tuple[int, ...] = 200
    every: int | None = None
    extras: tuple[str, ...] = ()
    smoke: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""

    def __post_init__(self) -> None:
        """Check what was declared and bring it into its plain form; the declaration is frozen from then on."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.name):
            raise BadParameter(f"an experiment's name is made of letters, digits, _ . and -, got {self.name!r}")
        extras = (self.extras,) if isinstance(self.extras, str) else tuple(self.extras or ())
        for name, allowed, given in (
            ("smoke", {f.name for f in dataclasses.fields(self)}, self.smoke),
            ("extras", {"pulls", "learners"}, extras),
        ):
            if unknown := sorted(set(given) - allowed):
                raise BadParameter(f"{name} may contain {', '.join(sorted(allowed))}; got {unknown[0]!r}")
        vars(self).update(
            environments=declared("environment", self.environments, self.name),
            agents=declared("agent", self.agents, self.name),
            horizon=whole("horizon", self.horizon, 1, MAX_HORIZON),
            replications=whole("replications", self.replications, 1, MAX_REPLICATIONS),
            seed=whole("seed", self.seed, 0, 2**64 - 1),
            every=None if self.every is None else whole("every", self.every, 1, MAX_HORIZON),
            checkpoints=_checkpoints(self.checkpoints),
            extras=extras,
        )

    def replace(self, **changes: Any) -> Experiment:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def smoked(self) -> Experiment:
        """Return the small version, by default 1/20 of the horizon and at most 8 replications."""
        default = {"horizon": max(1, self.horizon // 20), "replications": min(8, self.replications)}
        return self.replace(**(dict(self.smoke) or default))

    def override(self, target: str, value: Any) -> Experiment:
        """Return a copy where ``name.parameter`` of an agent or environment has another value.

        Raises:
            BadParameter: The target is not of the form ``name.parameter`` or names nothing in this experiment.
        """
        return self._with_values(target, [value])

    def sweep(self, target: str, values: Sequence[Any]) -> Experiment:
        """Return a copy with an agent or environment for each value of ``name.parameter``: ``sweep("ucb1.c", [1, 2])``.

        Sweeps can follow one another; the result has every combination. Labels show the values, and
        `Log.parameters` has them as columns ``agent.c`` or ``environment.gap``.

        Raises:
            BadParameter: The target is not of the form ``name.parameter`` or names nothing in this experiment, or there
                is no value.
        """
        listed = [] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
        if not listed:
            raise BadParameter(f"sweep of {target}: give a list of values, got {values!r}")
        return self._with_values(target, listed)

    def _with_values(self, target: str, values: Sequence[Any]) -> Experiment:
        """Put each agent or environment that is called by the target in place of itself, once with each value."""
        name, dot, parameter = target.partition(".")
        if not dot or not parameter.isidentifier():
            raise BadParameter(f"'{target}' is not of the form name.parameter, such as ucb1.c=2.0")
        names = {spec.name for spec in (*self.agents, *self.environments)}
        if name not in names:
            raise BadParameter(
                f"no agent or environment of this experiment is called '{name}'.{did_you_mean(name, names)}"
            )

        def replaced(spec: Spec) -> list[Spec]:
            return [spec.with_parameters(**{parameter: value}) for value in values] if spec.name == name else [spec]

        return self.replace(
            agents=[new for spec in self.agents for new in replaced(spec)],
            environments=[new for spec in self.environments for new in replaced(spec)],
        )

    @cached_property
    def recorded_rounds(self) -> tuple[int, ...]:
        """Rounds that are recorded, increasing, the last one the horizon."""
        asked = self.checkpoints if isinstance(self.checkpoints, int) else len(self.checkpoints)
        if min(asked if self.every is None else self.horizon // self.every, self.horizon) > MAX_CHECKPOINTS:
            raise BadParameter(f"a log has at most {MAX_CHECKPOINTS:,} checkpoints: record fewer rounds")
        if self.every is not None:
            return tuple(sorted({*range(self.every, self.horizon + 1, self.every), self.horizon}))
        if isinstance(self.checkpoints, int):
            return log_spaced(self.horizon, self.checkpoints)
        outside = [t for t in self.checkpoints if not 1 <= t <= self.horizon]
        if outside or not self.checkpoints:
            raise BadParameter(f"checkpoints must lie in 1..{self.horizon}, the horizon, got {outside[:5]}")
        return tuple(sorted({*self.checkpoints, self.horizon}))

    def plan(self) -> tuple[list[Cell], list[LeftOut]]:
        """Build every pair once, in miniature: the cells, and the pairs that an agent declines.

        Raises:
            UsageError: A name or a parameter is wrong, a pair is declared twice, or no pair can be played.
        """
        from .streams import Streams

        cells: dict[str, Cell] = {}
        left_out = []
        for env_spec in self.environments:
            env = env_spec.build(Streams(self.seed, 2))
            if not isinstance(getattr(env, "problem", None), Problem):
                raise BadParameter(f"environment {env_spec.label} has no attribute 'problem' of type Problem")
            for agent_spec in self.agents:
                cell = Cell(
                    env_spec,
                    agent_spec,
                    self.seed,
                    self.recorded_rounds,
                    self.replications,
                    tuple(self.extras),
                )
                try:
                    player = cell.build_agent(env, Streams(self.seed, 2))
                    for remark in env.remarks(player) if hasattr(env, "remarks") else ():
                        warnings.warn(f"{cell.label}: {remark}", stacklevel=2)
                except UnsupportedProblem as error:
                    left_out.append(LeftOut(env_spec.label, agent_spec.label, str(error.__cause__ or error)))
                    continue
                except BanditsError:
                    raise
                except (Exception, SystemExit):
                    pass  # a broken constructor is reported by the run, with its cell; other cells go on
                if cell.key in cells:
                    raise BadParameter(f"{cell.label} is declared twice: remove one, or change a parameter")
                cells[cell.key] = cell
        if not cells:
            raise UnsupportedProblem(f"no agent of '{self.name}' can play: {left_out[0]}")
        return list(cells.values()), left_out

    def cells(self) -> list[Cell]:
        """Every (environment, agent) pair that can be played, checked."""
        return self.plan()[0]

    @property
    def stream_version(self) -> int:
        """Version of the random streams."""
        from .streams import STREAM_VERSION

        return STREAM_VERSION

    def cell_table(self, cells: Sequence[Cell]) -> pa.Table:
        """What cells.parquet says of the cells."""
        from .cells import cell_table

        return cell_table(cells)

    def stages(self, cells: Sequence[Cell], settings: Settings, batch: int | None = None) -> list[list[Job]]:
        """A job for each cell, all in one stage."""
        from .jobs import SimulationJob

        return [[SimulationJob(cell, batch) for cell in cells]]

    def as_json(self) -> dict[str, Any]:
        """The declaration as resolved: plain data that `from_json` reads back."""
        return {
            "name": self.name,
            "summary": self.summary,
            "environments": [spec.as_json() for spec in self.environments],
            "agents": [spec.as_json() for spec in self.agents],
            "horizon": self.horizon,
            "replications": self.replications,
            "seed": self.seed,
            "checkpoints": list(self.recorded_rounds),
            "extras": list(self.extras),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Experiment:
        """Read back what `as_json` wrote."""
        fields = {name: data[name] for name in ("name", "summary", "horizon", "replications", "seed")}
        return Experiment(
            **fields,
            environments=[Spec.from_json("environment", spec) for spec in data["environments"]],
            agents=[Spec.from_json("agent", spec) for spec in data["agents"]],
            checkpoints=tuple(data["checkpoints"]),
            extras=tuple(data["extras"]),
        )

    def main(self) -> None:
        """Run from the command line, with the options of ``bandits run``: for ``if __name__ == "__main__":``."""
        from .cli import main_of_experiment

        main_of_experiment(self)


def log_spaced(horizon: int, count: int) -> tuple[int, ...]:
    """``min(count, horizon)`` distinct rounds up to the horizon, evenly spaced in log t as far as integers allow."""
    if count < 1:
        raise BadParameter(f"checkpoints must be at least 1, got {count}")
    count = min(count, horizon)
    if count == 1:
        return (horizon,)
    rounds, previous = [], 0
    for left in range(count, 0, -1):
        # the next point of the even grid from here to the horizon, but at least one round further
        ratio = (horizon / max(previous, 1)) ** (1.0 / left) if previous else 1.0
        step = max(previous + 1, round(max(previous, 1) * ratio))
        previous = min(step, horizon - left + 1)
        rounds.append(previous)
    rounds[-1] = horizon
    return tuple(rounds)


def declared(kind: str, specs: Any, experiment: str) -> tuple[Spec, ...]:
    """Agents, environments or trials as a tuple, each declared with the function of its kind."""
    declared = (specs,) if isinstance(specs, Spec | str) else tuple(specs)
    if not declared:
        raise BadParameter(f"experiment '{experiment}' has no {kind}s: give it at least one")
    for spec in declared:
        if not isinstance(spec, Spec) or spec.kind != kind:
            raise BadParameter(f"{kind}s must be declared with {kind}(...), got {spec!r}")
    for spec in declared:
        if any(spec.title in (other.label, other.full_label) for other in declared if other is not spec):
            raise BadParameter(f"two {kind}s of '{experiment}' are called '{spec.title}': give each its own title")
    return declared


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number of any integer type, bool excluded, within bounds."""
    number = None if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__") else operator.index(value)
    if number is None or not low <= number <= high:
        raise BadParameter(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return number


def _checkpoints(asked: Any) -> int | tuple[int, ...]:
    """How many rounds to record, or which; that they lie within the horizon is checked where they are resolved."""
    if isinstance(asked, Iterable) and not isinstance(asked, str):
        return tuple(whole("a checkpoint", t, -(2**63), 2**63) for t in asked)
    return whole("checkpoints", asked, 1, MAX_HORIZON)
