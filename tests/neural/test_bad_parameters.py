"""Every number, switch and word of every method and trial: what it cannot be is refused in one line that names it."""

from __future__ import annotations

import inspect
import math
import types
import typing

import pytest
import torch
from bandits.experiments.diffusion import constrained_series
from bandits.experiments.diffusion.cop import cop
from bandits.experiments.diffusion.cps import cps
from bandits.experiments.diffusion.ddrm import ddrm
from bandits.experiments.diffusion.diff_time import diff_time
from bandits.experiments.diffusion.gaussian_conditional import gaussian_conditional
from bandits.experiments.diffusion.gml_dps import gml_dps
from bandits.experiments.diffusion.latent_dps import latent_dps
from bandits.experiments.diffusion.mcg import mcg
from bandits.experiments.diffusion.pdm import pdm
from bandits.experiments.diffusion.psld import psld
from bandits.experiments.diffusion.rejection import rejection
from bandits.experiments.diffusion.stsl import stsl
from bandits.experiments.diffusion.unconstrained import unconstrained
from bandits.experiments.peft import digit_retraining, digit_tasks, linear_lora_ml, linear_tasks, shallow
from bandits.experiments.peft.batched_mlp import init_mlp
from neural_models import CODEC, SD, THREE, Y, mixture_eps, noise, standard_normal

from bandits import trial
from bandits.errors import BadParameter
from bandits.neural import constraints as sets
from bandits.neural.guidance import Diffusion
from bandits.neural.projection import Constraints
from bandits.neural.series import SERIES, load_series
from bandits.registry import entries, lookup

NUMBERS = ["a", None, True, [1.0], math.nan, math.inf, 10**400]
WRONG = {
    int: [*NUMBERS, 2.5, -1, 10**30],
    float: [*NUMBERS, -1e300],
    bool: ["a", None, 1, [True]],
    str: ["nonsense", None, 3, ["norm"], math.nan],
}


