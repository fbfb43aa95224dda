"""What a GPU would trip over, tried without one: tensors made on the wrong device, and waits for the device.

Two uses of torch's device ``meta``, whose tensors have shapes and no numbers. As the *default* device it stands for the
CPU's opposite: whatever was made without saying where is found out when it meets a tensor of the CPU. As the device of
the *model and the data* it stands for a GPU that never answers: whoever asks it for a number, or brings it a tensor of
the CPU, fails.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from bandits.experiments.diffusion.constrained_series import _METHODS as ON_SERIES
from bandits.experiments.diffusion.cosine_mixture import SHAPE
from bandits.experiments.diffusion.cps import cps
from bandits.experiments.diffusion.diff_time import diff_time
from bandits.experiments.diffusion.pdm import pdm
from bandits.experiments.diffusion.restoration import LATENT, PIXEL, restore
from bandits.experiments.diffusion.restoration_trials import OPERATORS, RestoreDigits, RestoreMixture
from bandits.experiments.diffusion.unconstrained import unconstrained
from bandits.experiments.peft import meta_lora_digits, meta_lora_linear, meta_lora_shallow
from torch.utils._python_dispatch import TorchDispatchMode

from bandits import trial
from bandits.neural import constraints as sets
from bandits.neural import faults, guidance
from bandits.neural.degradations import box_mask, gaussian_kernel
from bandits.neural.errors import NumericalError
from bandits.neural.guidance import Diffusion, play
from bandits.neural.jobs import TrialJob
from bandits.neural.networks import Autoencoder, EpsMLP, EpsUNet
from bandits.neural.noise import Noise
from bandits.neural.operators import AveragePool, Blur, Inpainting, Matrix
from bandits.neural.projection import Constraints
from bandits.neural.recipes import RECIPES, trained
from bandits.neural.schedule import linear
from bandits.neural.trials import TrialCell
from bandits.registry import entries

META, F64 = torch.device("meta"), torch.float64

# --- the default device ---

DIGITS = {"steps": 2, "training": 0.0004}
SERIES = {"models": 1, "train_steps": 2, "samples": 3, "steps": 2}
LINEAR = {"d": 4, "samples": 10, "new_samples": 5, "steps": 3}
TRIALS = {
    "restore_digits": [
        *({"method": method, **DIGITS} for method in RestoreDigits.methods),
        *({"method": "psld", "operator": operator, **DIGITS} for operator in OPERATORS),
        *({"method": "ddrm", "operator": operator, **DIGITS} for operator in OPERATORS),
    ],
    "restore_mixture": [
        *({"method": method, "steps": 2, "chains": 4} for method in RestoreMixture.methods),
        *({"method": "ddrm", "operator": operator, "steps": 2, "chains": 4} for operator in OPERATORS),
    ],
    "constrained_series": [
        *({"method": method, **SERIES} for method in ON_SERIES if method != "exact"),
        *({"method": "cps", "series": series, **SERIES, "eta": 1.0} for series in ("temperatures", "weather")),
        {"method": "exact", "prior": "gaussian", **SERIES},
    ],
    "digit_ddim": [
        {"network": network, "steps": 2, "training": training, "precision": precision}
        for network, training, precision in (("unet_eps", 0.0, "float32"), ("pix_eps", 0.0004, "float64"))
    ],
    "gaussian_ddim": [{"steps": 2, "samples": 4, "eta": 0.5}],
    "meta_lora_digits": [
        {"method": method, "suite": suite, "tasks": 2, "shots": [3], "epochs": 2, "outer": 1, "steps": 2}
        for method in meta_lora_digits._METHODS
        for suite in ("conflicting", "pairs")
    ],
    "meta_lora_linear": [{"method": method, "outer": 3, **LINEAR} for method in meta_lora_linear._METHODS],
    "meta_lora_shallow": [{"method": method, "epochs": 3, **LINEAR} for method in meta_lora_shallow._METHODS],
}


PIPELINE = {  # where a folder of a pipeline is to be put in
    "restore_photographs": [
        {"method": method, "operator": operator, "steps": 2, "factor": 2}
        for method, operator in (("psld", "box"), ("stsl", "pool"), ("codec_ceiling", "motion_blur"))
    ]
}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """No weights and no models of other tests: they would not be made here."""
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path))
    monkeypatch.setattr("bandits.neural.jobs._models", {})


def test_every_trial_is_tried_here():
    assert {*TRIALS, *PIPELINE} == {entry.name for entry in entries("trial")}


@pytest.mark.parametrize("name", PIPELINE)
def test_trials_of_pipelines_say_where_they_make_their_tensors(name, own_cache, tmp_path, monkeypatch):
    from tiny_pipelines import saved

    from bandits.neural.stable_diffusion import StableDiffusion

    prompt = StableDiffusion.prompt  # the library makes tokens wherever it likes, and moves them

    def on_cpu(self, text=""):
        with torch.device("cpu"):
            return prompt(self, text)

    monkeypatch.setattr(StableDiffusion, "prompt", on_cpu)

    folder = str(saved(tmp_path / "pipeline"))
    trials = [{**parameters, "model": folder} for parameters in PIPELINE[name]]
    TrialJob(TrialCell(trial(name, **trials[0]), 1, 1)).run(0, 1)  # now it is loaded, which must know its device
    try_elsewhere(name, trials)


@pytest.mark.parametrize("name", TRIALS)
def test_trials_say_where_they_make_their_tensors(name, own_cache):
    try_elsewhere(name, TRIALS[name])


def try_elsewhere(name, trials):
    """Run trials while tensors of no stated device are made on one that holds no numbers."""
    for parameters in trials:
        job = TrialJob(TrialCell(trial(name, **parameters), 1, 2, keep=2), batch=2)
        with torch.device("meta"):
            output = job.run(0, 2)
        assert output.rows["value"].null_count == 0


@pytest.mark.parametrize("name", RECIPES)
def test_trainings_say_where_they_make_their_tensors(name, own_cache):
    changes = {"steps": 3} | ({"codec_steps": 2} if "codec_steps" in RECIPES[name].settings else {})
    with torch.device("meta"):
        found = trained(name, 0, torch.device("cpu"), **changes)
    assert all(tensor.device.type == "cpu" for tensor in found.model.state_dict().values())


def test_a_tensor_that_was_made_anywhere_is_found_out():
    class Careless(EpsMLP):
        def eps(self, z, t, cond=None):
            return super().eps(z, t) + torch.zeros(z.shape[1])

    with torch.device("meta"), pytest.raises(RuntimeError, match="device"):
        with torch.device("cpu"):
            model = Careless(4, 8, 1)
        noise = Noise(0, range(2))
        restore_plainly(model, noise)


def restore_plainly(model, noise, steps=3):
    diffusion = Diffusion(model, linear(), noise, steps=steps, eta_d=0.5)

    def update(z, t, earlier):
        eps, clean = diffusion.denoise(z, t)
        return diffusion.step(clean, eps, t, earlier)

    with torch.no_grad():
        return play(diffusion, noise.normal(4), update)


# --- a device that never answers ---


@pytest.fixture
def silent(monkeypatch):
    """Takes the questions out that are asked once: before the first step, and at the last look."""
    monkeypatch.setattr(faults, "_true", lambda flag: True)
    monkeypatch.setattr(guidance, "check_adjoint", lambda *_: None)
    monkeypatch.setattr(guidance, "check_measurement", lambda *_: None)


def on_meta(model):
    return copy.deepcopy(model).to(META).requires_grad_(False)


def problems(device):
    """An operator of each kind, with samples of its own where it has any; what needs numbers is made on the CPU."""
    noise = Noise(1, range(2), dtype=F64)
    mask = box_mask(SHAPE, 4).to(device)
    kernel = Blur(gaussian_kernel(5, 1.0), SHAPE)
    kernel._transfer, kernel._size = kernel._transfer.to(device), kernel._size.to(device)
    matrix = Matrix(noise.normal(5, 64), SHAPE)
    matrix.matrix, matrix._pinv = matrix.matrix.to(device), matrix._pinv.to(device)
    matrix._s, matrix._Vt = matrix._s.to(device), matrix._Vt.to(device)
    inpainting = Inpainting(box_mask(SHAPE, 4), SHAPE)
    inpainting.mask = mask
    return {"box": inpainting, "pool": AveragePool(2, SHAPE), "blur": kernel, "matrix": matrix}


@pytest.mark.parametrize("operator", ["box", "pool", "blur", "matrix"])
@pytest.mark.parametrize("method", [*LATENT, *PIXEL])
def test_methods_neither_wait_for_the_device_nor_bring_it_tensors_of_the_cpu(silent, method, operator):
    codec, latent = Autoencoder(SHAPE, 4, 8, 1), EpsMLP(4, 8, 1)
    pixel = EpsUNet(1, 8) if operator == "box" else EpsMLP(64, 8, 1)
    models = {"codec": codec, "latent": latent, "pixel": pixel}
    models = {name: on_meta(model.double()) for name, model in models.items()}
    chosen = problems(META)[operator]
    y = torch.empty(2, *chosen.out_shape, dtype=F64, device=META)
    more = {"sigma_y": 0.1} if method == "ddrm" else {"identify": False} if method == "psld" else {}
    if not method.startswith(("stsl", "ddrm")):
        more["eta_d"] = 0.5
    noise = Noise(1, range(2), META, F64)
    run = restore(method, chosen, y, noise, linear(), steps=20, **models, **more)
    assert run.x.device == META
    assert run.x.shape == (2, *SHAPE)


def members(kind):
    shape = (6, 4)
    return {
        "none": [],
        "box": [sets.box(shape, -1.0, 1.0)],
        "bars": [sets.ohlc(shape)],
        "plane": [
            sets.mean(shape, torch.tensor([0.1, 0.2])),
            sets.mean_change(shape, 0.0),
            sets.value_at(shape, 1, 0.3),
        ],
        "rows": [sets.value_at(shape, 1, 0.3), sets.value_at(shape, 2, torch.tensor([0.1, 0.2]))],
        "ball": [sets.ball(torch.zeros(shape), 1.0, shape)],
    }[kind]


@pytest.mark.parametrize("kind", ["none", "box", "bars", "plane", "rows", "ball"])
@pytest.mark.parametrize("method", [unconstrained, cps, pdm, diff_time])
def test_sets_with_a_formula_are_projected_on_without_waiting(silent, method, kind, monkeypatch):
    """What goes to the active-set method or to cvxpy is solved by the host, which then has to wait."""
    constraints = Constraints((6, 4), members(kind))
    constraints.require_feasible()  # on the CPU: asks, and keeps what it learns
    for name in ("_products", "_orthogonal", "_inverse", "_norms"):
        if constraints.rows.shape[1]:
            getattr(constraints, name)
    for name, value in list(vars(constraints).items()):
        if isinstance(value, torch.Tensor):
            setattr(constraints, name, value.to(META))
    constraints.device = META
    vars(constraints).pop("_sides", None)
    if kind == "ball":
        constraints._moved_balls = [
            replace(b, centre=b.centre.to(META), radius=b.radius.to(META)) for b in constraints.balls
        ]
    monkeypatch.setattr(constraints, "require_feasible", lambda: None)
    model = on_meta(EpsMLP(24, 8, 1).double())
    run = method(model, constraints, Noise(1, range(2), META, F64), linear(), steps=20, eta_d=0.5)
    assert run.x.device == META


# --- how often the host asks ---


class Asked(TorchDispatchMode):
    """Counts the operations for which the host must wait for a number."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "item", "masked_select")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in self.WAITS
        return func(*args, **(kwargs or {}))


