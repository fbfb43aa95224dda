"""Pre-trained pipelines: ``--model`` from the command line to the report, what is refused, and which pipeline it is.

Pipelines are tiny random ones of the real classes.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion.photographs import RestorePhotographs
from bandits.experiments.diffusion.psld_study import EXPERIMENT as PSLD
from tiny_pipelines import ddim, diffusers, saved

from bandits import load, trial
from bandits.errors import BadParameter
from bandits.neural import pretrained, stable_diffusion
from bandits.neural.cache import size_of
from bandits.neural.errors import AdapterError
from bandits.neural.jobs import TrialJob
from bandits.neural.trials import TrialCell
from bandits.store import RunFolder, facts_of

pytestmark = pytest.mark.usefixtures("offline")  # nothing is downloaded


@pytest.fixture
def unmeasured(monkeypatch):
    """Cells run without a pilot before, in a third of the time."""
    monkeypatch.setattr(RestorePhotographs, "pilot", {})


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
        ("dtype=float16", "float16 overflows in gradients through the VAE: dtype is bfloat16, float32 or float64"),
        ("dtype=int8", "dtype must be one of float32, bfloat16, float64, got 'int8'"),
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
