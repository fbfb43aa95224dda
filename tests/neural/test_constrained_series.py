"""The experiment on constrained series: what is asked, that batches do not matter, and what is logged."""

from __future__ import annotations

import pytest
import torch
from bandits.experiments.diffusion import constrained_series
from bandits.experiments.diffusion.constrained_series import EXPERIMENT, ConstrainedSeries
from bandits.experiments.diffusion.constrained_study import METHODS, constraints_of, judge, pick_windows

from bandits.neural.batch import Batch
from bandits.neural.noise import Noise
from bandits.neural.series import SERIES, load_series

CPU = torch.device("cpu")


def play(method, replications, **parameters):
    batch = Batch(3, replications, CPU)
    ConstrainedSeries(**{"series": "weather", "method": method, "samples": 3, "steps": 5, **parameters}).run(batch)
    return {name: values for _, name, values in batch.rows}, batch.tensors


def only(tensors):
    (tensor,) = tensors.values()
    return tensor


def test_the_declaration_names_what_there_is():
    assert set(constrained_series._METHODS) == set(METHODS)
    assert constrained_series.SERIES == SERIES
    assert len(EXPERIMENT.cells()) == 3 * (2 * (len(METHODS) + 2) - 1) + 4 * (4 + 2)
    assert len(EXPERIMENT.smoked().cells()) == 3 * (len(METHODS) - 1) + len(METHODS)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.usefixtures("days_of_power")
def test_references_satisfy_what_is_said_of_them(name, many):
    series = load_series(name)
    reference = pick_windows(series.test, Noise(1, [0, 1]), 4)
    assert reference.flatten(1).unique(dim=0).shape[0] >= 4
    constraints = constraints_of(series, reference, CPU, many=many)
    assert constraints.largest_violation(reference).max() < 1e-12
    assert constraints.largest_violation(reference.roll(1, 0)).min() > 1e-3, "each its own"
    if name == "stocks" and many:
        assert len(constraints.names) == 96 + 4 + 2 + 2 * 24


@pytest.mark.parametrize("method", METHODS)
def test_replications_do_not_depend_on_their_batch(method):
    whole, pictures = play(method, [0, 1, 2], prior="gaussian")
    alone, picture = play(method, [1], prior="gaussian")
    assert whole.keys() == alone.keys()
    for name, values in whole.items():
        assert alone[name][0] == pytest.approx(values[1], rel=1e-5, abs=1e-7), name
    assert abs(only(picture)[0] - only(pictures)[1]).max() < 1e-5
    assert only(pictures).shape == (3, 24, 2)
    assert (whole["violation"] == 0).all() == (method not in ("none", "rejection", "diff_time"))


@pytest.mark.parametrize(("method", "prior"), [("cps", "ts_eps"), ("cps", "ts_conv"), ("cop", "ts_conv")])
def test_each_replication_has_the_network_of_its_number(method, prior, tmp_path, monkeypatch):
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path))
    networks = {"models": 2, "train_steps": 3, "prior": prior}
    assert [need.seed for need in ConstrainedSeries(**networks).needs()] == [0, 1]
    assert ConstrainedSeries(**networks).networks == 2, "intervals are over networks, too"
    assert ConstrainedSeries(prior="gaussian").needs() == []
    assert ConstrainedSeries(prior="gaussian").networks is None
    whole, pictures = play(method, [3, 4, 5], **networks)
    for lane, replication in enumerate([3, 4, 5]):
        alone, picture = play(method, [replication], **networks)
        assert alone["dtw"][0] == pytest.approx(whole["dtw"][lane], rel=1e-5)
        assert abs(only(picture)[0] - only(pictures)[lane]).max() < 1e-4
    other, _ = play(method, [4], models=1, train_steps=3, prior=prior)
    assert other["dtw"][0] == pytest.approx(whole["dtw"][1], rel=1e-5), "4 is even: network 0 either way"
    other, _ = play(method, [3], models=1, train_steps=3, prior=prior)
    assert other["dtw"][0] != pytest.approx(whole["dtw"][0], rel=1e-5), "3 is odd: network 1, unless there is but one"


def test_real_series_are_judged_as_perfect():
    series = load_series("stocks")
    reference = pick_windows(series.test, Noise(1, [0, 1]), 6)
    pairs = reference.reshape(2, 6, *series.shape)
    measures = judge(series, constraints_of(series, reference, CPU, many=True), pairs, pairs)
    for name in ("violation", "violation_rate", "worst_violation", "dtw"):
        assert measures[name].abs().max() == 0
    assert measures["frechet"].max() < 1e-9
    assert measures["spread"].equal(measures["spread_real"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"series": "traffic"}, "series must be one of"),
        ({"method": "magic"}, "method must be one of"),
        ({"method": "exact"}, "needs prior='gaussian'"),
        ({"models": 0}, "models"),
        ({"samples": 1}, "samples"),
        ({"steps": 0}, "steps"),
        ({"eta": 2.0}, "eta"),
        ({"rho": -1.0}, "rho"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ConstrainedSeries(**parameters)
