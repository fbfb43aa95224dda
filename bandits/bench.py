"""Measure the engine on this machine: nanoseconds per run-step beside the floor, the cost of the random numbers alone.

Every workload is played through the public loop with its environment and 200 checkpoints; loop and floor take turns
in the same run, CPU time counts, and the median of the repeats is reported. Quote the ratio: it travels between
machines, nanoseconds do not.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import UnknownName, did_you_mean
from .experiment import Experiment
from .jobs import SimulationJob
from .philox import NORMAL_SERIES, UNIFORM_SERIES
from .specs import Spec, agent, environment
from .streams import Streams, fill_normal_series, fill_uniform_series

__all__ = ["WORKLOADS", "Workload", "measure"]


_FLOOR_ROUNDS = 1024


@dataclass(frozen=True)
class Workload:
    """One line of the bench.

    Attributes:
        name: Short name.
        what: One line.
        environment, agent: The cell to play.
        normals, uniforms: Random numbers that one run-step needs: the floor.
        n_learners: Learners of a population; a step is then one learner's, and replications are as many fewer.
    """

    name: str
    what: str
    environment: Spec
    agent: Spec
    normals: int = 0
    uniforms: int = 0
    n_learners: int = 1


_GAUSSIAN = environment("gaussian", means=np.linspace(0.0, 0.9, 10).tolist(), sd=np.linspace(0.8, 1.2, 10).tolist())
_BERNOULLI = environment("bernoulli", means=np.linspace(0.1, 0.6, 10).tolist())
# All arms see all others; the variances are the hundred quantiles of exp(N(0, 1/2)), scattered over the matrix.
_NORMAL = statistics.NormalDist()
_SIGMA = [
    [math.exp(0.25 * _NORMAL.inv_cdf((37 * (10 * i + j) % 100 + 0.5) / 100)) for j in range(10)] for i in range(10)
]
_SIDE = environment("gaussian_side_observations", means=np.linspace(0.0, 0.9, 10).tolist(), sigma=_SIGMA)
_LINEAR = environment("linear", n_arms=10, n_features=10)
# The same levels where each arm sees itself and three in ten of the others, so that the program has something to solve.
_SPARSE = environment(
    "gaussian_side_observations",
    means=np.linspace(0.0, 0.9, 10).tolist(),
    sigma=[
        [_SIGMA[i][j] if i == j or (53 * (10 * i + j) + 7) % 100 < 30 else math.inf for j in range(10)]
        for i in range(10)
    ],
)

_POPULATION = environment("collaborative", n_learners=24, n_bandits=4, n_arms=40)

WORKLOADS = (
    Workload("W1", "Gaussian UCB1, K = 10", _GAUSSIAN, agent("ucb1"), normals=1),
    Workload("W2", "Bernoulli Thompson (Beta), K = 10", _BERNOULLI, agent("thompson_beta"), normals=20, uniforms=21),
    Workload("W2b", "Gaussian Thompson, K = 10", _GAUSSIAN, agent("thompson_gaussian"), normals=11),
    Workload("W3", "Pooled UCB, all K = 10 arms observed", _SIDE, agent("pooled_ucb"), normals=10),
    Workload(
        "W4",
        "LP tracking, program re-solved in every round, K = 10",
        _SPARSE,
        agent("lp_tracking", always_solve=True),
        normals=10,
    ),
    Workload("W4b", "LP tracking as it runs, K = 10", _SPARSE, agent("lp_tracking"), normals=10),
    Workload(
        "W5",
        "24 learners, no communication, K = 40; per learner-step",
        _POPULATION,
        agent("isolated_ucb"),
        uniforms=1,
        n_learners=24,
    ),
    Workload(
        "W5b",
        "24 learners on 4 bandits, gossip, K = 40; per learner-step",
        _POPULATION,
        agent("gosine_context_unaware"),
        uniforms=1,
        n_learners=24,
    ),
    Workload("W6", "LinUCB, K = 10 arms with d = 10 fresh features each", _LINEAR, agent("linucb"), normals=101),
    Workload("numpy", "Gaussian UCB1 in plain NumPy, K = 10", _GAUSSIAN, agent("ucb1_numpy"), normals=1),
)


def measure(
    only: Sequence[str] = (), *, replications: int = 1000, horizon: int = 10_000, repeats: int = 5
) -> list[dict[str, Any]]:
    """Measure workloads.

    Returns:
        One record each: workload, what, ns_per_run_step, floor_ns, ratio, batch, horizon, repeats.

    Raises:
        UnknownName: ``only`` names no workload.
    """
    names = {workload.name for workload in WORKLOADS}
    for name in only:
        if name not in names:
            raise UnknownName(
                f"there is no workload '{name}'.{did_you_mean(name, names)} There are: {', '.join(sorted(names))}"
            )
    chosen = [workload for workload in WORKLOADS if not only or workload.name in only]
    return [_measure(workload, replications, horizon, repeats) for workload in chosen]


def _measure(workload: Workload, replications: int, horizon: int, repeats: int) -> dict[str, Any]:
    lanes = replications
    if workload.n_learners > 1:
        replications = max(2, min(64, replications // 4))  # what the engine takes for a batch
        lanes = replications * workload.n_learners
    experiment = Experiment(
        name="bench",
        environments=[workload.environment],
        agents=[workload.agent],
        horizon=horizon,
        replications=replications,
    )
    (cell,) = experiment.cells()
    job = SimulationJob(cell, batch=replications)
    draw = _floor(workload, lanes)
    job.run(0, 2)  # compile
    draw()
    loop, floor = [], []
    for _ in range(repeats):
        loop.append(_cpu_seconds(lambda: job.run(0, replications)) / (lanes * horizon))
        floor.append(_cpu_seconds(draw) / (lanes * _FLOOR_ROUNDS))
    ns, floor_ns = statistics.median(loop) * 1e9, statistics.median(floor) * 1e9
    return {
        "workload": workload.name,
        "what": workload.what,
        "ns_per_run_step": round(ns, 3),
        "floor_ns": round(floor_ns, 3),
        "ratio": round(ns / floor_ns, 3),
        "batch": replications,
        "horizon": horizon,
        "repeats": repeats,
    }


def _floor(workload: Workload, size: int) -> Callable[[], None]:
    """What draws the numbers of `_FLOOR_ROUNDS` rounds, as fast as the generator fills arrays."""
    key = Streams(0, size).reward.key
    block = np.empty((16, size))

    def draw() -> None:
        for t in range(0, _FLOOR_ROUNDS, 16):
            for _ in range(workload.normals):
                fill_normal_series(block, key, t, NORMAL_SERIES)
            for _ in range(workload.uniforms):
                fill_uniform_series(block, key, t, UNIFORM_SERIES)

    return draw


def _cpu_seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
