"""What can only be tried on a GPU: that it gives what the CPU gives, that memory runs out as it should, and its pace.

Skipped where torch sees no GPU. On a machine with one: ``pytest tests/neural -m cuda``.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from neural_models import TRIALS, named

from bandits import trial
from bandits.neural.bench import BUSY_TARGET, measure_neural
from bandits.neural.errors import NumericalError
from bandits.neural.guidance import Diffusion, play
from bandits.neural.jobs import TrialJob
from bandits.neural.noise import Noise
from bandits.neural.recipes import RECIPES, trained
from bandits.neural.schedule import linear
from bandits.neural.trials import TrialCell
from bandits.registry import load_plugin

GPU = "cuda"
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
    pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation"),  # asked for where there is one
]


@pytest.fixture(autouse=True)
def weights(tmp_path_factory, monkeypatch):
    """One cache for this file: both devices sample with the same weights."""
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path_factory.getbasetemp() / "cuda-cache"))
    monkeypatch.setattr("bandits.neural.jobs._models", {})
    monkeypatch.setattr("bandits.neural.jobs._fits", {})


@pytest.mark.parametrize("spec", TRIALS, ids=named)
def test_a_gpu_logs_and_keeps_what_the_cpu_does(spec):
    cell = TrialCell(spec, seed=4, replications=3, keep=3)
    on_cpu, on_gpu = (TrialJob(cell, device).run(0, 3) for device in ("cpu", GPU))  # trained on the CPU, by the first
    assert on_gpu.facts["device"].startswith(GPU)
    assert on_gpu.facts["weights"] == on_cpu.facts["weights"]
    a, b = (output.rows["value"].to_numpy() for output in (on_cpu, on_gpu))
    assert np.max(np.abs(a - b) / np.maximum(1, np.abs(a))) < 1e-5
    for one, other in zip(on_cpu.tensors.to_pylist(), on_gpu.tensors.to_pylist(), strict=True):
        np.testing.assert_allclose(one["values"], other["values"], atol=1e-5, rtol=0, err_msg=one["name"])


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_on_a_gpu(name):
    changes = {"steps": 5} | ({"codec_steps": 3} if "codec_steps" in RECIPES[name].settings else {})
    found = trained(name, 1, torch.device(GPU, 0), **changes)
    assert found.facts["device"] == GPU
    assert all(tensor.isfinite().all() for tensor in found.model.state_dict().values())


def test_draws_are_the_cpus_to_the_bit():
    for dtype in (torch.float32, torch.float64):
        here, there = (Noise(1, range(5), device, dtype) for device in ("cpu", torch.device(GPU, 0)))
        for _ in range(50):  # more than one buffer of locked memory is under way
            a, b = here.normal(7, 3), there.normal(7, 3)
            assert b.device.type == GPU
            assert torch.equal(a, b.cpu())
        assert torch.equal(here.permutation(9), there.permutation(9).cpu())
        assert torch.equal(here.uniform(4), there.uniform(4).cpu())


class Breaks:
    """NaN in sample 1 from index 600 on."""

    def eps(self, z, t, cond=None):
        broken = (t <= 600) & (torch.arange(len(z), device=z.device) == 1)
        return torch.where(broken.unsqueeze(-1), torch.nan, z)


def test_faults_are_reported_as_on_the_cpu():
    reported = []
    for device in ("cpu", torch.device(GPU, 0)):
        diffusion = Diffusion(Breaks(), linear(), Noise(3, range(4), device, torch.float64), steps=50)

        def update(z, t, earlier, diffusion=diffusion):
            eps, clean = diffusion.denoise(z, t)
            return diffusion.step(clean, eps, t, earlier)

        with pytest.raises(NumericalError) as caught:
            play(diffusion, diffusion.noise.normal(2), update)
        fault = caught.value
        reported.append((str(fault), fault.t, fault.step, fault.which, fault.state.cpu()))
    assert reported[0][:4] == reported[1][:4]
    torch.testing.assert_close(reported[0][4], reported[1][4], rtol=1e-9, atol=1e-9)


GREEDY = """
from bandits import register_trial

@register_trial("greedy")
class Greedy:
    \"\"\"Takes 64 MiB for each replication.\"\"\"

    at_once = 16
    gpus = 0.5

    def __init__(self) -> None:
        pass

    def run(self, batch) -> None:
        import torch

        room = torch.ones(batch.size, 2**24, device=batch.device)
        batch.log(0, "sum", room.sum(1) + batch.noise("x").normal())
"""


def test_a_batch_that_does_not_fit_into_its_share_is_halved_until_it_does(plugin):
    load_plugin(plugin(GREEDY, "greedy.py"))
    torch.cuda.empty_cache()
    share = (400 + torch.cuda.memory_reserved() / 2**20) * 2**20 / torch.cuda.get_device_properties(0).total_memory
    cell = TrialCell(trial("greedy"), seed=1, replications=16)
    tight = TrialJob(cell, GPU, gpus=share).run(0, 16)
    assert [note.split("out of memory ")[1] for note in tight.facts["notes"]] == [
        "with 16 replications at once, goes on with 8",
        "with 8 replications at once, goes on with 4",
    ]
    assert [size for _, size in tight.facts["batches"]] == [4] * 4
    whole = TrialJob(cell, "cpu").run(0, 16)
    np.testing.assert_allclose(tight.rows["value"].to_numpy(), whole.rows["value"].to_numpy(), rtol=1e-5)


def test_the_gpu_is_busy_while_the_unet_samples():
    found = measure_neural(device=GPU, repeats=1)
    if found["gpu_busy"] is None:
        pytest.skip(found["gpu_note"])
    assert found["gpu_busy"] >= BUSY_TARGET
    assert found["ratio"] >= found["ratio_target"]
