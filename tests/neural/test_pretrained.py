"""Photographs restored by pre-trained pipelines: ``--model`` from the command line to the report, and what is refused.

Pipelines are tiny random ones of the real classes. With a folder of a real one in BANDITS_STABLE_DIFFUSION a published
example of each method runs on it, too: that takes minutes on a GPU.
"""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion import restoration
from bandits.experiments.diffusion.photographs import LATENT, RestorePhotographs, on_photographs, weights_of
from bandits.experiments.diffusion.psld_study import EXPERIMENT as PSLD
from bandits.experiments.diffusion.restoration import photograph_operator
from bandits.experiments.diffusion.stsl_study import EXPERIMENT as STSL
from neural_models import noise
from tiny_pipelines import ddim, diffusers, saved

from bandits import load, trial
from bandits.errors import BadParameter, UsageError
from bandits.neural import data, pretrained, stable_diffusion
from bandits.neural.batch import Batch
from bandits.neural.cache import size_of
from bandits.neural.data import PHOTOGRAPHS, load_photographs
from bandits.neural.errors import AdapterError
from bandits.neural.jobs import TrialJob
from bandits.neural.trials import TrialCell
from bandits.store import RunFolder, facts_of

REAL = os.environ.get("BANDITS_STABLE_DIFFUSION")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Folder of a tiny pipeline, which no test changes."""
    return saved(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture
def unmeasured(monkeypatch):
    """Cells run without a pilot before, in a third of the time."""
    monkeypatch.setattr(RestorePhotographs, "pilot", {})


@pytest.fixture(autouse=True)
def nothing_is_downloaded(offline):
    pass


def values(place, metric="psnr"):
    """By trial, a metric of each replication."""
    opened = load(place)
    return {facts.trial: opened.values(facts, metric)[2] for facts in opened.trials}


# --- from the command line to the report ---


def test_psld_restores_photographs_with_a_pipeline(bandits, pipeline, tmp_path):
    answer = bandits("run", "psld", "--model", pipeline, "--out", tmp_path / "run", "--report", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert "psld runs on the CPU at its smoke size" in answer.err
    assert "Loading" not in answer.err
    opened = load(tmp_path / "run")
    methods = [facts.parameters["method"] for facts in opened.trials]
    assert methods == ["zero_fill", "codec_ceiling", "latent_dps", "gml_dps", "psld"] * 2
    digest = stable_diffusion.load(pipeline).digest
    for facts in opened.trials:
        assert set(opened.metrics(facts)) >= {"psnr", "ssim", "observed_mse", "hidden_mse", "nfe_forward"}
        kept = opened.kept(facts)
        assert {name: kept[name][1].shape for name in kept} == dict.fromkeys(
            ("truth", "measured", "restored"), (3, 16, 16)
        )
        assert (facts.parameters["model"], facts.parameters["weights"]) == (str(pipeline.resolve()), digest)
    folder = RunFolder.open(tmp_path / "run")
    parts = [part for facts in opened.trials for part in folder.parts(facts.cell)]
    assert all(facts_of(folder.read_part(part))["weights"] == [f"pipeline: {digest}"] for part in parts)
    page = (tmp_path / "run/report.html").read_text()
    figure = (tmp_path / "run/figures/what-trials-kept.svg").read_text()
    assert all(
        label in figure for label in ("truth (every trial)", "measured: zero_fill, box and", "restored: zero_fill, box")
    )
    assert f"bandits run psld --model {pipeline.resolve()} --smoke --replications 2 --seed 5" in page
    verified = bandits("verify", tmp_path / "run", "--sample", 1)
    assert verified.code == 0
    assert verified.out.count("every bit") == 10


@pytest.mark.parametrize(("name", "trials"), [("stsl", 21), ("inverse_problems", 35)])
def test_the_other_experiments_run_on_a_pipeline_too(bandits, pipeline, tmp_path, name, trials, unmeasured):
    given = ("--replications", 1, "--backend", "serial", "--out", tmp_path / "run")
    answer = bandits("run", name, "--model", pipeline, *given)
    assert answer.code == 0, answer.err
    found = values(tmp_path / "run")
    assert len(found) == trials
    assert all(np.isfinite(psnr).all() for psnr in found.values())


def test_a_longer_run_and_a_lost_part_end_at_the_numbers_of_one_run(bandits, pipeline, tmp_path, unmeasured):
    given = ("run", "psld", "--model", pipeline, "--backend", "serial")
    assert bandits(*given, "--replications", 4, "--out", tmp_path / "whole").code == 0
    assert bandits(*given, "--replications", 2, "--out", tmp_path / "part").code == 0
    lost = sorted((tmp_path / "part/log").glob("*/*.parquet"))[3]
    lost.unlink()
    facts = json.loads((tmp_path / "part/run.json").read_text())
    (tmp_path / "part/run.json").write_text(json.dumps(facts | {"status": "interrupted"}))
    assert bandits("resume", tmp_path / "part", "--replications", 4, "--backend", "serial").code == 0
    whole, part = values(tmp_path / "whole"), values(tmp_path / "part")
    assert whole.keys() == part.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], part[name])


def test_a_run_goes_on_with_a_copy_elsewhere_and_not_with_another_model(bandits, pipeline, tmp_path):
    place, away = shutil.copytree(pipeline, tmp_path / "here"), tmp_path / "away"
    run = tmp_path / "run"
    declared = tmp_path / "alone.py"
    declared.write_text(
        "from bandits import NeuralExperiment, trial\n"
        "one = [trial('restore_photographs', method='psld', operator='box', steps=2)]\n"
        "EXPERIMENT = NeuralExperiment(name='alone', trials=[trial('gaussian_ddim')], replications=1,\n"
        "    pretrained=NeuralExperiment(name='alone', trials=one, replications=2, smoke={'replications': 2}))\n"
    )
    assert bandits("run", declared, "--model", place, "--out", run).code == 0
    place.rename(away)
    assert "no Stable Diffusion pipeline at" in bandits("verify", run).err
    moved = bandits("verify", run, "--model", away)
    assert (moved.code, moved.out.count("every bit")) == (0, 1)
    assert bandits("resume", run, "--model", away, "--replications", 3).code == 0
    assert bandits("verify", run).code == 0, "a resumed run knows the new place"
    network = stable_diffusion.load(away).pipeline
    with torch.no_grad():
        network.unet.conv_out.bias += 1e-3
    network.save_pretrained(away)
    for command in (("verify", run), ("resume", run, "--replications", 4), ("verify", run, "--model", away)):
        answer = bandits(*command)
        assert answer.code == 2
        assert "is another than the run's: its digest is" in answer.err
        assert len(answer.err.strip().splitlines()) == 1


# --- what is refused before anything runs ---


def broken(folder, part):
    """A pipeline folder with a fault."""
    if part == "prediction":
        scheduler = ddim()
        scheduler.register_to_config(prediction_type="flow_prediction")
        return saved(folder, scheduler=scheduler)
    if part == "alphas":
        return saved(folder, scheduler=diffusers.FlowMatchEulerDiscreteScheduler())
    if part == "inpainting":
        return saved(folder, in_channels=9)
    if part in ("tokenizer", "text_encoder"):
        return saved(folder, **{part: None})
    place = saved(folder)
    if part == "unet":
        shutil.rmtree(place / part)
    elif part == "weights of the vae":
        (place / "vae/diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    else:
        (place / ("model_index.json" if part == "index" else "vae/config.json")).write_text("no JSON")
    return place


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("prediction", "prediction_type 'flow_prediction' is not known here: expected one of epsilon, v_prediction"),
        ("alphas", "FlowMatchEulerDiscreteScheduler has no alphas_cumprod"),
        ("inpainting", "takes 9 channels and gives 4, and a VAE of 4: pipelines for inpainting"),
        ("tokenizer", "has no tokenizer: it needs unet, vae, scheduler, text_encoder, tokenizer"),
        ("text_encoder", "has no text_encoder: it needs"),
        ("unet", "has no unet: it needs"),
        ("weights of the vae", "cannot be loaded: "),
        ("settings of the vae", "cannot be loaded: "),
        ("index", "model_index.json cannot be read: "),
    ],
)
def test_a_pipeline_that_cannot_be_used_is_refused_in_one_line(bandits, tmp_path, part, says):
    answer = bandits("run", "psld", "--model", broken(tmp_path / "model", part), "--out", tmp_path / "run")
    assert answer.code == 2
    assert says in answer.err
    assert len(answer.err.strip().splitlines()) == 1, answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("psld", "--model", "nowhere"), "no Stable Diffusion pipeline at 'nowhere': give a folder"),
        (("psld", "--model", "."), "no Stable Diffusion pipeline at '.'"),
        (("psld", "--model", "some-owner/some-model"), "nothing is downloaded"),
        (
            ("cps", "--model", "."),
            "'cps' has no trials for a pre-trained model: --model belongs to inverse_problems, psld, stsl",
        ),
        (("quickstart", "--model", "."), "--model belongs to neural experiments"),
    ],
)
def test_a_model_that_is_not_there_or_not_asked_for_is_refused(bandits, tmp_path, given, says):
    answer = bandits("run", *given, "--out", tmp_path / "run")
    assert answer.code == 2
    assert says in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("size=15", "size must be a multiple of 2, as the pipeline's VAE has it, got 15"),
        ("size=-2", "size must be a whole number from 0 to 4,096, got -2"),
        ("dtype=float16", "float16 overflows in gradients through the VAE: dtype is bfloat16 or float32"),
        ("dtype=int8", "dtype must be one of float32, bfloat16, got 'int8'"),
        ("weights=0000", "is another than the run's: its digest is"),
        ("method=dps", "method must be one of zero_fill, codec_ceiling, latent_dps"),
        ("factor=1", "factor must be a whole number from 2 to 4,096, got 1"),
    ],
)
def test_settings_that_do_not_fit_the_pipeline_are_refused(bandits, pipeline, tmp_path, setting, says):
    given = ("--set", f"restore_photographs.{setting}", "--out", tmp_path / "run")
    answer = bandits("run", "psld", "--model", pipeline, *given)
    assert answer.code == 2
    assert says in answer.err
    assert not (tmp_path / "run").exists()


def test_blocks_and_steps_are_checked_against_the_pipeline(pipeline, tmp_path):
    with pytest.raises(AdapterError, match="blocks of 3 x 3 do not tile images of 16 pixels"):
        RestorePhotographs(model=str(pipeline), operator="pool", factor=3).check()
    short = saved(tmp_path / "short", scheduler=ddim(num_train_timesteps=100))
    RestorePhotographs(model=str(short), steps=100).check()
    with pytest.raises(BadParameter, match="trained on 100 noise levels, got 101 steps"):
        RestorePhotographs(model=str(short), steps=101).check()


def test_a_model_is_needed():
    with pytest.raises(ValueError, match="give it with --model"):
        RestorePhotographs()
    with pytest.raises(BadParameter, match="no trial of 'psld' uses a pre-trained model"):
        PSLD.on("folder", "digest")


# --- which pipeline it is ---


def test_a_digest_is_of_weights_and_settings_and_of_nothing_else(pipeline, tmp_path):
    digest = stable_diffusion.load(pipeline).digest
    pickled = tmp_path / "pickled"
    stable_diffusion.load(pipeline).pipeline.save_pretrained(pickled, safe_serialization=False)
    assert not list(pickled.glob("unet/*.safetensors"))
    assert stable_diffusion.load(pickled).digest == digest
    for part, name, value, same in (
        ("unet", "_name_or_path", "elsewhere", True),
        ("scheduler", "prediction_type", "v_prediction", False),
        ("vae", "scaling_factor", 0.5, False),
    ):
        copy = shutil.copytree(pipeline, tmp_path / f"{part}-{name}")
        file = copy / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
        assert (stable_diffusion.load(copy).digest == digest) is same, name


def test_the_key_of_a_cell_hangs_on_the_digest_and_not_on_the_folder():
    def key(**parameters):
        return TrialCell(trial("restore_photographs", **parameters), 0, 1).key

    assert key(model="/a", weights="1") == key(model="/b", weights="1")
    assert len({key(model="/a", weights="1"), key(model="/a", weights="2"), key(model="/a"), key(model="/b")}) == 4


def test_a_pipeline_is_found_by_its_name_in_the_cache_of_the_hub(pipeline, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some-owner--some-model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0" * 40)
    shutil.copytree(pipeline, repository / "snapshots" / ("0" * 40))
    assert stable_diffusion.load("some-owner/some-model").digest == stable_diffusion.load(pipeline).digest
    assert pretrained.place_of("some-owner/some-model") == "some-owner/some-model"


def test_a_pipeline_is_loaded_once_per_process(pipeline, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        stable_diffusion, "load", lambda *a, once=stable_diffusion.load, **k: loaded.append(a) or once(*a, **k)
    )
    cell = TrialCell(trial("restore_photographs", model=str(pipeline), steps=1, operator="random"), 0, 6)
    pretrained._examined.clear()
    for _ in range(2):
        cell.trial.build().check()
    assert len(loaded) == 1
    TrialJob(cell).run(0, 6)
    assert len(loaded) == 2


def test_a_cached_pipeline_counts_each_weight_once(pipeline):
    adapter = stable_diffusion.load(pipeline)
    parts = (adapter.unet, adapter.vae, adapter.pipeline.text_encoder)
    weights = sum(p.numel() * 4 for part in parts for p in (*part.parameters(), *part.buffers()))
    assert weights <= size_of(adapter) < 1.05 * weights


# --- the trial ---


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


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}, {"checkpointing": True}])
def test_number_format_and_checkpointing_change_little(pipeline, monkeypatch, changes):
    given = {"model": str(pipeline), "operator": "box", "steps": 3}
    plain = restored(RestorePhotographs(**given), [0], monkeypatch)
    other = restored(RestorePhotographs(**given, **changes), [0], monkeypatch)
    tolerance = 0.2 if "dtype" in changes else 1e-5
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
