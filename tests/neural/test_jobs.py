"""Neural trials run as jobs: the same rows however they are cut, halved, killed or spread."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bandits.experiments.diffusion.gaussian_ddim import EXPERIMENT

import bandits
from bandits.neural import devices
from bandits.neural.batch import Batch
from bandits.neural.cache import ModelCache, size_of
from bandits.neural.errors import ShapeError
from bandits.neural.jobs import TrialJob
from bandits.neural.noise import Noise
from bandits.neural.sizes import sized
from bandits.protocol import Estimate
from bandits.registry import load_plugin
from bandits.runs import resume, start, verify
from bandits.scheduler import Settings, cut


def rows(place):
    frame = bandits.load(place).to_pandas()
    return frame.drop(columns="cell").sort_values(["trial", "replication", "step", "metric"], ignore_index=True)


def assert_close(a, b, tolerance=0.0):
    keys = ["trial", "replication", "step", "metric"]
    assert a[keys].equals(b[keys])
    assert len(a)
    np.testing.assert_allclose(a["value"], b["value"], rtol=tolerance, atol=tolerance)


@pytest.fixture
def reference(walks, tmp_path):
    """The experiment ``walks`` and its rows, run here in one go."""
    module = load_plugin(walks)
    start(module.EXPERIMENT, tmp_path / "reference")
    return module.EXPERIMENT, rows(tmp_path / "reference")


def test_ddim_with_exact_noise_samples_the_gaussian(tmp_path):
    finest = EXPERIMENT.replace(trials=EXPERIMENT.trials[-1:]).sweep("gaussian_ddim.steps", [1000])
    start(finest, tmp_path / "run")
    found = bandits.load(tmp_path / "run").summary().set_index("metric")
    # one step per index leaves the discretisation: below 1 % here, against 44 % with ten steps
    assert found.loc["mean", "low"] < 2.0 < found.loc["mean", "high"] + 0.01
    assert found.loc["variance", "mean"] == pytest.approx(0.25, rel=0.04)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_rows_do_not_depend_on_the_batch(reference, tmp_path, batch):
    experiment, expected = reference
    start(experiment, tmp_path / "other", batch=batch)
    assert_close(rows(tmp_path / "other"), expected, 1e-5)


def test_rows_do_not_depend_on_the_workers(reference, tmp_path):
    experiment, expected = reference
    run = start(experiment, tmp_path / "pool", Settings("pool", workers=2))
    assert not run.failures
    assert_close(rows(tmp_path / "pool"), expected)  # to the bit: batches have the same borders
    assert json.loads((tmp_path / "pool/run.json").read_text())["backend"] == "pool"


def test_more_replications_continue_a_run(reference, tmp_path):
    experiment, expected = reference
    start(experiment.replace(replications=6), tmp_path / "grown")
    resume(tmp_path / "grown", replications=10)
    assert_close(rows(tmp_path / "grown"), expected, 1e-5)


def test_a_batch_that_does_not_fit_is_halved_and_said(reference, tmp_path, bandits, walks):
    _, expected = reference
    given = (
        "run",
        "walks",
        "--plugin",
        walks,
        "--set",
        "walk.fits=1",
        "--backend",
        "serial",
        "--out",
        tmp_path / "tight",
    )
    answer = bandits(*given)
    assert answer.code == 0
    said = [line for line in answer.err.splitlines() if "out of memory" in line]
    assert [line.split("out of memory")[1] for line in said[:2]] == [
        " with 4 replications at once, goes on with 2",
        " with 2 replications at once, goes on with 1",
    ]
    assert json.loads((tmp_path / "tight/run.json").read_text())["notes"] == said
    found = rows(tmp_path / "tight")
    np.testing.assert_allclose(found["value"], expected["value"], rtol=1e-5, atol=1e-5)


def test_one_that_does_not_fit_alone_fails_with_its_number(bandits, walks, tmp_path):
    answer = bandits("run", "walks", "--plugin", walks, "--set", "walk.fits=0", "--out", tmp_path / "none")
    assert answer.code == 1
    assert "replication 0: one alone is too large: OutOfMemoryError: CUDA out of memory" in answer.err


def test_a_trial_that_breaks_costs_its_own_cell_only(bandits, walks, tmp_path):
    given = ("--sweep", "walk.breaks_at=[-1, 5]", "--out", tmp_path / "run")
    answer = bandits("run", "walks", "--plugin", walks, *given)
    assert answer.code == 1
    assert "replications 4-7: RuntimeError: the walk fell" in answer.err
    found = rows(tmp_path / "run").groupby("trial")["replication"].nunique()
    assert found["walk(steps=3, breaks_at=-1)"] == 10
    assert "walk(steps=3, breaks_at=5)" not in found


KILLED = """
import sys
from bandits.registry import load_plugin
from bandits.runs import start
from bandits.scheduler import Settings
if __name__ == "__main__":
    module = load_plugin(sys.argv[1])
    start(module.EXPERIMENT.override("walk.sleep", 0.4), sys.argv[2], Settings("serial"))
