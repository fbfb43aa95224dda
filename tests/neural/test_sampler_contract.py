"""What all methods for inverse problems keep to: samples do not see one another, bad input is refused, faults named."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from bandits.experiments.diffusion.ddrm import ddrm
from bandits.experiments.diffusion.dps import dps
from bandits.experiments.diffusion.gml_dps import gml_dps
from bandits.experiments.diffusion.latent_dps import latent_dps
from bandits.experiments.diffusion.mcg import mcg
from bandits.experiments.diffusion.psld import psld
from bandits.experiments.diffusion.stsl import stsl, stsl_biased
from neural_models import F64, SD, S, mixture_eps, noise, tensor

from bandits.errors import BadParameter
from bandits.neural.analytic import GMMEps, LinearCodec
from bandits.neural.degradations import random_mask
from bandits.neural.errors import NumericalError, OperatorError, RangeError, ScheduleError, ShapeError
from bandits.neural.noise import Noise
from bandits.neural.operators import Inpainting, Matrix, measure

SHAPE = (1, 2, 2)
LATENT = {"latent_dps": latent_dps, "gml_dps": gml_dps, "psld": psld, "stsl": stsl, "stsl_biased": stsl_biased}
PIXEL = {"dps": dps, "mcg": mcg, "ddrm": ddrm}
METHODS = [*LATENT, *PIXEL]


def model(size, dtype=F64):
    law = mixture_eps(size=size).law
    return GMMEps(law.weights.to(dtype), law.means.to(dtype), law.covariances.to(dtype), SD)


def apply(name, operator, y, streams, eps=None, **parameters):
    """Call a method; a latent one on the linear codec with two latents, a pixel one on four pixels."""
    parameters = {"steps": 20, **parameters}
    if name in LATENT:
        codec = LinearCodec(S.to(y.dtype), SHAPE)
        return LATENT[name](eps or model(2, y.dtype), codec, operator, y, streams, SD, **parameters)
    return PIXEL[name](eps or model(4, y.dtype), operator, y, streams, SD, **parameters)


def problem(samples, dtype=F64):
    """A mask, an image and a measurement of each sample's own."""
    streams = Noise(7, samples, dtype=dtype, salt=[1])
    operator = Inpainting(random_mask(streams, SHAPE), SHAPE)
    x = streams.uniform(*SHAPE) * 2 - 1
    return operator, measure(operator, x, 0.05, streams)


def restore(name, samples, dtype):
    return apply(name, *problem(samples, dtype), Noise(7, samples, dtype=dtype), **stochastic(name))


def stochastic(name):
    return {"omega": 0.3} | ({} if name.startswith("stsl") else {"eta_d": 0.5}) if name != "ddrm" else {"sigma_y": 0.05}


@pytest.mark.parametrize("name", METHODS)
def test_samples_do_not_depend_on_their_batch(name):
    eight = restore(name, range(8), torch.float32)
    assert eight.x.unique(dim=0).shape[0] == 8, "they differ among themselves"
    for samples in ([0, 1, 2], [3], [7, 5, 6]):
        alone = restore(name, samples, torch.float32)
        assert torch.allclose(alone.x, eight.x[samples], atol=1e-5)
        assert (alone.forward, alone.backward) == (eight.forward, eight.backward)


