"""What agents, environments and jobs implement: the contracts of the engine.

A batch plays B replications in step; B is always the last axis and contiguous. One round is

    context  = environment.observe(t)          # None where there is none
    action   = agent.act(t, context)           # int64, shape (B,)
    feedback = environment.step(t, action)     # reward and pseudo-regret, float64, shape (B,)
    agent.update(t, action, feedback)

In a population of N learners arms, rewards and regrets have the shape (N, B), and learners exchange messages through
``problem.network`` only. Rounds are counted from 1. No lane may influence another, not even in its last bits: reduce
over arms with NumPy's sums or `np.einsum`, not with `@`, which adds up in an order that depends on the shape.

A context is a float64 array, contiguous: shape (d, K, B) where every arm has features of its own, (d, B) where one
vector of features goes with all arms. ``problem.context`` says which. The environment may reuse the array in the next
round, so it holds until ``update`` of the same round has returned; the agent only reads it. An agent that needs a
context raises `UnsupportedProblem` where ``problem.context`` is None. One that knows of no context ignores it, and then
sees of each arm the average over contexts: a control, not a contender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from .network import Design, Network
    from .replay import Replayed

__all__ = [
    "Agent",
    "Bound",
    "Context",
    "Environment",
    "Feedback",
    "FloatArray",
    "IntArray",
    "Job",
    "Output",
    "Problem",
    "Resources",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an agent may know beforehand of the contexts, which it sees before it acts.

    Attributes:
        n_features: Number of features d, at least 1.
        per_arm: Whether each arm has its own features, so that a context has the shape (d, K, B); else one vector
            goes with all arms, and the shape is (d, B).
        features: The features of every round, where they never change: shape (d, K, 1) if all replications share
            them, else (d, K, B). None where they are drawn anew.
        feature_norm: L, no vector of features is longer; None where that is unknown.
        feature_range: Interval that holds every feature; None where that is unknown.
        parameter_norm: S, the parameter of a linear model is at most that long; None where that is unknown or means
            are not linear.
    """

    n_features: int
    per_arm: bool
    features: FloatArray | None = None
    feature_norm: float | None = None
    feature_range: tuple[float, float] | None = None
    parameter_norm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What an agent may know of its environment. The means are not among it.

    Attributes:
        n_arms: Number of arms K.
        noise_sd: Known standard deviation of each arm's Gaussian reward noise, given the context, shape (K,); None
            where the rewards are not Gaussian or the level is unknown.
        reward_range: Interval that holds every reward; None where rewards are unbounded.
        observation_sd: Side information, shape (K, K): playing the row's arm shows the column's arm with Gaussian
            noise of this standard deviation, and nothing of it where the entry is infinite. None where only
            rewards are seen.
        context: What `Environment.observe` returns, as far as it is known beforehand; None where it returns None.
        arm_values: The number that each arm stands for, such as the value of a parameter to tune, shape (K,); None
            where arms are only names.
        horizon: Number of rounds T; None unless the agent declares ``uses_horizon = True``.
        best_action: The best action of a round; None unless the agent declares ``is_oracle = True``.
        informed_action: The best action as far as the round's context tells, where the environment knows it and it is
            not the best action itself; None unless the agent declares ``is_oracle = True``.
        n_learners: Number of learners N of a population; None where one learner plays alone.
        network: The learners' only way to exchange messages; None where one learner plays alone.
        design: What the designer of a population knows when it hands out arms and introduces peers; None where one
            learner plays alone.
        bandit: The bandit that each learner learns, shape (N,); None unless the agent declares
            ``knows_bandits = True``.
        play_in_turn: ``play_in_turn(t, learners, arm)`` plays the arms (G, B) of some learners (G,) before the others
            and returns their rewards; `Agent.act` must then return these arms. None unless the agent declares
            ``plays_in_turn = True``.
    """

    n_arms: int
    noise_sd: FloatArray | None = None
    reward_range: tuple[float, float] | None = None
    observation_sd: FloatArray | None = None
    context: Context | None = None
    arm_values: FloatArray | None = None
    horizon: int | None = None
    best_action: Callable[[int], IntArray] | None = None
    informed_action: Callable[[int], IntArray] | None = None
    n_learners: int | None = None
    network: Network | None = None
    design: Design | None = None
    bandit: IntArray | None = None
    play_in_turn: Callable[[int, IntArray, IntArray], FloatArray] | None = None

    @property
    def unseen_rewards(self) -> IntArray:
        """Arms that do not see themselves: playing one does not show its reward, which stands as 0 in the feedback."""
        if self.observation_sd is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(np.isinf(np.diag(self.observation_sd)))


@dataclass(slots=True)
class Feedback:
    """What one round gives back.

    The environment may reuse the arrays in the next round: copy what you keep.

    Attributes:
        reward: Reward of each replication's action, shape (B,), or (N, B) in a population.
        regret: Pseudo-regret of the action, best mean minus its mean, shape as ``reward``. For the log: an agent that
            reads it cheats, and a contract test says so.
        observations: What was seen of every arm, shape (K, B), 0 where nothing was; None without side information.
    """

    reward: FloatArray
    regret: FloatArray
    observations: FloatArray | None = None


@dataclass(frozen=True)
class Bound:
    """An asymptotic lower bound on regret, ``sum over segments of constant * log(rounds in the segment)``.

    A stationary environment has the one segment that starts at round 1, so its bound is ``constant * log(t)``.

    Attributes:
        name: What it is, as the legend of a figure prints it.
        constants: One constant per segment, shape (S,), or (S, B) where instances differ by replication.
        starts: First round of each segment, increasing, the first one 1.
        allocation: Plays of each arm per ``log(t)`` that the bound asks for, shape (K,); NaN for optimal arms, whose
            plays are free. None where unknown, or where segments or replications differ.
    """

    name: str
    constants: FloatArray
    starts: tuple[int, ...] = (1,)
    allocation: FloatArray | None = None

    @property
    def constant(self) -> float:
        """The constant C of ``C log(t)``; NaN where segments or replications differ."""
        return float(self.constants[0]) if self.constants.shape == (1,) else float("nan")

    def at(self, t: IntArray) -> FloatArray:
        """Value after round t: shape of ``t``, preceded by nothing or followed by (B,)."""
        t = np.asarray(t, dtype=np.int64)
        ends = np.append(np.asarray(self.starts[1:], dtype=np.int64), np.iinfo(np.int64).max)
        total = np.zeros(t.shape + self.constants.shape[1:])
        for constant, start, end in zip(self.constants, self.starts, ends, strict=True):
            rounds = np.clip(np.minimum(t, end - 1) - start + 1, 1, None)
            total = total + np.multiply.outer(np.log(rounds), constant)
        return total


class Agent(Protocol):
    """Chooses actions. Constructed as ``cls(problem, streams, *, parameters...)``.

    A class that sets ``needs_reward = False`` learns from observations, or not at all. Others are not given problems
    with arms whose reward is not seen. A class that sets ``plays_population = True`` plays all learners of a
    population, and nothing else.
    """

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication for round t: int64, shape (B,)."""

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb what round t gave back."""


class Environment(Protocol):
    """Owns the means and the noise. Constructed as ``cls(streams, *, parameters...)``.

    A registered class lists ``examples``, a tuple of parameter sets that show its uses; the contract tests play each.
    It may have ``log(t)``, further log columns of that round by name, each of the shape of a reward and summed over
    learners by default; ``watch(agent)``, called once with the agent that will play; ``remarks(agent)``, what a user
    should know before the two play, as lines; and ``more_bounds()``, bounds beside `bound`. One with a population has
    what agents may declare to know: ``bandit`` and ``play_in_turn`` of `Problem`.
    If it takes files or foreign objects for parameters, its static method ``resolve(given)`` returns the parameters
    with what they hold in their place, as plain data: see `bandits.specs`.
    """

    @property
    def problem(self) -> Problem:
        """What an agent may know."""

    def observe(self, t: int) -> Any:
        """Context of round t, of shape (d, K, B) or (d, B), or None. Called once before `step` of the round."""

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play round t."""

    def bound(self) -> Bound | None:
        """Lower bound on the regret of a consistent policy; None where none is known."""