"""


def test_a_killed_run_resumes_to_the_same_rows(walks, tmp_path):
    script, place = tmp_path / "killed.py", tmp_path / "run"
    script.write_text(KILLED)
    process = subprocess.Popen([sys.executable, script, walks, place], env=os.environ)
    deadline = time.monotonic() + 60
    while not list(place.glob("log/*/*.parquet")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.read_bytes() for path in place.glob("log/*/*.parquet")}
    assert 1 <= len(before) < 6
    resume(place)
    assert all(path.read_bytes() == data for path, data in before.items())
    module = load_plugin(walks)
    start(module.EXPERIMENT.override("walk.sleep", 0.4), tmp_path / "whole", Settings("serial"))
    assert_close(rows(place), rows(tmp_path / "whole"))
    one, other = (bandits.load(p).tensors("walk(steps=3, sleep=0.4)", "path") for p in (place, tmp_path / "whole"))
    assert one.keys() == other.keys() == set(range(8))
    assert all((one[r] == other[r]).all() for r in one)


def test_verify_compares_bits_here_and_within_a_tolerance_elsewhere(reference, tmp_path, monkeypatch):
    place = tmp_path / "reference"
    assert all(finding.ok and finding.tolerance == 0 for finding in verify(place))
    change(place, 1e-7)
    assert not any(finding.ok for finding in verify(place))
    monkeypatch.setattr("bandits.neural.jobs.describe", lambda device: "cuda Imaginary 9000")
    assert all(finding.ok and finding.tolerance == 1e-5 for finding in verify(place))
    change(place, 1e-3)
    assert not any(finding.ok for finding in verify(place))


def change(place: Path, by: float) -> None:
    """Shift every value of the log."""
    for path in place.glob("log/*/*.parquet"):
        table = pq.ParquetFile(path).read()
        shifted = pa.array(table["value"].to_numpy() + by)
        pq.write_table(table.set_column(3, "value", shifted), path, use_dictionary=["replication"])


def test_run_json_and_parts_say_what_computed(reference, tmp_path):
    facts = json.loads((tmp_path / "reference/run.json").read_text())
    assert facts["devices"] == [f"{devices.describe(torch.device('cpu'))}, torch {torch.__version__}"]
    parts = sorted(tmp_path.glob("reference/log/*/*.parquet"))
    said = json.loads(pq.read_schema(parts[0]).metadata[b"bandits"])
    assert said["batches"][0] == [0, 4]
    assert pq.read_schema(parts[0]).names == ["replication", "step", "metric", "value"]


def test_tasks_keep_batches_whole():
    job = TrialJob(EXPERIMENT.cells()[0])
    tasks = list(cut(job, 10, 90, Estimate(seconds=0.1, rows=10, grain=16), target=4.0))
    assert [(task.first, task.count) for task in tasks] == [(10, 22), (32, 32), (64, 32), (96, 4)]


def test_a_metric_is_one_number_per_replication():
    batch = Batch(0, range(3), torch.device("cpu"))
    with pytest.raises(ShapeError, match=r"metric 'x' has shape \(2,\), expected one number each, \(3,\)"):
        batch.log(0, "x", torch.zeros(2))
    with pytest.raises(ShapeError, match="tensor 'x' has shape"):
        batch.keep("x", torch.zeros(2, 3))
    batch.log(0, "x", torch.zeros(3, dtype=torch.bfloat16, requires_grad=True))
    with pytest.raises(bandits.errors.BadParameter, match="metric 'x' is logged twice at step 0"):
        batch.log(0, "x", torch.zeros(3))
    batch.log(1, "x", torch.zeros(3))


def test_streams_of_a_sample_differ_by_salt():
    draws = [Noise(1, [5], salt=salt).normal(4) for salt in ((), (0,), (0, 0), (1,), ("data",), ("model",))]
    assert len({tuple(d.flatten().tolist()) for d in draws}) == 6
    assert (Noise(1, [3, 5]).normal(4)[1] == draws[0][0]).all()


def test_models_are_loaded_once_while_there_is_room():
    loaded = []

    def load(name):
        def make():
            loaded.append(name)
            return torch.nn.Linear(10, 10, bias=False)  # 400 bytes

        return make

    cpu, cache = torch.device("cpu"), ModelCache(limit=1000)
    for name in "abacab":
        model = cache.get(name, load(name), cpu)
    assert loaded == ["a", "b", "c", "b"]
    assert cache.held == 800
    assert not model.training
    assert not model.weight.requires_grad
    assert size_of(torch.zeros(3, dtype=torch.float64)) == 24


class TestDevices:
    """What a machine with GPUs would do, with a count that is made up: there is none here."""

    @pytest.fixture
    def two_gpus(self, monkeypatch):
        monkeypatch.setattr(devices, "gpu_count", lambda: 2)

    def test_a_gpu_is_taken_where_there_is_one(self, two_gpus):
        assert devices.device_for(Settings(), 0.5) == "cuda"
        assert devices.device_for(Settings(device="cpu"), 0.5) == "cpu"
        assert devices.device_for(Settings(), 0.0) == "cpu"

    def test_the_share_is_the_trials_unless_it_is_given(self, two_gpus, walks):
        load_plugin(walks)
        experiment = bandits.registry.lookup("experiment", "gpu_walks").target
        for settings, share in ((Settings(), 0.5), (Settings(gpus_per_job=0.25), 0.25), (Settings(device="cpu"), 0)):
            ((job,),) = experiment.stages(experiment.cells(), settings)
            assert job.resources.gpus == share

    def test_visible_gpus_are_those_of_the_environment(self, two_gpus, monkeypatch):
        assert devices.visible_gpus() == ["0", "1"]
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
        assert devices.visible_gpus() == ["3", "5"]

    def test_a_pool_gives_every_share_a_process_of_its_own(self, two_gpus, monkeypatch, walks, tmp_path):
        monkeypatch.setattr(TrialJob, "resources", property(lambda job: bandits.protocol.Resources(gpus=0.5)))
        module = load_plugin(walks)
        one = module.EXPERIMENT.replace(trials=module.EXPERIMENT.trials[:1], replications=32).override(
            "walk.sleep", 0.2
        )
        start(one, tmp_path / "run", Settings("pool", workers=3))
        gpus = bandits.load(tmp_path / "run").to_pandas("gpu")["value"]
        assert set(gpus) == {0.0, 1.0}

    def test_the_size_fits_the_device(self, walks, monkeypatch):
        load_plugin(walks)
        experiment = bandits.registry.lookup("experiment", "gpu_walks").target
        small, said = sized(experiment, Settings())
        assert small.replications == 2
        assert said == ("no GPU is visible: gpu_walks runs on the CPU at its smoke size (--full for the full size)")
        assert sized(experiment, Settings(), full=True)[0].replications == 10
        assert sized(experiment, Settings(device="cpu"), full=True)[1] == "gpu_walks runs on the CPU at full size"
        with pytest.raises(bandits.errors.UsageError, match="--device cpu --full"):
            sized(experiment, Settings(device="cuda"), full=True)
        monkeypatch.setattr(devices, "gpu_count", lambda: 2)
        assert sized(experiment, Settings()) == (experiment, None)
        assert sized(experiment, Settings(), smoke=True)[0].replications == 2

    @pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
    def test_a_share_is_part_of_a_gpu(self, share):
        with pytest.raises(bandits.errors.UsageError, match="share of a GPU"):
            Settings(gpus_per_job=share)