def look_every(steps, monkeypatch):
    """Let the CPU be looked at as seldom as a GPU."""
    monkeypatch.setattr(guidance, "Watch", lambda total, every: faults.Watch(total, steps))


def asked(method, steps, every, monkeypatch):
    """How often the host asks while a method takes so many steps and looks at every so many of them."""
    look_every(every, monkeypatch)
    torch.manual_seed(0)
    models = {"codec": Autoencoder(SHAPE, 4, 8, 1), "latent": EpsMLP(4, 8, 1), "pixel": EpsMLP(64, 8, 1)}
    for model in models.values():
        model.double().requires_grad_(False)
    operator = Inpainting(box_mask(SHAPE, 4), SHAPE)
    y = torch.zeros(2, *SHAPE, dtype=F64)
    more = {"identify": False} if method == "psld" else {}
    with Asked() as counter:
        restore(method, operator, y, Noise(1, range(2), dtype=F64), linear(), steps=steps, **models, **more)
    return counter.count


@pytest.mark.parametrize("method", [*LATENT, *PIXEL])
def test_steps_ask_nothing_but_whether_all_is_finite_now_and_then(method, monkeypatch):
    for steps in (16, 48):
        asked(method, steps, 16, monkeypatch)  # finds the roots of these alphas, once in a process
    few, many, eager = (asked(method, *how, monkeypatch) for how in ((16, 16), (48, 16), (48, 1)))
    assert many - few == 48 // 16 - 1
    assert eager - many == 48 - 48 // 16


