"""What `bandits bench --neural` measures: the ratio to one seed at a time, and how busy a GPU is."""

from __future__ import annotations

import time

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from bandits import trial
from bandits.errors import UsageError
from bandits.neural import bench
from bandits.neural.data import load_digits
from bandits.neural.jobs import TrialJob
from bandits.neural.recipes import RECIPES
from bandits.neural.trials import TrialCell


def test_it_states_the_ratio_of_its_two_speeds_and_that_both_log_the_same(bandits):
    found = bandits("bench", "--neural", "--device", "cpu", "--replications", 12, "--repeats", 1, "--json").json
    assert found["ratio"] == pytest.approx(found["seeds_per_s"] / found["alone_seeds_per_s"], rel=0.01)
    assert found["ratio"] > 1.5
    assert (found["batch"], found["steps"], found["ratio_target"]) == (12, 20, 5.0)
    assert found["largest_difference"] < 1e-5
    assert found["gpu_busy"] is None
    assert "not trained" in found["weights"]


def test_the_table_has_the_ratio_the_target_and_a_line_on_the_gpu(bandits):
    printed = bandits("bench", "--neural", "--device", "cpu", "--replications", 2, "--repeats", 1).out
    assert "digit UNet in float32, DDIM with 20 steps" in printed
    assert "at least 5" in printed
    assert printed.strip().endswith("GPU busy while sampling: not measured, for this ran on the CPU.")


def test_what_differs_is_seen():
    job = TrialJob(TrialCell(trial("digit_ddim", steps=1, training=0.0), 1, 2), batch=2)
    rows = job.run(0, 2).rows
    other = rows.set_column(3, "value", pc.add(rows["value"], 0.5))
    assert bench._apart(rows, rows) == 0
    assert bench._apart(other, rows) > 0.1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--neural", "--only", "W1"), "--only belongs to simulations"),
        (("--neural", "--horizon", 100), "--horizon belongs to simulations"),
        (("--neural", "--device", "tpu"), "device must be auto, cpu or cuda"),
        (("--device", "cpu"), "--device belongs to --neural"),
    ],
)
def test_wrong_requests_are_refused(bandits, arguments, says):
    answer = bandits("bench", *arguments)
    assert answer.code == 2
    assert says in answer.err


def test_without_torch_it_says_what_installs_it(bandits, monkeypatch):
    monkeypatch.setattr("bandits.neural.devices.has_torch", lambda: False)
    answer = bandits("bench", "--neural")
    assert answer.code == 2
    assert "pip install 'bandits[neural]'" in answer.err


def test_a_gpu_that_is_not_there_is_not_measured(monkeypatch):
    monkeypatch.setattr("bandits.neural.devices.gpu_count", lambda: 0)
    with pytest.raises(UsageError, match="no GPU is visible"):
        bench.measure_neural(device="cuda")


def test_the_busy_share_is_that_of_the_time_after_warming_up():
    start = time.perf_counter()
    share = bench.busy_share(lambda: time.sleep(0.01), lambda: float(time.perf_counter() - start > 0.2), 0.5, 0.01)
    assert share == 1.0
    assert bench.busy_share(lambda: time.sleep(0.01), lambda: 0.25, 0.1, 0.01) == 0.25


def test_the_busy_share_comes_from_the_driver_or_a_line_says_why_not(monkeypatch):
    monkeypatch.setattr(bench, "_BUSY_S", 0.2)
    monkeypatch.setattr(torch.cuda, "utilization", lambda: 60)
    assert bench._gpu_busy(lambda: time.sleep(0.02)) == (pytest.approx(0.6), "")

    def missing():
        raise ModuleNotFoundError("nvidia-ml-py")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    share, why = bench._gpu_busy(lambda: None)
    assert share is None
    assert "pip install 'bandits[neural]' (nvidia-ml-py is missing)" in why


@pytest.mark.parametrize("network", ["unet_eps", "pix_eps"])
def test_digits_do_not_depend_on_the_batch_and_are_judged_by_the_nearest_one(network):
    cell = TrialCell(trial("digit_ddim", network=network, steps=5, eta=0.5, training=0.0), 3, 8, keep=8)
    whole, parts = (TrialJob(cell, batch=size).run(0, 8) for size in (8, 3))
    digits, again = (np.stack(output.tensors["values"].to_pylist()) for output in (whole, parts))
    np.testing.assert_allclose(digits, again, rtol=1e-5, atol=1e-5)
    test = load_digits().test.flatten(1).numpy()
    nearest = [min(np.sqrt(np.mean((digit - image) ** 2)) for image in test) for digit in digits]
    rows = whole.rows.filter(pc.equal(whole.rows["metric"], "nearest"))
    np.testing.assert_allclose(rows["value"].to_numpy(), nearest, rtol=1e-4)


def test_its_networks_are_trained_as_their_recipes_say():
    for network in ("unet_eps", "pix_eps"):
        (need,) = trial("digit_ddim", network=network).build().needs()
        assert need.settings["steps"] == RECIPES[network].settings["steps"]
    assert trial("digit_ddim", training=0.0).build().needs() == []


def test_a_network_that_was_trained_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path))
    monkeypatch.setattr("bandits.neural.jobs._models", {})
    output = TrialJob(TrialCell(trial("digit_ddim", network="pix_eps", steps=2, training=0.001), 1, 2)).run(0, 2)
    assert output.facts["weights"][0].startswith("pix_eps-")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"network": "dit"}, "network must be one of unet_eps, pix_eps, got 'dit'"),
        ({"steps": 0}, "steps must be a whole number from 1 to 1,000"),
        ({"eta": 2.0}, r"eta must lie in \[0, 1\]"),
        ({"training": 1.5}, r"training must lie in \[0, 1\]"),
    ],
)
def test_bad_parameters_are_refused(parameters, says):
    with pytest.raises(Exception, match=says):
        trial("digit_ddim", **parameters).build()
