"""Numbers from logs, against NumPy and hand computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bandits import Bound, agent, environment, load, simulate
from bandits.errors import BadParameter
from bandits.experiment import Experiment
from bandits.runs import start
from bandits.scheduler import Settings

ENVIRONMENT = environment("bernoulli", means=[0.9, 0.8, 0.5])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run in several uneven parts."""
    experiment = Experiment(
        name="analysis", environments=[ENVIRONMENT], agents=[agent("ucb1")], horizon=200, replications=11, seed=2
    )
    place = tmp_path_factory.mktemp("analysis") / "run"
    start(experiment, place, Settings("serial"))
    from bandits.runs import resume

    resume(place, Settings("serial"), replications=30)
    return place


def test_summary_equals_numpy_on_the_whole_log(run):
    log = load(run)
    (row,) = log.summary().to_dict("records")
    final = log.to_pandas(at=200)["regret"].to_numpy()
    assert len(final) == row["replications"] == 30
    low, high = stats.t.interval(0.95, 29, final.mean(), stats.sem(final))
    assert row["regret"] == pytest.approx(final.mean(), rel=1e-12)
    assert (row["low"], row["high"]) == (pytest.approx(low, rel=1e-10), pytest.approx(high, rel=1e-10))
    assert row["sd"] == pytest.approx(final.std(ddof=1), rel=1e-10)
    assert row["ratio"] == pytest.approx(final.mean() / row["bound"])


def test_the_curve_equals_numpy_at_every_checkpoint(run):
    log = load(run)
    curve = log.curve(log.cells[0])
    table = log.to_pandas().pivot(index="replication", columns="t", values="regret")
    assert curve.t.tolist() == table.columns.tolist()
    np.testing.assert_allclose(curve.mean, table.mean(), rtol=1e-12)
    np.testing.assert_allclose(curve.sd, table.std(), rtol=1e-9, atol=1e-12)


def test_simulate_returns_what_load_returns(run):
    played = simulate(ENVIRONMENT, agent("ucb1"), horizon=200, replications=30, seed=2)
    assert played.to_pandas().equals(load(run).to_pandas())


def test_simulate_needs_no_seed_to_be_reproducible_and_changes_with_it():
    a, b, c = (simulate(ENVIRONMENT, agent("ucb1"), horizon=50, replications=5, seed=s).to_pandas() for s in (0, 0, 1))
    assert a.equals(b)
    assert not a["reward"].equals(c["reward"])


def test_a_round_that_was_not_recorded_is_refused_with_the_nearest(run):
    with pytest.raises(BadParameter, match="round 7000 was not recorded; the nearest checkpoint is 200"):
        load(run).summary(at=7000)


def test_regret_never_falls_and_counts_gaps(run):
    """Pseudo-regret is a sum of the gaps 0, 0.1 and 0.4, whatever the rewards were."""
    table = load(run).to_pandas()
    steps = table.groupby("replication")["regret"].diff().dropna()
    assert (steps >= 0).all()
    tenths = table["regret"] * 10
    assert (tenths - tenths.round()).abs().max() < 1e-6


def test_lai_robbins_constants_are_the_published_ones():
    """Bernoulli (.9, .8, .5): 2.25209970 + .78304608; Gaussian: 2 sd^2 / gap each."""
    log = simulate(ENVIRONMENT, agent("ucb1"), horizon=10, replications=2)
    assert log.cells[0].bound.constants == pytest.approx([3.03514577], abs=1e-8)
    gaussian = environment("gaussian", means=[1.0, 0.5, 0.0], sd=[1.0, 2.0, 0.5])
    bound = simulate(gaussian, agent("ucb1"), horizon=10, replications=2).cells[0].bound
    assert bound.constants == pytest.approx([2 * 4 / 0.5 + 2 * 0.25 / 1.0])


def test_the_bound_of_two_segments_starts_afresh():
    bound = Bound("b", np.array([2.0, 3.0]), (1, 101))
    expected = [2 * np.log(100), 2 * np.log(100), 2 * np.log(100) + 3 * np.log(100)]
    assert bound.at(np.array([100, 101, 200])) == pytest.approx(expected)
    assert bound.at(np.array([1])) == pytest.approx([0.0])


def test_one_replication_has_no_interval():
    (row,) = simulate(ENVIRONMENT, agent("ucb1"), horizon=20, replications=1).summary().to_dict("records")
    assert row["regret"] >= 0
    assert np.isnan(row["low"])