@dataclass(frozen=True)
class Resources:
    """What one task of a job occupies while it runs."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_mib: int = 512


class Job(Protocol):
    """All that the scheduler knows of the work: a simulated cell, or a neural experiment."""

    @property
    def key(self) -> str:
        """Hash of what the job is; names its folder in the log."""

    @property
    def label(self) -> str:
        """What a person calls it."""

    @property
    def replications(self) -> int:
        """Number of replications asked for, R."""

    @property
    def resources(self) -> Resources:
        """What one task occupies."""

    def prepare(self) -> None:
        """Compile or load what `run` needs, once per process, so that timing does not count it."""

    def estimate(self) -> Estimate:
        """Predict cost from a short calibration on this machine."""

    def run(self, first: int, count: int) -> pa.Table | Output:
        """Run replications ``first .. first + count - 1`` and return their log rows, sorted."""

    def replay(self, logged: pa.Table, replication: int) -> Replayed:
        """Run a replication again and compare it with its rows in a part of the log."""


@dataclass(frozen=True)
class Output:
    """What a job returns that has more to give than log rows.

    Attributes:
        rows: Log rows, sorted.
        tensors: One row per (replication, tensor) kept for the report; None if there is none.
        facts: Plain data about how it was run, kept with the rows. Of ``notes``, lines that a user should read, and
            ``device`` run.json holds all.
    """

    rows: pa.Table
    tensors: pa.Table | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of a job.

    Attributes:
        seconds: Per replication, on one core.
        rows: Log rows per replication, in units of an ordinary row of some 28 bytes.
        chunk: Tasks are best a multiple of this many replications.
        least: Tasks of fewer replications waste time on what a task costs whatever its size.
        grain: Tasks begin and end at multiples of this many replications, but for the first and the last.
    """

    seconds: float
    rows: int
    chunk: int = 1
    least: int = 1
    grain: int = 1
