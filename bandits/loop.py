"""The loop: one batch of replications of one cell, from round 1 to the horizon.

`play` drives an environment and an agent and records the log; `simulate` is the same for a notebook.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import zeros
from .errors import PlayError, in_one_line
from .kernels import count_pulls, kernel
from .protocol import Agent, Environment, FloatArray, IntArray, Problem

if TYPE_CHECKING:
    from .analysis import Log
    from .specs import Spec

__all__ = ["MIN_LANES", "batch_size", "play", "simulate"]

# A batch has at least two lanes: NumPy sums a (K, 1) array along its first axis in another order than a (K, B) one,
# so a lone lane would change the last bits of plain NumPy agents.
MIN_LANES = 2

_INT, _FLOAT = np.dtype(np.int64), np.dtype(np.float64)  # a comparison with these takes a third of the time
_STATE_BYTES = 600_000  # state that stays in a core's second-level cache


def batch_size(problem: Problem, replications: int) -> int:
    """Replications per batch: as many as fit the cache with about 24 bytes of state per arm and lane.

    Between 256 and 1024 lanes. With a context a lane also has the features, and matrices of d x d: one, or one per arm
    where all have the same features. That can be a lot, and then 32 lanes will do. In a population a lane is one
    learner of one replication, and 64 replications will do.
    """
    per_lane, least = 24 * problem.n_arms, 256
    if problem.context is not None:
        d, least = problem.context.n_features, 32
        vectors, matrices = (problem.n_arms, 1) if problem.context.per_arm else (1, problem.n_arms)
        per_lane += 8 * d * (vectors + d * matrices)
    lanes = max(least, min(1024, _STATE_BYTES // per_lane))
    if problem.n_learners is not None:
        lanes = max(64, lanes // problem.n_learners)
    return max(MIN_LANES, min(replications, lanes))


@kernel
def _first_invalid(action: IntArray, n_arms: int) -> int:
    """Lane of the first action outside 0..K-1, or -1."""
    invalid = 0
    for b in range(action.size):
        invalid |= (action[b] < 0) | (action[b] >= n_arms)
    if invalid:
        for b in range(action.size):
            if action[b] < 0 or action[b] >= n_arms:
                return b
    return -1


@kernel
def _accumulate(reward: FloatArray, regret: FloatArray, total_reward: FloatArray, total_regret: FloatArray) -> None:
    for b in range(reward.size):
        total_reward[b] += reward[b]
        total_regret[b] += regret[b]


@kernel
def _accumulate_learners(
    reward: FloatArray, regret: FloatArray, total_reward: FloatArray, total_regret: FloatArray
) -> None:
    """Add the rows (N, B) of a round to totals (1, B) over all learners, in their order, or (N, B) of each."""
    apart = total_reward.shape[0] > 1
    for i in range(reward.shape[0]):
        j = i if apart else 0
        for b in range(reward.shape[1]):
            total_reward[j, b] += reward[i, b]
            total_regret[j, b] += regret[i, b]


@kernel
def _count_learners_pulls(action: IntArray, pulls: IntArray) -> None:
    """Count the arms (N, B) of a round in (1, K, B) over all learners, or (N, K, B) of each."""
    apart = pulls.shape[0] > 1
    for i in range(action.shape[0]):
        j = i if apart else 0
        for b in range(action.shape[1]):
            pulls[j, action[i, b], b] += 1


def play(
    environment: Environment,
    agent: Agent,
    *,
    size: int,
    checkpoints: Iterable[int],
    extras: Iterable[str] = (),
) -> dict[str, Any]:
    """Play one batch up to the last checkpoint and return its log.

    Args:
        environment: The environment of the batch.
        agent: The agent of the batch.
        size: Number of replications B.
        checkpoints: Rounds to record, increasing; the last one is the horizon.
        extras: "pulls" records how often each arm was played; "learners" keeps the learners of a population apart,
            which are summed otherwise.

    Returns:
        ``regret`` and ``reward``, cumulative, float64 of shape (C, B) for C checkpoints; ``pulls``, int32 of
        shape (C, K, B), if asked for; and what ``environment.log(t)`` adds, each (C, B). Where learners are kept
        apart they are the second axis: (C, N, B) and (C, N, K, B).

    Raises:
        PlayError: The agent or the environment raised, or returned something of the wrong shape, type or range; its
            ``t`` is the round.
    """
    stops = list(checkpoints)
    n_arms, n_learners = environment.problem.n_arms, environment.problem.n_learners
    shape = (size,) if n_learners is None else (n_learners, size)
    context_shape = _context_shape(environment.problem, size)
    logged = shape if "learners" in extras else (size,)
    total_reward, total_regret = zeros(logged), zeros(logged)
    log: dict[str, Any] = {name: np.empty((len(stops), *logged)) for name in ("regret", "reward")}
    pulls = np.zeros((*logged[:-1], n_arms, size), dtype=np.int64) if "pulls" in extras else None
    pulls_log: Any = None if pulls is None else np.empty((len(stops), *pulls.shape), dtype=np.int32)
    accumulate, count = _accumulate, count_pulls
    totals, counts = (total_reward, total_regret), pulls
    if n_learners is not None:
        accumulate, count = _accumulate_learners, _count_learners_pulls
        totals = (total_reward.reshape(-1, size), total_regret.reshape(-1, size))
        counts = None if pulls is None else pulls.reshape(-1, n_arms, size)
    more_log = getattr(environment, "log", None)
    more: dict[str, list[Any]] = {}
    observe, act, step, update = environment.observe, agent.act, environment.step, agent.update

    t = played = 0
    try:
        for j, stop in enumerate(stops):
            for t in range(played + 1, stop + 1):
                context = observe(t)
                if context_shape is not None:
                    _check_context(context, context_shape, finite=t == stop)
                action = act(t, context)
                if type(action) is not np.ndarray or action.dtype != _INT or action.shape != shape:
                    action = _checked_action(action, shape)
                flat = action if n_learners is None else action.reshape(-1)
                if (lane := _first_invalid(flat, n_arms)) >= 0:
                    raise PlayError(
                        f"the agent chose arm {flat[lane]}, expected 0..{n_arms - 1} (lane {lane % size} of the batch)"
                    )
                feedback = step(t, action)
                reward, regret = feedback.reward, feedback.regret
                if reward.shape != shape or regret.shape != shape or reward.dtype != _FLOAT or regret.dtype != _FLOAT:
                    raise PlayError(f"the environment's reward and regret must be float64 of shape {shape}")
                accumulate(reward, regret, *totals)
                if counts is not None:
                    count(action, counts)  # before `update`, which may reuse the array
                update(t, action, feedback)
            played = stop
            if not (np.isfinite(total_regret).all() and np.isfinite(total_reward).all()):
                raise PlayError("the environment returned a reward or regret that is NaN or infinite, by this round")
            log["regret"][j], log["reward"][j] = total_regret, total_reward
            if pulls_log is not None:
                pulls_log[j] = pulls
            if more_log is not None:
                for name, values in more_log(t).items():
                    more.setdefault(name, []).append(np.array(values) if logged == shape else values.sum(axis=0))
    except PlayError as error:
        error.t = t if error.t is None else error.t
        raise
    except (Exception, SystemExit) as error:
        raise PlayError(in_one_line(error), t=t) from error
    if pulls_log is not None:
        log["pulls"] = pulls_log
    return log | {name: np.stack(rows) for name, rows in more.items()}


def _context_shape(problem: Problem, size: int) -> tuple[int, ...] | None:
    """Shape of a context, (d, K, B) or (d, B); None where the environment shows none."""
    if problem.context is None:
        return None
    d = problem.context.n_features
    return (d, problem.n_arms, size) if problem.context.per_arm else (d, size)


def _check_context(context: Any, shape: tuple[int, ...], *, finite: bool) -> None:
    """Refuse a context that agents would misread; whether its numbers are finite is checked if ``finite``."""
    if type(context) is not np.ndarray or context.shape != shape or context.dtype != np.float64:
        what = f"{context.dtype} of shape {context.shape}" if isinstance(context, np.ndarray) else repr(type(context))
        raise PlayError(f"the environment's context must be float64 of shape {shape}, got {what}")
    if finite and not np.isfinite(context).all():
        raise PlayError("the environment's context holds a number that is NaN or infinite")


def _checked_action(action: Any, shape: tuple[int, ...]) -> IntArray:
    """Accept any integer array of the right shape; refuse the rest with a message that names the remedy."""
    array = np.asarray(action)
    if array.shape != shape:
        each = "one arm per replication" if len(shape) == 1 else "one arm per learner and replication"
        raise PlayError(f"the agent's action has shape {array.shape}, expected {shape}: {each}")
    if array.dtype.kind not in "iu":
        raise PlayError(f"the agent's action has dtype {array.dtype}, expected int64: arms are counted from 0")
    return np.ascontiguousarray(array, dtype=np.int64)


def simulate(
    environment: Spec,
    agent: Spec,
    *,
    horizon: int,
    replications: int = 100,
    seed: int = 0,
    checkpoints: int | Iterable[int] = 200,
    extras: Iterable[str] = (),
) -> Log:
    """Play one agent on one environment in this process and return its log, as `load` does for a run.

    Args:
        environment: For instance ``environment("bernoulli", means=[0.9, 0.8])``.
        agent: For instance ``agent("ucb1", c=2.0)``.
        horizon: Number of rounds T.
        replications: Number of independent replications R.
        seed: Seed of all randomness.
        checkpoints: How many rounds to record (log-spaced), or which.
        extras: "pulls" records how often each arm was played; "learners" writes a row per learner of a population.

    Raises:
        UsageError: A name, parameter or size is wrong.
        PlayError: The agent or the environment broke while it played.
    """
    from .analysis import Log
    from .experiment import Experiment
    from .jobs import SimulationJob

    experiment = Experiment(
        name="simulate",
        environments=[environment],
        agents=[agent],
        horizon=horizon,
        replications=replications,
        seed=seed,
        checkpoints=checkpoints if isinstance(checkpoints, int) else tuple(checkpoints),
        extras=tuple(extras),
    )
    (cell,) = experiment.cells()
    return Log.in_memory([cell], {cell.key: SimulationJob(cell).run(0, replications)})