# --- what is reported when nobody looked for a while ---


class BreaksAt(torch.nn.Module):
    """Gives back what it sees until an index, and from there on NaN in the samples named."""

    def __init__(self, index, lanes):
        super().__init__()
        self.index, self.lanes = index, torch.tensor(lanes)

    def eps(self, z, t, cond=None):
        broken = (t <= self.index) & torch.isin(torch.arange(len(z)), self.lanes)
        return torch.where(broken.unsqueeze(-1), torch.nan, z)


@pytest.mark.parametrize(("index", "lanes"), [(999, [0]), (600, [1, 2]), (30, [2])])
def test_a_late_look_reports_what_a_look_at_every_step_does(index, lanes, monkeypatch):
    reported = []
    for every in (1, 7, 16, 1000):
        look_every(every, monkeypatch)
        with pytest.raises(NumericalError) as caught:
            restore_plainly(BreaksAt(index, lanes), Noise(3, range(4)), steps=50)
        fault = caught.value
        reported.append((str(fault), fault.t, fault.step, fault.which, fault.state.tolist()))
        assert fault.state.isfinite().all()
    assert all(report == reported[0] for report in reported)
    assert f"in {len(lanes)} of 4 samples, the first being {lanes[0]}" in reported[0][0]


def test_a_step_that_fails_for_a_fault_before_it_does_not_hide_the_fault(monkeypatch):
    look_every(16, monkeypatch)
    diffusion = Diffusion(BreaksAt(600, [1]), linear(), Noise(3, range(4)), steps=50)

    def update(z, t, earlier):
        if z.isnan().any():
            raise ArithmeticError("no answer")
        eps, clean = diffusion.denoise(z, t)
        return diffusion.step(clean, eps, t, earlier)

    with pytest.raises(NumericalError, match=r"the model's noise is not finite at step 20 of 50 \(index 600\)"):
        play(diffusion, torch.ones(4, 2), update)


def test_no_more_states_are_held_than_lie_between_two_looks():
    watch, held = faults.Watch(100, every=5), []
    for number in range(12):
        state = torch.ones(2, 3)
        watch.note(number, 99 - number, {"the state": state}, before=state)
        held.append(len(watch._unseen))
    assert held == [1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]
