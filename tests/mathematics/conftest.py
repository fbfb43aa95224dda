"""Shared by the tests of agents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bandits import Experiment, environment
from bandits.jobs import SimulationJob
from bandits.specs import Spec

ENVIRONMENTS = {
    "bernoulli": environment("bernoulli", means=[0.3, 0.6, 0.5, 0.2]),
    "gaussian": environment("gaussian", means=[0.1, 0.4, 0.3, 0.0], sd=[1.0, 0.5, 1.5, 0.7]),
}


@pytest.fixture
def same_bits_in_any_batch() -> Callable[..., None]:
    """Check that batches of 1, 7 and all replications give the same log."""

    def check(agent: Spec, on: str, horizon: int = 60) -> None:
        experiment = Experiment(
            name="batches", environments=[ENVIRONMENTS[on]], agents=[agent], horizon=horizon, replications=30, seed=5
        )
        (cell,) = experiment.cells()
        whole = SimulationJob(cell).run(0, 30)
        assert len(np.unique(whole["regret"].to_numpy())) > 10
        for batch in (1, 7):
            assert SimulationJob(cell, batch).run(0, 30).equals(whole)

    return check
