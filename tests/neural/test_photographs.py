"""The trial that restores photographs with a pre-trained pipeline: its models, batches, images, weights and operators.

Pipelines are tiny random ones of the real classes. With a folder of a real one in BANDITS_STABLE_DIFFUSION a published
example of each method runs on it, too: that takes minutes on a GPU.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion import restoration
from bandits.experiments.diffusion.photographs import LATENT, RestorePhotographs, on_photographs, weights_of
from bandits.experiments.diffusion.psld_study import EXPERIMENT as PSLD
from bandits.experiments.diffusion.restoration import photograph_operator
from bandits.experiments.diffusion.stsl_study import EXPERIMENT as STSL
from neural_models import noise
from tiny_pipelines import diffusers

from bandits import trial
from bandits.errors import UsageError
from bandits.neural import data, pretrained, stable_diffusion
from bandits.neural.batch import Batch
from bandits.neural.data import PHOTOGRAPHS, load_photographs
from bandits.neural.jobs import TrialJob
from bandits.neural.trials import TrialCell

REAL = os.environ.get("BANDITS_STABLE_DIFFUSION")
pytestmark = pytest.mark.usefixtures("offline")  # nothing is downloaded


def restored(trial_, replications, monkeypatch):
    """Images that a trial restores, before they are made small for the report."""
    found = []
    monkeypatch.setattr(trial_, "_log", lambda batch, run, x, operator, truth: found.append(run.x))
    batch = Batch(1, replications, torch.device("cpu"))
    trial_.run(batch)
    return found[0]


@pytest.mark.parametrize("method", LATENT)
def test_what_is_restored_does_not_depend_on_the_batch(pipeline, monkeypatch, method):
    """STSL starts from noise: its inversion through a random network takes rounding to about 2e-5."""
    options = {"start_from": "gaussian"} if method.startswith("stsl") else {}
    one = RestorePhotographs(model=str(pipeline), method=method, operator="motion_blur", steps=3, options=options)
    three = restored(one, [4, 5, 6], monkeypatch)
    assert three.shape == (3, 3, 16, 16)
    for i in range(3):
        alone = restored(one, [4 + i], monkeypatch)
        assert float((three[i] - alone[0]).abs().max()) < 1e-5 * max(1.0, float(alone.abs().max()))


@pytest.mark.parametrize("method", LATENT)
def test_in_float64_the_batch_does_not_matter_wherever_a_method_starts(pipeline, monkeypatch, method):
    one = RestorePhotographs(model=str(pipeline), method=method, operator="motion_blur", steps=3, dtype="float64")
    eight = restored(one, range(8), monkeypatch)
    assert eight.dtype == torch.float64
    apart = [restored(one, part, monkeypatch) for part in (range(3), range(3, 6), [6], [7])]
    assert float((eight - torch.cat(apart)).abs().max()) < 1e-9


def test_the_last_alpha_the_offset_and_the_empty_prompt_are_the_pipelines(pipeline, monkeypatch):
    asked = {}

    def spy(method, operator, y, noise, schedule, **parameters):
        asked.update(parameters, schedule=schedule)
        return restore(method, operator, y, noise, schedule, **parameters)

    restore = restoration.restore
    monkeypatch.setattr(restoration, "restore", spy)
    batch = Batch(1, [0], torch.device("cpu"))
    RestorePhotographs(model=str(pipeline), steps=5, prompt="abc", scale=3.0).run(batch)
    adapter = stable_diffusion.load(pipeline)
    assert asked["schedule"].final_alpha == adapter.schedule.final_alpha < 1
    assert asked["offset"] == 1
    assert torch.equal(asked["cond"], adapter.prompt("abc"))
    assert torch.equal(asked["uncond"], adapter.prompt(""))
    assert asked["scale"] == 3.0


def test_as_many_steps_as_indices_start_at_the_last_one(pipeline):
    """The library breaks off there: with its offset of 1 it asks for an index 1000."""
    adapter = stable_diffusion.load(pipeline)
    scheduler = diffusers.DDIMScheduler.from_config(adapter.pipeline.scheduler.config)
    scheduler.set_timesteps(1000)
    assert int(scheduler.timesteps[0]) == 1000
    assert [adapter.first(steps) for steps in (5, 50, 999, 1000)] == [1, 1, 1, 0]
    times = adapter.schedule.steps(1000, adapter.first(1000))
    assert (times[0], times[-1]) == ((999, 998), (0, -1))


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}, {"dtype": "float64"}, {"checkpointing": True}])
def test_number_format_and_checkpointing_change_little(pipeline, monkeypatch, changes):
    given = {"model": str(pipeline), "operator": "box", "steps": 3}
    plain = restored(RestorePhotographs(**given), [0], monkeypatch)
    other = restored(RestorePhotographs(**given, **changes), [0], monkeypatch)
    tolerance = 0.2 if changes.get("dtype") == "bfloat16" else 1e-5
    assert float((plain - other).abs().max()) < tolerance * float(plain.abs().max())
    assert ("dtype" in changes) is not torch.equal(plain, other)


def test_a_batch_that_does_not_fit_is_halved(pipeline, monkeypatch):
    def tight(method, operator, y, *rest, restore=restoration.restore, **parameters):
        if len(y) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return restore(method, operator, y, *rest, **parameters)

    cell = TrialCell(trial("restore_photographs", model=str(pipeline), steps=2, operator="box"), 0, 4)
    expected = TrialJob(cell, batch=1).run(0, 4)
    monkeypatch.setattr(restoration, "restore", tight)
    found = TrialJob(cell).run(0, 4)
    assert found.facts["notes"] == [f"{cell.label}: out of memory with 2 replications at once, goes on with 1"]
    assert found.rows.equals(expected.rows)


def test_pictures_for_the_report_are_small_and_coarse(pipeline):
    x = noise(0, 1).uniform(3, 512, 512) * 4 - 2
    small = RestorePhotographs(model=str(pipeline)).picture(x)
    assert small.shape == (2, 3, 256, 256)
    assert small.abs().max() <= 1
    assert len(((small + 1) * 127.5).unique()) <= 256
    assert torch.allclose(small[0, 0, 0, 0], x[0, 0, :2, :2].mean().clamp(-1, 1), atol=1 / 255)


def test_one_line_says_that_a_large_pipeline_is_slow_on_the_cpu(pipeline):
    from bandits.scheduler import Settings

    declared = pretrained.with_model(PSLD, str(pipeline))
    assert pretrained.remark(declared, Settings()) is None
    large = declared.override("*.size", 512)
    assert "images of 512 pixels on the CPU" in pretrained.remark(large, Settings(device="cpu"))


# --- photographs, weights and operators ---


def test_photographs_lie_inside_the_packages_and_are_cut_from_the_middle():
    from PIL import Image

    images = load_photographs(range(len(PHOTOGRAPHS)), 32)
    assert images.shape == (10, 3, 32, 32)
    assert -1 <= float(images.min()) < -0.8
    assert 0.8 < float(images.max()) <= 1
    assert len({image.numpy().tobytes() for image in images}) == 10
    coffee = np.array(Image.open(data._photograph("skimage", "data/coffee.png")))  # 400 x 600
    number = PHOTOGRAPHS.index(("skimage", "data/coffee.png"))
    whole = ((load_photographs([number], 400)[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(whole, coffee[:, 100:500])


def test_a_photograph_that_is_not_installed_names_its_package():
    with pytest.raises(UsageError, match=r"comes inside scikit-image: pip install 'bandits\[neural\]'"):
        data._photograph("skimage", "data/no_such.png")


def test_weights_are_those_of_the_authors_code_for_the_box():
    assert weights_of("psld", "box") == {"omega": 0.1, "gamma": 0.01}
    assert weights_of("latent_dps", "box") == {"omega": 0.1}
    assert weights_of("psld", "random") == weights_of("stsl", "box") == weights_of("zero_fill", "box") == {}
    assert on_photographs("psld", "box", 10, options={"gamma": 0.5}).given["options"] == {"omega": 0.1, "gamma": 0.5}


@pytest.mark.parametrize(("side", "size"), [(512, 121), (256, 61), (768, 183), (16, 5)])
def test_kernels_have_the_sizes_of_the_authors_code(side, size, monkeypatch):
    kernels = []
    monkeypatch.setattr(restoration, "Blur", lambda kernel, shape: kernels.append(kernel))
    for name in ("gaussian_blur", "motion_blur"):
        photograph_operator(name, (3, side, side), noise(0))
    assert [kernel.shape for kernel in kernels] == [(1, size, size)] * 2
    offsets = torch.arange(size) - size // 2
    if side > 16:  # there the kernel is cut off before its tails end
        assert float((kernels[0][0].sum(1) * offsets**2).sum().sqrt()) == pytest.approx(3.0, rel=1e-3)
    assert photograph_operator("pool", (3, side, side), noise(0), 4).out_shape == (3, side // 4, side // 4)


def test_experiments_on_a_pipeline_hold_in_both_sizes(pipeline):
    for experiment in (PSLD, STSL):
        declared = pretrained.with_model(experiment, str(pipeline))
        full, small = declared.cells(), declared.smoked().cells()
        assert len(full) == len(small) >= 10
        assert max(cell.trial.parameters["steps"] for cell in full) == 1000
        assert max(cell.trial.parameters["steps"] for cell in small) <= 3
        assert {cell.gpus for cell in full} == {1.0}


# --- a real pipeline, where there is one ---


@pytest.mark.skipif(not REAL, reason="BANDITS_STABLE_DIFFUSION names no folder of a real pipeline")
@pytest.mark.parametrize(("method", "operator", "steps"), [("psld", "box", 1000), ("stsl", "pool", 50)])
def test_a_published_example_of_each_method_on_a_real_pipeline(method, operator, steps):
    """The settings of `weights_of` on one photograph: what was measured is fitted better than by the codec alone."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for one in (method, "codec_ceiling", "zero_fill"):
        given = {"options": weights_of(one, operator), "factor": 8}
        batch = Batch(1, [0], device)
        RestorePhotographs(method=one, operator=operator, steps=steps, model=REAL, **given).run(batch)
        found[one] = {metric: float(value[0]) for _, metric, value in batch.rows}
    assert found["zero_fill"]["psnr"] < found[method]["psnr"] < found["codec_ceiling"]["psnr"]
