"""Training: killed or not, the same weights; kept under what decides them; judged before they are used."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import bandits
from bandits import NeuralExperiment, load, trial
from bandits.errors import BadParameter, PlayError, UnknownName, UsageError
from bandits.neural import recipes, training
from bandits.neural.data import load_digits
from bandits.neural.errors import NumericalError, WeightsNotFound
from bandits.neural.recipe_settings import SETTINGS, changed
from bandits.neural.recipes import is_trained, trained
from bandits.neural.training import obtain
from bandits.neural.training_jobs import TrainingJob
from bandits.neural.trials import Training, TrainingCell
from bandits.registry import load_plugin
from bandits.runs import resume, start, verify
from bandits.scheduler import Settings

SMALL = {"steps": 40, "width": 32}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("bandits.neural.jobs._models", {})
    return tmp_path / "cache"


def digest_of_tensors(tensors):
    model = torch.nn.Module()
    model.state_dict = lambda: tensors
    return training.digest_of(model)


def digest(name="ae16", seed=0, **settings):
    return trained(name, seed, **{**SMALL, **settings}).facts["digest"]


@pytest.mark.parametrize("name", ["ae16", "pix_eps"])
def test_a_killed_training_ends_at_the_same_weights(name, cache, monkeypatch):
    whole = trained(name, **SMALL).facts
    for path in cache.glob("weights/*"):
        path.unlink()
    monkeypatch.setattr(training, "CHECKPOINT_S", 0.0)
    steps = []

    def die(line):
        steps.append(line)
        if len(steps) % 15 == 0:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(name, report=die, **SMALL)
    again = trained(name, report=die, **SMALL).facts
    assert steps[15] == "goes on from step 15 of 40"
    assert again["digest"] == whole["digest"]
    assert again["curve"] == whole["curve"]
    assert not list(cache.glob("weights/*.checkpoint*"))


def test_a_model_is_trained_once_and_kept_without_pickle(cache):
    first = trained("ae16", **SMALL)
    (weights,) = cache.glob("weights/*.safetensors")
    written = weights.stat().st_mtime_ns
    again = trained("ae16", **SMALL)
    assert weights.stat().st_mtime_ns == written
    assert again.facts == first.facts
    x = load_digits().test
    assert (first.model.encode(x) == again.model.encode(x)).all()
    assert {path.suffix for path in cache.glob("weights/*")} == {".json", ".safetensors", ".lock"}
    assert not any(parameter.requires_grad for parameter in again.model.parameters())
    assert again.model.encode(load_digits().train).std() == pytest.approx(1.0, rel=1e-4)


def test_what_decides_the_weights_is_in_the_key(monkeypatch):
    keys = {trained("ae16", seed, **SMALL, **more).key for seed, more in ((0, {}), (1, {}), (0, {"rate": 2e-3}))}
    assert len(keys) == 3
    assert trained("ae16", **SMALL).key in keys
    less = load_digits().train[:1000]
    monkeypatch.setattr(recipes._Codec, "data", lambda self, settings, seed: less)
    assert trained("ae16", **SMALL).key not in keys


def damage(cache, ending, change):
    (path,) = (path for path in cache.glob("weights/*" + ending) if "checkpoint" not in path.name)
    change(path)
    return path


@pytest.mark.parametrize(
    ("ending", "change", "why"),
    [
        (".safetensors", lambda path: path.write_bytes(path.read_bytes()[:1000]), "SafetensorError"),
        (".json", lambda path: path.write_text('{"recipe": "ae'), "JSONDecodeError"),
        (".safetensors", lambda path: save_file({"x": torch.zeros(1)}, path), "holds another model"),
        (
            ".safetensors",
            lambda path: save_file({name: 2 * tensor for name, tensor in load_file(path).items()}, path),
            r"has the digest \w+, and ae16-\w+.json says \w+",
        ),
    ],
)
def test_damage_in_the_cache_is_found_and_the_remedy_works(cache, ending, change, why):
    before = digest()
    path = damage(cache, ending, change)
    with pytest.raises(WeightsNotFound, match=f"{why}.*: remove it, and it is made anew") as found:
        trained("ae16", **SMALL)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)
    path.unlink()
    assert not is_trained("ae16", **SMALL)
    assert digest() == before


def test_a_cache_that_cannot_be_written_serves_what_it_has(cache, monkeypatch):
    before = digest()

    def refuse(path, *args, **more):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert digest() == before
    with pytest.raises(UsageError, match=r"ae16-\w+ is to be trained, and .* \(Read-only file system\): set BANDITS_C"):
        trained("ae16", seed=1, **SMALL)


def test_a_full_disk_is_named_with_its_folder(cache, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    says = rf"replication 0: ae16-\w+ is to be trained, and {re.escape(str(cache))}.* \(No space left on device\): set"
    with pytest.raises(PlayError, match=says):
        TrainingJob(TrainingCell(Training("ae16", 1, SMALL))).run(0, 1)


def test_documentation_and_comments_are_not_in_the_key(tmp_path):
    import importlib.util

    def load(text, name):
        (tmp_path / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return training._code(module.f)

    one = load('def f(x):\n    """Old."""\n    return x + 1  # why\n', "one")
    assert load('def f(x):\n    """New\n\n    and longer."""\n    return x + 1\n', "two") == one
    assert load('def f(x):\n    """Old."""\n    return x + 2\n', "three") != one


def test_the_blocks_of_a_network_are_in_the_key():
    """A class does not bring those that it is made of: a change in one of them must not find the old weights."""
    from bandits.neural import networks, recipes

    for recipe in recipes.RECIPES.values():
        assert networks in recipe.uses
    source = training._code(networks)
    assert all(name in source for name in ("class _Block", "class _SeriesBlock", "def time_features"))
    assert "residual convolutions over time" not in source, "documentation is no part of it"


class Slope:
    """One weight that Adam lowers by its rate at every step."""

    name, uses = "slope", ()

    def __init__(self, average=0.0, most=0.0):
        self.settings = {"steps": 4, "batch": 1, "rate": 0.5, "average": average}
        self.most = most

    def data(self, settings, seed):
        return torch.ones(3, 1)

    def build(self, settings, data):
        line = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(line.weight)
        return line

    def loss(self, model, x, draws, settings):
        return model(x).mean()

    def finish(self, model, data):
        pass

    def gates(self, model, settings, seed):
        return {"weight": (float(model.weight), self.most)}


def test_the_average_of_the_weights_forgets_by_its_decay():
    assert float(obtain(Slope()).model.weight) == pytest.approx(-2.0, rel=1e-5)
    average = 0.0
    for step in range(4):  # at first it forgets faster, or it would not leave the initial weights
        average += (1 - min(0.3, (1 + step) / (10 + step))) * (-0.5 * (step + 1) - average)
    assert float(obtain(Slope(average=0.3)).model.weight) == pytest.approx(average, rel=1e-5)


def test_what_is_too_poor_is_not_used(cache):
    with pytest.raises(PlayError, match="'slope' with seed 0 is too poor to use: weight -2, at most -3"):
        obtain(Slope(most=-3.0))
    assert not list(cache.glob("weights/*.json"))
    found = obtain(Slope(most=-3.0), changes={"steps": 2})  # other settings are measured, and asked for nothing
    assert found.facts["gates"] == {"weight": [pytest.approx(-1.0), -3.0]}


def test_some_training_beats_the_mean_image_by_far():
    x = load_digits()
    alone = float((x.test - x.train.mean(0)).square().mean())
    found = trained("ae16", steps=250, width=64, depth=1, rate=5e-3).facts["gates"]["round_trip_mse"]
    assert found[0] < 0.5 * alone


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: trained("ae61"), UnknownName, "no recipe is called 'ae61'. Did you mean 'ae16'"),
        (lambda: trained("ae16", stepps=3), BadParameter, "has no setting 'stepps'. Did you mean 'steps'"),
        (lambda: trained("ae16", rate=1e30, **SMALL), NumericalError, "the loss of 'ae16' is (nan|inf) at step"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call, error, says):
    with pytest.raises(error, match=says) as found:
        call()
    assert "\n" not in str(found.value)


def test_a_predictor_of_latents_brings_its_codec():
    less = {"steps": 20, "codec_steps": 30, "width": 16}
    assert not is_trained("lat_eps", **less)
    found = trained("lat_eps", **less)
    assert is_trained("lat_eps", **less)
    assert is_trained("ae16", steps=30)
    assert found.model.eps(torch.zeros(3, 16), torch.zeros(3)).shape == (3, 16)


TRAINED = """
from bandits import register_trial
from bandits.neural.trials import Training

