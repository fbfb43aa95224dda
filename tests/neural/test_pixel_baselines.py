"""DPS, MCG, DDRM and the controls on pixels, against loops written out coordinate by coordinate."""

from __future__ import annotations

import math

import pytest
import torch
from bandits.experiments.diffusion.controls import codec_ceiling, zero_fill
from bandits.experiments.diffusion.ddrm import ddrm
from bandits.experiments.diffusion.dps import dps
from bandits.experiments.diffusion.mcg import mcg
from neural_models import SD, mixture_eps, noise, tensor

from bandits.errors import BadParameter
from bandits.neural.analytic import GaussianEps, LinearCodec
from bandits.neural.degradations import random_mask
from bandits.neural.operators import AveragePool, Inpainting, Matrix
from bandits.neural.schedule import linear, tweedie

MODEL = mixture_eps(size=4)
X = tensor([[0.3, -0.5, 0.2, 0.1], [-0.9, -0.4, 0.0, 0.4]])
A = tensor([[2.0, 1.0, 0.0, 0.5], [0.0, 0.3, -0.2, 0.1]])


def test_dps_is_its_recursion():
    """x_p = DDIM step - omega grad ||y - A xhat0||, with the gradient by finite differences."""
    operator, steps = Matrix(A), 3
    y = operator.A(X)
    x = noise(0, 1).normal(4)
    run = dps(MODEL, operator, y, noise(0, 1), SD, steps=steps, omega=0.7)
    for t, earlier in SD.steps(steps):
        alpha, before, index = SD.alpha(t), SD.alpha(earlier), torch.full((2,), t)

        def misfit(x, alpha=alpha, index=index):
            return (operator.A(tweedie(x, MODEL.eps(x, index), alpha)) - y).norm(dim=1)

        h = 1e-6 * torch.eye(4, dtype=torch.float64)
        gradient = torch.stack([(misfit(x + e) - misfit(x - e)) / 2e-6 for e in h], 1)
        eps = MODEL.eps(x, index)
        x = math.sqrt(before) * tweedie(x, eps, alpha) + math.sqrt(1 - before) * eps - 0.7 * gradient
    assert torch.allclose(run.x, x, atol=1e-6)


def ddrm_by_coordinates(y, sigma_y, eta, eta_b, steps):
    """The update of DDRM in the basis V, one coordinate after the other; noise is drawn on pixels and turned to V."""
    U, s, Vt = torch.linalg.svd(A)
    s = [*s.tolist(), 0.0, 0.0]
    draws = noise(0, 1)
    ybar = torch.zeros(2, 4, dtype=torch.float64)
    ybar[:, :2] = (y @ U) / tensor(s[:2])

    def sigma(t):
        return math.sqrt((1 - SD.alpha(t)) / SD.alpha(t))

    times = SD.steps(steps)
    xi, x = draws.normal(4) @ Vt.T, torch.zeros(2, 4, dtype=torch.float64)
    top = sigma(times[0][0])
    for i in range(4):
        if s[i] > 0 and top >= sigma_y / s[i]:
            x[:, i] = ybar[:, i] + math.sqrt(top**2 - sigma_y**2 / s[i] ** 2) * xi[:, i]
        else:
            x[:, i] = top * xi[:, i]
    for t, earlier in times:
        z = math.sqrt(SD.alpha(t)) * x @ Vt
        xb = tweedie(z, MODEL.eps(z, torch.full((2,), t)), SD.alpha(t)) @ Vt.T
        xi, new, after, now = draws.normal(4) @ Vt.T, torch.zeros_like(x), sigma(t), sigma(earlier)
        for i in range(4):
            kept = math.sqrt(1 - eta**2)
            if s[i] == 0:
                new[:, i] = xb[:, i] + kept * now * (x[:, i] - xb[:, i]) / after + eta * now * xi[:, i]
            elif now < sigma_y / s[i]:
                new[:, i] = xb[:, i] + kept * now * (ybar[:, i] - xb[:, i]) / (sigma_y / s[i]) + eta * now * xi[:, i]
            else:
                spread = math.sqrt(now**2 - eta_b**2 * sigma_y**2 / s[i] ** 2)
                new[:, i] = (1 - eta_b) * xb[:, i] + eta_b * ybar[:, i] + spread * xi[:, i]
        x = new
    return math.sqrt(SD.final_alpha) * x @ Vt