@pytest.mark.parametrize("name", METHODS)
def test_another_sample_of_the_batch_is_not_seen(name):
    operator, y = problem(range(3))
    before = apply(name, operator, y, noise(0, 1, 2))
    y[1] += 0.5 * operator.mask[1]
    after = apply(name, operator, y, noise(0, 1, 2))
    assert torch.allclose(before.x[[0, 2]], after.x[[0, 2]], atol=1e-12)
    assert not torch.allclose(before.x[1], after.x[1], atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_same_streams_give_the_same_result_and_leave_the_input_alone(name):
    operator, y = problem(range(2))
    kept = y.clone()
    first, second = (apply(name, operator, y, noise(0, 1)) for _ in range(2))
    assert torch.equal(first.x, second.x)
    assert torch.equal(y, kept)
    assert not first.x.requires_grad and not first.z.requires_grad
    assert first.x.shape == (2, *SHAPE)


@pytest.mark.parametrize("name", METHODS)
def test_measurement_that_fits_exactly_gives_no_nan(name):
    """The norm of a residual of 0 has the gradient 0."""
    nothing, y = Matrix(torch.zeros(1, 4, dtype=F64), SHAPE), torch.zeros(2, 1, dtype=F64)
    run = apply(name, nothing, y, noise(0, 1))
    assert run.x.isfinite().all()
    if name != "ddrm":
        assert torch.allclose(run.x, apply(name, nothing, y, noise(0, 1), omega=0.0).x, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_bad_measurements_and_steps_are_refused(name):
    operator, y = problem(range(3))
    with pytest.raises(ShapeError, match=r"\(3, 1, 2, 2\).*2 samples.*\(2, 1, 2, 2\)"):
        apply(name, operator, y, noise(0, 1))
    with pytest.raises(ShapeError, match=r"\(3, 1, 4\)"):
        apply(name, operator, y.reshape(3, 1, 4), noise(0, 1, 2))
    broken = y.clone()
    broken[1, 0, 0, 1] = float("nan")
    with pytest.raises(RangeError, match=r"y\[1, 0, 0, 1\] = nan is not finite"):
        apply(name, operator, broken, noise(0, 1, 2))
    for steps in (0, 1001):
        with pytest.raises(ScheduleError, match="from 1 to the 1000 indices"):
            apply(name, operator, y, noise(0, 1, 2), steps=steps)
    with pytest.raises(BadParameter, match="must be a number of at least 0"):
        apply(name, operator, y, noise(0, 1, 2), **({"sigma_y": -1.0} if name == "ddrm" else {"omega": float("nan")}))


@pytest.mark.parametrize("name", METHODS)
def test_noise_of_another_shape_is_refused(name):
    class Narrow:
        def eps(self, z, t, cond=None):
            return z[..., :1]  # which broadcasts

    with pytest.raises(ShapeError, match=r"the model gives noise of shape \(2, .*1\) for samples of \(2, "):
        apply(name, *problem(range(2)), noise(0, 1), eps=Narrow())


@pytest.mark.parametrize("name", METHODS)
def test_wrong_adjoints_are_refused_before_the_model_is_asked(name):
    class Doubled(Inpainting):
        def At(self, y):
            return 2 * super().At(y)

    class Silent:
        def eps(self, z, t, cond=None):
            raise AssertionError("the model was asked")

    operator, y = problem(range(2))
    with pytest.raises(OperatorError, match="not the adjoint"):
        apply(name, Doubled(operator.mask, SHAPE), y, noise(0, 1), eps=Silent())


class Breaks:
    """The mixture until index 500, then NaN or infinity in sample 1."""

    def __init__(self, size, with_value):
        self.inner, self.value = model(size), with_value

    def eps(self, z, t, cond=None):
        eps = self.inner.eps(z, t)
        broken = (t < 500) & (torch.arange(len(z)) == 1)
        return torch.where(broken.view(-1, *[1] * (z.dim() - 1)), self.value, eps)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", METHODS)
def test_a_model_that_breaks_is_named_with_its_step(name, value):
    operator, y = problem(range(3))
    start_from = {"start_from": "gaussian"} if name.startswith("stsl") else {}
    with pytest.raises(NumericalError, match="in 1 of 3 samples, the first being 1") as caught:
        apply(name, operator, y, noise(0, 1, 2), eps=Breaks(2 if name in LATENT else 4, value), **start_from)
    fault = caught.value
    assert fault.which == "the model's noise"
    assert (fault.step, fault.t) == (10, 450)
    assert fault.state.isfinite().all()


def test_a_loss_that_overflows_is_named():
    with pytest.raises(NumericalError) as caught:
        operator, y = problem(range(2), torch.float32)
        apply("psld", operator, y, Noise(0, range(2)), omega=1e38, loss="sq")
    assert caught.value.which in ("the loss", "the gradient")


def test_unknown_losses_and_projections_are_refused():
    operator, y = problem(range(2))
    with pytest.raises(BadParameter, match="loss must be one of norm, sq, got 'l1'"):
        apply("psld", operator, y, noise(0, 1), loss="l1")
    with pytest.raises(BadParameter, match="projection must be one of adjoint, pinv, got 'transpose'"):
        apply("psld", operator, y, noise(0, 1), projection="transpose")
    with pytest.raises(BadParameter, match="gamma"):
        apply("psld", operator, y, noise(0, 1), gamma=-1)
    with pytest.raises(BadParameter, match="eta_d must lie in \\[0, 1\\]"):
        apply("psld", operator, y, noise(0, 1), eta_d=1.5)
    with pytest.raises(ShapeError, match=r"init has shape \(2, 3\)"):
        apply("psld", operator, y, noise(0, 1), init=tensor([[0.0] * 3] * 2))


def test_samplers_import_no_library_of_models():
    """Adapters hold library objects; methods know only interfaces."""
    names = ", ".join(
        f"bandits.experiments.diffusion.{name}" for name in ("psld", "stsl", "ddrm", "mcg", "gml_dps", "dps")
    )
    code = f"import sys, {names}; sys.exit('diffusers' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