@register_trial("reconstruct")
class Reconstruct:
    '''Error of a round trip through a small autoencoder.'''

    def __init__(self, *, model_seed: int = 0) -> None:
        self.model_seed = model_seed

    def needs(self):
        return [Training("ae16", self.model_seed, {"steps": 40, "width": 32})]

    def run(self, batch):
        from bandits.neural.data import load_digits

        codec = batch.trained("ae16", self.model_seed, steps=40, width=32)
        x = load_digits().test[list(batch.replications)]
        batch.log(0, "mse", (codec.decode(codec.encode(x)) - x).square().flatten(1).mean(1))
"""


@pytest.fixture
def experiment(plugin):
    load_plugin(plugin(TRAINED))
    trials = [trial("reconstruct"), trial("reconstruct", model_seed=1)]
    return NeuralExperiment(name="trained", trials=trials, replications=5)


@pytest.mark.parametrize("backend", ["serial", "pool"])
def test_trials_have_their_models_trained_before(experiment, tmp_path, backend):
    run = start(experiment, tmp_path / "run", Settings(backend, workers=2))
    assert [cell.label for cell in run.cells[:2]] == [f"train ae16(seed={s}, steps=40, width=32)" for s in (0, 1)]
    log = bandits.load(tmp_path / "run")
    assert len(log.trials) == 2
    curve = log.rows(log.cells[0]).to_pandas()
    assert set(curve["metric"]) == {"loss", "round_trip_mse"}
    loss = curve[curve["metric"] == "loss"].set_index("step")["value"]
    assert loss.index[-1] == 40
    assert loss.iloc[-1] < 0.8 * loss.iloc[0]
    assert resume(tmp_path / "run").failures == []


def test_a_trial_whose_model_cannot_be_trained_waits_for_it(plugin, tmp_path, bandits):
    text = TRAINED.replace('"steps": 40', '"steps": 40, "rate": 1e30').replace("steps=40", "steps=40, rate=1e30")
    path = plugin(
        text
        + """