@pytest.mark.parametrize(
    ("sigma_y", "eta", "eta_b"), [(0.0, 0.85, 1.0), (0.3, 0.85, 1.0), (0.3, 0.5, 0.7), (5.0, 1.0, 1.0)]
)
def test_ddrm_is_its_update_in_the_singular_basis(sigma_y, eta, eta_b):
    operator = Matrix(A)
    y = operator.A(X) + sigma_y * noise(0, 1, seed=5).normal(2)
    run = ddrm(MODEL, operator, y, noise(0, 1), SD, sigma_y=sigma_y, eta=eta, eta_b=eta_b, steps=8)
    assert torch.allclose(run.x, ddrm_by_coordinates(y, sigma_y, eta, eta_b, 8), atol=1e-8)
    assert (run.forward, run.backward) == (8, 0)


def test_ddrm_returns_what_was_measured_without_noise():
    """The last step ends at alpha = 1, where no noise is left."""
    model, operator = mixture_eps(linear(), size=4), Matrix(A)
    y = operator.A(X)
    assert torch.allclose(operator.A(ddrm(model, operator, y, noise(0, 1), linear()).x), y, atol=1e-9)


def test_mcg_ends_on_the_measurement_where_no_noise_is_left():
    schedule, shape = linear(), (1, 2, 2)
    model = mixture_eps(schedule, size=4)
    x = X.view(2, *shape)
    for operator in (Inpainting(random_mask(noise(0, 1), shape, 0.5, 0.5), shape), AveragePool(2, shape)):
        y = operator.A(x)
        run = mcg(model, operator, y, noise(0, 1), schedule, steps=20, omega=0.3)
        assert torch.allclose(operator.A(run.x), y, atol=1e-12)
        plain = dps(model, operator, y, noise(0, 1), schedule, steps=20, omega=0.3)
        assert not torch.allclose(operator.A(plain.x), y, atol=1e-3)


def test_mcg_overwrites_with_the_measurement_noised_to_its_step():
    """One step from N(0, I) with omega = 0: what is seen is sqrt(p) y + sqrt(1 - p) xi, the rest the DDIM step."""
    schedule = SD
    model = GaussianEps(torch.zeros(4).double(), torch.eye(4).double(), schedule)
    operator = Matrix(torch.eye(4, dtype=torch.float64)[:2])
    y, draws = operator.A(X), noise(0, 1)
    run = mcg(model, operator, y, noise(0, 1), schedule, steps=1, omega=0.0)
    z, xi = draws.normal(4), draws.normal(4)
    a, p = schedule.alpha(0), schedule.final_alpha
    expected = (math.sqrt(a * p) + math.sqrt((1 - a) * (1 - p))) * z
    expected[:, :2] = math.sqrt(p) * y + math.sqrt(1 - p) * xi[:, :2]
    assert torch.allclose(run.x, expected, atol=1e-12)


def test_mcg_by_the_adjoint_does_not_project_where_it_is_no_projection():
    operator, schedule = AveragePool(2, (1, 2, 2)), linear()
    y = operator.A(X.view(2, 1, 2, 2))
    run = mcg(mixture_eps(schedule, size=4), operator, y, noise(0, 1), schedule, steps=10, projection="adjoint")
    assert run.flags["projection"] == "adjoint"
    assert not torch.allclose(operator.A(run.x), y, atol=1e-3)


def test_controls_need_no_model():
    operator = AveragePool(2, (1, 2, 2))
    x = X.view(2, 1, 2, 2)
    y = operator.A(x)
    assert torch.allclose(zero_fill(operator, y).x, y.expand(2, 1, 2, 2) / 4)
    assert torch.allclose(zero_fill(operator, y, projection="pinv").x, y.expand(2, 1, 2, 2))
    codec = LinearCodec(torch.eye(4, dtype=torch.float64)[:, :2])
    assert torch.equal(codec_ceiling(codec, X).x[:, 2:], torch.zeros(2, 2).double())
    assert torch.equal(codec_ceiling(codec, X).x[:, :2], X[:, :2])
    with pytest.raises(BadParameter, match="projection must be one of adjoint, pinv, got 'inverse'"):
        zero_fill(operator, y, projection="inverse")


def test_ddrm_refuses_impossible_weights():
    for parameters in ({"eta": 1.1}, {"eta_b": -0.1}, {"sigma_y": float("nan")}):
        with pytest.raises(BadParameter):
            ddrm(MODEL, Matrix(A), A @ X[0] + torch.zeros(1, 2), noise(), SD, **parameters)
