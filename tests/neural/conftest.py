"""A trial for the machinery's tests: cheap, with a network's shape, and with the ways to break that real ones have."""

from __future__ import annotations

import importlib.util
import socket

import pytest

if importlib.util.find_spec("torch") is None:  # the extra `neural` is not installed
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(
        1
    )  # as in a worker: two threads that wait for each other on a busy machine take 100 times as long

TRIAL = '''
import os, pathlib, time
from bandits import NeuralExperiment, register_experiment, register_trial, trial

@register_trial("walk")
class Walk:
    """A random walk through a small random network."""

    pilot = {"steps": 2}
    at_once = 4
    smaller_is_better = ("norm",)

    def __init__(self, *, steps: int = 6, fits: int = 1000, sleep: float = 0.0, breaks_at: int = -1) -> None:
        if steps < 1:
            raise ValueError(f"steps must be positive, got {steps}")
        self.steps, self.fits, self.sleep, self.breaks_at = steps, fits, sleep, breaks_at

    def run(self, batch) -> None:
        import torch

        if batch.size > self.fits:
            words = "CUDA out of memory. Tried to allocate 1 GiB"
            raise torch.cuda.OutOfMemoryError(words) if self.steps > 3 else RuntimeError(words)
        if self.breaks_at in batch.replications:
            raise RuntimeError("the walk fell")
        net, noise = batch.model("walk", lambda: torch.nn.Linear(3, 3)), batch.noise("steps")
        z = noise.normal(3)
        for step in range(1, self.steps + 1):
            z = torch.tanh(net(z)) + noise.normal(3)
            batch.log(step, "norm", z.norm(dim=1))
        time.sleep(self.sleep)
        batch.log(self.steps, "last", z[:, 0])
        batch.log(self.steps, "gpu", float(os.environ.get("CUDA_VISIBLE_DEVICES") or -1))
        batch.keep("path", z)
        batch.keep("picture", torch.tanh(noise.normal(1, 4, 4)))

@register_trial("wants_gpu")
class WantsGpu(Walk):
    """The same, on a share of a GPU."""

    gpus = 0.5

EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="walks", trials=[trial("walk"), trial("walk", steps=3)], replications=10, seed=3,
        smoke={"replications": 2, "*.steps": 2},
    )
)
register_experiment(
    NeuralExperiment(
        name="gpu_walks", trials=[trial("wants_gpu")], replications=10, smoke={"replications": 2, "*.steps": 2},
    )
)
'''


@pytest.fixture
def walks(plugin):
    """Path of a plug-in with the trials ``walk`` and ``wants_gpu`` and the experiments ``walks`` and ``gpu_walks``."""
    return plugin(TRIAL, "walks.py")


@pytest.fixture
def days_of_power(tmp_path, monkeypatch):
    """A folder with files in the form of sktime's on power demand, whose days are made up."""
    from neural_models import written_day

    folder = tmp_path / "sktime" / "datasets" / "data" / "ItalyPowerDemand"
    folder.mkdir(parents=True)
    (tmp_path / "sktime" / "__init__.py").touch()
    for part, days in (("TRAIN", range(67)), ("TEST", range(67, 1096))):
        lines = [",".join(f"{x:.6f}" for x in written_day(day).tolist()) + f":{1 + day % 2}" for day in days]
        head = ["#comment: with a colon", "@seriesLength 24", "@classLabel true 1 2", "@data"]
        (folder / f"ItalyPowerDemand_{part}.ts").write_text("\n".join(head + lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.fixture
def offline(monkeypatch):
    """Any attempt to reach a network fails the test; worker processes are reached through sockets of the machine."""

    def refuse(*_, **__):
        raise AssertionError("a download was tried")

    def connect(self, *place, connect=socket.socket.connect):
        return connect(self, *place) if self.family == socket.AF_UNIX else refuse()

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Folder of a tiny Stable Diffusion pipeline, which no test changes."""
    from tiny_pipelines import saved

    return saved(tmp_path_factory.mktemp("pipelines") / "tiny")