from bandits import NeuralExperiment, register_experiment, trial
both = [trial("reconstruct"), trial("gaussian_ddim")]
register_experiment(NeuralExperiment(name="poor", trials=both, replications=2))
"""
    )
    answer = bandits("run", "poor", "--plugin", path, "--out", tmp_path / "poor")
    assert answer.code == 1
    assert answer.err.count("lower its rate") == 2  # as it happens, and at the end; not again in the trial
    assert "1 task(s) failed; 1 of 3 cells are complete, 1 wait for what failed" in answer.err
    log = load(tmp_path / "poor")
    assert [log.rows(facts).num_rows > 0 for facts in log.trials] == [False, True]


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        ('[Training("ae61")]', "no recipe is called 'ae61'. Did you mean 'ae16'? There are ae16, vae16, "),
        ("[Training(None)]", "no recipe is called 'None'. There are"),
        ('[Training("ae16", 0, {"stepps": 3})]', "recipe 'ae16' has no setting 'stepps'. Did you mean 'steps'? It has"),
        ('[Training("ae16", 0, {"steps": 0})]', "the setting 'steps' of recipe 'ae16' must be a whole number of at le"),
        (
            '[Training("ae16", 0, {"rate": "fast"})]',
            "the setting 'rate' of recipe 'ae16' must be a number above 0, got",
        ),
        (
            '[Training("pix_eps", 0, {"schedule": "cosine"})]',
            "'schedule' of recipe 'pix_eps' must be one of linear, sc",
        ),
        ('[Training("unet_eps", 0, {"width": 12})]', "'width' of recipe 'unet_eps' must be a multiple of 8, got 12"),
        ('[Training("ae16", -1)]', "the seed of a training must be a whole number of at least 0"),
        ('["ae16"]', "what needs() returns must be a list of Training(recipe, seed, settings), got 'ae16'"),
        ("None", "needs() breaks: TypeError"),
        ("[1 / 0]", "needs() breaks: ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_need_is_refused_before_anything_runs(plugin, bandits, tmp_path, needs, says):
    text = TRAINED.replace('[Training("ae16", self.model_seed, {"steps": 40, "width": 32})]', needs)
    declared = """