def wrong_values(hint):
    """Values that no parameter of such an annotation takes."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = [str if typing.get_origin(option) is typing.Literal else option for option in options]
    known = [kind for kind in kinds if kind in WRONG]
    return [value for value in WRONG[known[0]] if value is not None or type(None) not in kinds] if known else []


DIFFUSION = (lambda **p: Diffusion(standard_normal(), SD, noise(), **p), Diffusion, {"steps": 2})


def on_latents(method):
    return lambda **p: method(standard_normal(), CODEC, THREE, Y, noise(), SD, **p), method, {"steps": 2}


def on_pixels(method):
    return lambda **p: method(mixture_eps(size=4), THREE, Y, noise(), SD, **p), method, {"steps": 2}


def on_series(method, **given):
    box = Constraints((2,), [sets.box((2,), -9, 9)])
    return lambda **p: method(standard_normal(), box, noise(), SD, **p), method, given


def on_tasks(method, *middle, **given):
    pairs = digit_tasks.pairs(noise())
    base = init_mlp(noise(), [64, 4, 2])
    return lambda **p: method(base, pairs.train, *middle, **p), method, given


STATISTICS = linear_tasks.population(torch.eye(3, dtype=torch.float64).expand(1, 3, 3, 3))
TRUTH = shallow.draw_shallow(noise(), d=3, tasks=3)
SAMPLES = shallow.observe(noise(), TRUTH, slice(0, 3), samples=5)
NET = shallow.init_net(noise(), 3)

CALLS = {
    "Diffusion": DIFFUSION,
    **{method.__name__: on_latents(method) for method in (latent_dps, gml_dps, psld, stsl)},
    **{method.__name__: on_pixels(method) for method in (mcg, ddrm)},
    **{method.__name__: on_series(method, steps=2) for method in (cps, diff_time, pdm, unconstrained)},
    "rejection": on_series(rejection, tries=1),
    "cop": on_series(cop, seeds=torch.zeros(1, 2, dtype=torch.float64), iterations=1),
    "gaussian_conditional": on_series(gaussian_conditional, trajectories=1),
    "standard_retraining": on_tasks(digit_retraining.standard_retraining, epochs=1),
    "lora_ml": on_tasks(digit_retraining.lora_ml, noise(), epochs=1),
    "last_layer_ml": on_tasks(digit_retraining.last_layer_ml, noise(), epochs=1),
    "reptile": on_tasks(digit_retraining.reptile, outer=1, inner=1),
    "fine_tune": on_tasks(digit_retraining.fine_tune, digit_tasks.pairs(noise()).train, noise(), steps=1),
    "conflicting": (lambda **p: digit_tasks.conflicting(noise(), **p), digit_tasks.conflicting, {}),
    "draw_tasks": (lambda **p: linear_tasks.draw_tasks(noise(), **p), linear_tasks.draw_tasks, {}),
    "linear lora_ml": (
        lambda **p: linear_lora_ml.lora_ml(STATISTICS, noise(), **p),
        linear_lora_ml.lora_ml,
        {"k": 1, "outer": 1, "inner": 1},
    ),
    "linear fine_tune": (
        lambda **p: linear_lora_ml.fine_tune(STATISTICS.C[:, 0], STATISTICS, noise(), **p),
        linear_lora_ml.fine_tune,
        {"rank": 1, "steps": 1},
    ),
    "draw_shallow": (lambda **p: shallow.draw_shallow(noise(), **p), shallow.draw_shallow, {}),
    "init_net": (lambda **p: shallow.init_net(noise(), **p), shallow.init_net, {"d": 3}),
    "shallow retrain": (
        lambda **p: shallow.retrain(NET, SAMPLES, noise(), **p),
        shallow.retrain,
        {"k": 1, "epochs": 1},
    ),
    "shallow fine_tune": (
        lambda **p: shallow.fine_tune(NET, SAMPLES, noise(), **p),
        shallow.fine_tune,
        {"rank": 1, "steps": 1},
    ),
}


def cases():
    for name, (_, target, _) in CALLS.items():
        hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
        for parameter in sorted(hints.keys() - {"return"}):
            if values := wrong_values(hints[parameter]):
                yield pytest.param(name, parameter, values, id=f"{name}-{parameter}")


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_are_sound_without_the_wrong_value(name):
    call, _, given = CALLS[name]
    call(**given)


@pytest.mark.parametrize(("name", "parameter", "values"), list(cases()))
def test_a_method_refuses_what_a_parameter_cannot_be(name, parameter, values):
    call, _, given = CALLS[name]
    for value in values:
        with pytest.raises(BadParameter) as found:
            call(**{**given, parameter: value})
        assert parameter in str(found.value)
        assert "\n" not in str(found.value) and len(str(found.value)) < 200


# --- trials ---

EVERY = [(entry.name, name) for entry in entries("trial") for name in inspect.signature(entry.target).parameters]
ANY = ["a", None, 2.5, -1, math.nan, math.inf, -math.inf, [1], [], {"x": 1}, 1e300, 10**30, 10**400]
TAKEN = {"mean": [2.5, -1, 10**30], "sd": [2.5, 10**30], "shots": [[1]], "options": [None], "many": []}
TAKEN |= {name: ["a"] for name in ("model", "weights", "prompt")}  # whether there is such a model is found by check()
NEEDED = {"restore_photographs": {"model": "a folder"}}


def taken(parameter):
    """Which of the values are sound for a parameter of that name."""
    return TAKEN.get(parameter, [2.5] if parameter in ("sigma_y", "rho", "realism", "noise_std", "scale") else [])


@pytest.mark.parametrize(("name", "parameter"), EVERY)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "built"])
def test_a_trial_refuses_what_a_parameter_cannot_be(name, parameter, declared):
    """Before anything is trained: where it is declared, and where its class is called."""
    target = lookup("trial", name).target
    for value in [value for value in ANY if not any(value is sound or value == sound for sound in taken(parameter))]:
        with pytest.raises(ValueError, match=parameter.removesuffix("s")) as found:
            given = {**NEEDED.get(name, {}), parameter: value}
            trial(name, **given).build() if declared else target(**given)
        assert "\n" not in str(found.value)


@pytest.mark.parametrize(("name", "parameter"), EVERY)
def test_what_is_sound_is_not_refused(name, parameter):
    for value in taken(parameter):
        trial(name, **{**NEEDED.get(name, {}), parameter: value}).build()


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("meta_lora_digits", {"shots": [100_000]}, "shots must be a whole number from 1 to 1,200, got 100000: there a"),
        ("meta_lora_digits", {"shots": [201], "suite": "pairs", "rank": 1}, "shots .* 1 to 200, got 201: of the 354"),
        ("meta_lora_digits", {"tasks": 253}, "tasks .* from 1 to 252, got 253: there are 252 ways"),
        ("constrained_series", {"samples": 71}, "samples .* 2 to 70, got 71: stocks has 70 windows for split='test'"),
        ("constrained_series", {"series": "water_flow", "split": "validation"}, "2 to 19, got 24: water_flow has 19 w"),
        ("constrained_series", {"models": 1000}, "models must be a whole number from 1 to 100, got 1000: each is tra"),
        ("restore_digits", {"sigma_y": 1e30}, "sigma_y must be at most 1e\\+06, got 1e\\+30"),
        ("restore_digits", {"options": {"omega": 1e30}}, "omega must be at most 1e\\+06"),
        ("restore_digits", {"options": {"omega": "a"}}, "omega must be a number of at least 0, got 'a'"),
        ("restore_digits", {"options": 3}, "options must be parameters of the method, such as {'omega': 1.0}, got 3"),
        ("restore_mixture", {"chains": 10**5}, "chains must be a whole number from 2 to 10,000, got 100000"),
    ],
)
def test_a_size_that_cannot_be_is_refused_where_it_is_declared(name, parameters, says):
    with pytest.raises(BadParameter, match=says):
        trial(name, **parameters).build()


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.usefixtures("days_of_power")
def test_windows_are_as_many_as_the_series_have(name):
    series = load_series(name)
    assert (len(series.validation), len(series.test)) == constrained_series._WINDOWS[name]


def test_digits_have_as_many_samples_as_the_trial_says():
    suite = digit_tasks.conflicting(noise(*range(3)))
    assert suite.train.labels.shape[2] == 1200
    digit_tasks.few_shot(noise(*range(3)), suite.new, 1200)
    pairs = digit_tasks.pairs(noise(*range(1000))).new.weight.sum(-1)
    assert int(pairs.min()) > 200
    assert float(pairs.mean()) == pytest.approx(354 * 1200 / 1797, abs=1)


@pytest.mark.parametrize(
    ("experiment", "assignment", "says"),
    [
        ("psld", "restore_digits.steps=2.5", "steps must be a whole number, got 2.5"),
        ("psld", "restore_digits.sigma_y=NaN", "sigma_y must be a number, got nan"),
        ("stsl", "restore_digits.options=3", "options must be parameters of the method"),
        ("meta_lora", "meta_lora_digits.shots=[100000]", "shots must be a whole number from 1 to 1,200, got 100000"),
        ("cps", "constrained_series.samples=1000", "samples must be a whole number from 2 to 70, got 1000"),
        ("cps", "constrained_series.many=perhaps", "many must be true or false, got 'perhaps'"),
        ("gaussian_ddim", "gaussian_ddim.sd=1e400", "sd must be a number above 0, got inf"),
    ],
)
def test_the_command_line_says_so_in_a_line(bandits, tmp_path, experiment, assignment, says):
    answer = bandits("run", experiment, "--full", "--device", "cpu", "--set", assignment, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (2, "")
    line = answer.err.splitlines()[-1]
    assert line.startswith("error: ") and says in line
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()
