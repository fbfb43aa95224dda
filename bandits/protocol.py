"""What agents, environments and jobs implement: the contracts of the engine.

A batch plays B replications in step; B is always the last axis and contiguous. One round is

    context  = environment.observe(t)          # None where there is none
    action   = agent.act(t, context)           # int64, shape (B,)
    feedback = environment.step(t, action)     # reward and pseudo-regret, float64, shape (B,)
    agent.update(t, action, feedback)

Rounds are counted from 1. No lane may influence another, not even in its last bits: reduce over arms with NumPy's
sums or `np.einsum`, not with `@`, which adds up in an order that depends on the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Agent",
    "Bound",
    "Environment",
    "Feedback",
    "FloatArray",
    "IntArray",
    "Job",
    "Problem",
    "Resources",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What an agent may know of its environment. The means are not among it.

    Attributes:
        n_arms: Number of arms K.
        noise_sd: Known standard deviation of each arm's Gaussian reward noise, shape (K,); None where the
            rewards are not Gaussian or the level is unknown.
        reward_range: Interval that holds every reward; None where rewards are unbounded.
        observation_sd: Side information, shape (K, K): playing the row's arm shows the column's arm with Gaussian
            noise of this standard deviation, and nothing of it where the entry is infinite. None where only
            rewards are seen.
        horizon: Number of rounds T; None unless the agent declares ``uses_horizon = True``.
        best_action: The best action of a round; None unless the agent declares ``is_oracle = True``.
    """

    n_arms: int
    noise_sd: FloatArray | None = None
    reward_range: tuple[float, float] | None = None
    observation_sd: FloatArray | None = None
    horizon: int | None = None
    best_action: Callable[[int], IntArray] | None = None

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
        reward: Reward of each replication's action, shape (B,).
        regret: Pseudo-regret of the action, best mean minus its mean, shape (B,). For the log: an agent that
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
    with arms whose reward is not seen.
    """

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication for round t: int64, shape (B,)."""

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb what round t gave back."""


class Environment(Protocol):
    """Owns the means and the noise. Constructed as ``cls(streams, *, parameters...)``.

    A registered class lists ``examples``, a tuple of parameter sets that show its uses; the contract tests play each.
    If it takes files or foreign objects for parameters, its static method ``resolve(given)`` returns the parameters
    with what they hold in their place, as plain data: see `bandits.specs`.
    """

    @property
    def problem(self) -> Problem:
        """What an agent may know."""

    def observe(self, t: int) -> Any:
        """Context of round t, or None."""

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

    def run(self, first: int, count: int) -> pa.Table:
        """Run replications ``first .. first + count - 1`` and return their log rows, sorted."""


@dataclass(frozen=True)
class Estimate:
    """Predicted cost of a job.

    Attributes:
        seconds: Per replication, on one core.
        rows: Log rows per replication, in units of an ordinary row of some 28 bytes.
        chunk: Tasks are best a multiple of this many replications.
        least: Tasks of fewer replications waste time on what a task costs whatever its size.
    """

    seconds: float
    rows: int
    chunk: int = 1
    least: int = 1