from bandits import NeuralExperiment, register_experiment, trial
register_experiment(NeuralExperiment(name="wrong", trials=[trial("reconstruct")], replications=2))
"""
    answer = bandits("run", "wrong", "--plugin", plugin(text + declared), "--out", tmp_path / "run")
    assert answer.code == 2
    assert answer.err.startswith("error: trial reconstruct")
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_need_is_checked_without_torch(plugin):
    path = plugin(TRAINED.replace('Training("ae16"', 'Training("ae61"'))
    code = f"""
import sys
sys.modules["torch"] = None  # an import raises
from bandits import NeuralExperiment, trial
from bandits.registry import load_plugin
load_plugin({str(path)!r})
NeuralExperiment(name="wrong", trials=[trial("reconstruct")], replications=2).plan()
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "UnknownName: trial reconstruct needs a model, but no recipe is called 'ae61'" in found.stderr


def test_a_recipe_that_a_plugin_brings_is_known(plugin, monkeypatch):
    load_plugin(plugin(TRAINED.replace('Training("ae16"', 'Training("slope"').replace('"width": 32', '"rate": 0.1')))
    declared = NeuralExperiment(name="own", trials=[trial("reconstruct")], replications=2)
    with pytest.raises(UnknownName, match="no recipe is called 'slope'"):
        declared.plan()
    monkeypatch.setitem(recipes.RECIPES, "slope", Slope())
    assert next(cell.label for cell in declared.plan()[0]) == "train slope(seed=0, steps=40, rate=0.1)"


def test_the_table_of_settings_is_that_of_the_recipes():
    assert {name: dict(recipe.settings) for name, recipe in recipes.RECIPES.items()} == {**SETTINGS}
    for name, settings in SETTINGS.items():
        assert changed(name, settings, settings) == settings, "every default passes its own check"


def test_a_batch_that_uses_some_of_the_weights_is_replayed(plugin, tmp_path):
    """Replications take networks in turn, and batches of one see one network each."""
    in_turn = TRAINED.replace('[Training("ae16", self.model_seed,', '[Training("ae16", seed,').replace(
        '"width": 32})]', '"width": 32}) for seed in (0, 1)]'
    )
    load_plugin(
        plugin(
            in_turn.replace(
                'batch.trained("ae16", self.model_seed,', 'batch.trained("ae16", batch.replications[0] % 2,'
            )
        )
    )
    start(NeuralExperiment(name="in_turn", trials=[trial("reconstruct")], replications=3), tmp_path / "run", batch=1)
    assert all(finding.ok for finding in verify(tmp_path / "run"))


def test_other_weights_are_found_out(experiment, tmp_path, cache, monkeypatch):
    start(experiment, tmp_path / "run")
    assert all(finding.ok for finding in verify(tmp_path / "run"))
    for path in cache.glob("weights/*.json"):  # as if they had been trained elsewhere
        weights, facts = path.with_suffix(".safetensors"), json.loads(path.read_text())
        moved = {name: tensor + 1e-6 for name, tensor in load_file(weights).items()}
        save_file(moved, weights)
        path.write_text(json.dumps(facts | {"digest": digest_of_tensors(moved)}))
    monkeypatch.setattr("bandits.neural.jobs._models", {})
    found = verify(tmp_path / "run")
    assert not any(finding.ok for finding in found)
    assert "the weights here are others than those used then (ae16-" in found[0].why
