"""Shares of a GPU, with a GPU that Ray is told of and that is not there."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
import pytest
import torch

from bandits import trial
from bandits.backends import RayBackend, Task
from bandits.errors import UsageError
from bandits.neural import devices
from bandits.neural.devices import computing, memory_limit, processes_per_gpu, torch_device
from bandits.neural.jobs import TrialJob
from bandits.neural.trials import TrialCell
from bandits.registry import entries, load_plugin, plugins

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens where torch sees no GPU")

MEETING = """
import os, time
from pathlib import Path
from bandits import register_trial

@register_trial("meeting")
class Meeting:
    \"\"\"Waits until so many processes are here at once, and logs how many it saw.\"\"\"

    gpus = 0.25

    def __init__(self, *, folder: str = "", wanted: int = 4) -> None:
        self.folder, self.wanted = folder, wanted

    def run(self, batch) -> None:
        mine = Path(self.folder) / f"{os.getpid()}-{batch.replications[0]}"
        mine.touch()
        late, most = time.monotonic() + 60, 0
        met = Path(self.folder).parent / "met"
        while not met.exists() and time.monotonic() < late:
            most = max(most, len(list(Path(self.folder).iterdir())))
            if most >= self.wanted:
                met.touch()
            time.sleep(0.02)
        time.sleep(0.3)
        most = max(most, len(list(Path(self.folder).iterdir())))
        batch.log(0, "seen", float(most))
        batch.log(0, "gpu", float(os.environ.get("CUDA_VISIBLE_DEVICES", "-1")))
        mine.unlink()
"""


@pytest.fixture(scope="module")
def ray():
    """A Ray with eight cores and one GPU, neither of which it looks for."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    quietly = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # a process keeps the mode in which Ray was first used
        ray.init(address="local", num_cpus=8, num_gpus=1, object_store_memory=2**27, **quietly)
        yield ray
        ray.shutdown()


@no_gpu
def test_four_jobs_share_a_gpu_and_a_fifth_waits(ray, plugin, tmp_path):
    load_plugin(plugin(MEETING, "meeting.py"))
    folder = tmp_path / "here"
    folder.mkdir()
    cell = TrialCell(trial("meeting", folder=str(folder), wanted=4), seed=1, replications=6)
    job = TrialJob(cell, device="cpu", gpus=0.25, batch=1)  # torch computes on the CPU: Ray alone believes in the GPU
    results = list(RayBackend(8, plugins=plugins()).run(iter([Task(job, r, 1) for r in range(6)])))
    assert [result.cause for result in results] == [None] * 6
    logged = [pq.read_table(io.BytesIO(result.data)).to_pandas().set_index("metric")["value"] for result in results]
    assert max(one["seen"] for one in logged) == 4
    assert {one["gpu"] for one in logged} == {0.0}


@no_gpu
def test_a_worker_without_the_gpu_that_it_was_given_says_so_in_one_line(ray, plugin, tmp_path):
    load_plugin(plugin(MEETING, "meeting.py"))
    job = TrialJob(TrialCell(trial("meeting", folder=str(tmp_path)), 1, 1), device="cuda", gpus=0.25)
    (result,) = RayBackend(8, plugins=plugins()).run(iter([Task(job, 0, 1)]))
    assert result.data is None
    assert result.cause.startswith(
        f"torch {torch.__version__} sees no GPU with CUDA_VISIBLE_DEVICES=0: install a torch"
    )
    assert "--device cpu" in result.cause
    assert "\n" not in result.cause


@no_gpu
def test_a_gpu_that_is_not_there_is_refused_where_it_is_asked_for(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(UsageError, match="sees no GPU here: install a torch built for CUDA"):
        torch_device("cuda")
    assert torch_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("share", "processes", "memory"),
    [(1.0, 1, None), (0.5, 2, 0.5), (0.25, 4, 0.25), (0.3, 3, 0.3), (1 / 3, 3, 1 / 3), (0.1, 10, 0.1), (0.7, 1, 0.7)],
)
def test_processes_and_their_memory_fit_on_a_gpu(share, processes, memory):
    assert processes_per_gpu(share) == processes
    assert memory_limit(share) == memory
    assert processes * (memory or 1.0) <= 1 + 1e-9


def test_a_job_without_a_share_has_no_limit():
    assert memory_limit(0.0) is None


def test_the_memory_of_a_share_is_set_and_put_back(monkeypatch):
    """With the calls to CUDA taken down, not made."""
    said = []
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: said.append((share, device))
    )
    gpu = torch.device("cuda:0")
    with computing(gpu, 0.25):
        assert said == [(0.25, gpu)]
        assert torch.are_deterministic_algorithms_enabled()
    assert said == [(0.25, gpu), (1.0, gpu)]
    assert not torch.are_deterministic_algorithms_enabled()
    with computing(gpu, 1.0):
        pass
    assert len(said) == 2


def test_all_trials_of_diffusion_ask_for_a_share():
    asking = {entry.name: getattr(entry.target, "gpus", 0.0) for entry in entries("trial")}
    drawing = ("restore_digits", "restore_mixture", "constrained_series", "digit_ddim")
    assert {asking[name] for name in drawing} == {0.25}


def test_slots_name_each_gpu_as_often_as_it_is_shared(monkeypatch):
    from bandits.scheduler import _slots

    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert _slots(0.5) == ["0", "0", "1", "1"]
    assert _slots(0.0) == []
