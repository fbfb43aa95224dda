"""STSL: the second-order surrogate against exact values, on two Gaussians in one dimension, and in the loop.

Numbers are from the project's specification: weights 1/2, means -1 and 1, variance 0.04; alpha 0.5, z = 0.4, sigma 0.5,
y = 1.2.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion.stsl import stsl, stsl_biased
from neural_models import CODEC, INIT, SD, THREE, TRUTH, Y, mixture_eps, noise, standard_normal, tensor

from bandits.errors import BadParameter
from bandits.neural.analytic import GaussianEps, GMMEps, IdentityCodec, Mixture
from bandits.neural.operators import Matrix
from bandits.neural.schedule import Schedule, ddim_step, tweedie

LAW = Mixture.of(tensor([0.5, 0.5]), tensor([[-1.0], [1.0]]), tensor([[[0.04]], [[0.04]]]))
ALPHA, SIGMA, MEASURED = 0.5, 0.5, 1.2
NOISED = LAW.noised(tensor(ALPHA))
Z = tensor([[0.4]])
GRID = torch.linspace(-1.5, 1.5, 61, dtype=torch.float64).unsqueeze(1)


def hessian(z):
    return NOISED.hessian(z)[:, 0, 0]


def clean(z):
    return ((z + (1 - ALPHA) * NOISED.score(z)) / math.sqrt(ALPHA))[:, 0]


def spread(z):
    return (1 - ALPHA) / ALPHA * (1 + (1 - ALPHA) * hessian(z))


def posterior(z):
    return LAW.given(tensor([[math.sqrt(ALPHA)]]), z, math.sqrt(1 - ALPHA))


def exact(z):
    return posterior(z).measured(tensor([[1.0]]), SIGMA).log_prob(torch.full_like(z, MEASURED))


def first_order(z):
    return -0.5 * math.log(2 * math.pi * SIGMA**2) - (MEASURED - clean(z)) ** 2 / (2 * SIGMA**2)


def bound(z):
    return first_order(z) - spread(z) / (2 * SIGMA**2)


def moment_matched(z):
    v = spread(z) + SIGMA**2
    return -0.5 * (2 * math.pi * v).log() - (MEASURED - clean(z)) ** 2 / (2 * v)


def with_trace(eta):
    return lambda z: first_order(z) - eta * hessian(z)


def slope(f, z):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0][:, 0]


def gauss_hermite(f, nodes=80):
    """E[f(xi)] for xi ~ N(0, 1)."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return float((torch.tensor(w / w.sum()) * f(torch.tensor(x))).sum())


def estimator(delta):
    return gauss_hermite(lambda x: x * (NOISED.score(Z + delta * x.unsqueeze(1)) - NOISED.score(Z))[:, 0] / delta)


def test_score_tweedie_and_curvature():
    assert float(NOISED.score(Z)) == pytest.approx(-0.0948198, abs=5e-8)
    assert float(hessian(Z)) == pytest.approx(-0.528795, abs=5e-7)
    assert float(slope(hessian, Z)) == pytest.approx(-1.880638, abs=5e-7)
    assert float(clean(Z)) == pytest.approx(0.498638, abs=5e-7)
    assert float(posterior(Z).mean()) == pytest.approx(float(clean(Z)), abs=1e-12)
    assert float(spread(Z)) == pytest.approx(0.735603, abs=5e-7)
    assert float(posterior(Z).covariance()) == pytest.approx(float(spread(Z)), abs=1e-12)


def test_trace_estimator_and_what_it_tends_to():
    assert estimator(1.0) == pytest.approx(-1.060981, abs=1e-5)
    assert estimator(0.1) == pytest.approx(-0.535889, abs=1e-6)
    assert estimator(0.01) == pytest.approx(-0.528862, abs=1e-6)
    smoothed = gauss_hermite(lambda x: hessian(Z + x.unsqueeze(1)))
    assert estimator(1.0) == pytest.approx(smoothed, abs=1e-5), "Stein's identity"


@pytest.mark.parametrize(
    ("surrogate", "value", "derivative"),
    [
        (exact, -0.668992, 0.725964),
        (first_order, -1.209610, 2.918507),
        (bound, -2.680815, 4.799145),
        (moment_matched, -1.161235, 0.979230),
    ],
)
def test_surrogates_of_the_likelihood(surrogate, value, derivative):
    assert float(surrogate(Z)) == pytest.approx(value, abs=6e-7)
    assert float(slope(surrogate, Z)) == pytest.approx(derivative, abs=6e-7)


@pytest.mark.parametrize(
    ("surrogate", "error"),
    [
        (first_order, 2.819280),
        (with_trace(0.02), 2.813313),
        (with_trace(0.1), 2.791632),
        (with_trace(0.25), 2.760628),
        (bound, 2.801858),
        (moment_matched, 1.318668),
    ],
)
def test_error_of_the_gradient_over_a_grid(surrogate, error):
    """The trace at the paper's eta of 0.02 moves the gradient the right way, by 0.2 %."""
    assert float((slope(surrogate, GRID) - slope(exact, GRID)).square().mean().sqrt()) == pytest.approx(error, abs=6e-7)


def test_bound_holds_everywhere():
    assert float((bound(GRID) - exact(GRID)).max()) == pytest.approx(-0.138285, abs=6e-7)


def test_moment_matching_is_exact_for_a_gaussian():
    law = Mixture.of(tensor([1.0]), tensor([[0.3]]), tensor([[[0.7]]]))
    given = law.given(tensor([[math.sqrt(ALPHA)]]), GRID, math.sqrt(1 - ALPHA))
    noised = law.noised(tensor(ALPHA))
    mean = (GRID + (1 - ALPHA) * noised.score(GRID))[:, 0] / math.sqrt(ALPHA)
    v = (1 - ALPHA) / ALPHA * (1 + (1 - ALPHA) * noised.hessian(GRID)[:, 0, 0]) + SIGMA**2
    matched = -0.5 * (2 * math.pi * v).log() - (MEASURED - mean) ** 2 / (2 * v)
    likelihood = given.measured(tensor([[1.0]]), SIGMA).log_prob(torch.full_like(GRID, MEASURED))
    assert torch.allclose(matched, likelihood, atol=1e-12)


# --- the loop ---


ONE_STEP = Schedule((ALPHA,), final_alpha=0.7)
MIXTURE = GMMEps(LAW.weights, LAW.means, LAW.covariances, ONE_STEP)
SEE = Matrix(tensor([[1.0]]))


def one_step(**parameters):
    y = tensor([[MEASURED]])
    return stsl(MIXTURE, IdentityCodec(), SEE, y, noise(), ONE_STEP, steps=1, init=Z, loss="sq", **parameters)


def by_hand(eta, delta, inner, omega):
    """The loop of the paper in scalars, with the mixture's exact score."""
    draws, z = noise(), Z
    for _ in range(inner):
        xi = draws.normal(1)

        def loss(z, xi=xi):
            return omega * (MEASURED - clean(z)) ** 2 + (
                eta * xi * (NOISED.score(z + delta * xi) - NOISED.score(z)) / delta
            ).sum(1)

        z = z - slope(loss, z).unsqueeze(1)
    eps = -math.sqrt(1 - ALPHA) * NOISED.score(z)
    return ddim_step(tweedie(z, eps, ALPHA), eps, ALPHA, 0.7)


@pytest.mark.parametrize(("trace_mode", "delta"), [("paper", 1.0), ("small_delta", 0.1 * math.sqrt(0.5))])
def test_inner_steps_and_trace_are_those_of_the_algorithm(trace_mode, delta):
    parameters = {"omega": 0.05, "eta": 0.1, "inner": 3, "trace_mode": trace_mode}
    for trace_weight, weight in (("const", 0.1), ("kappa", 0.1 * 0.5**2 / 0.5)):
        run = one_step(trace_weight=trace_weight, **parameters)
        assert torch.allclose(run.z, by_hand(weight, delta, 3, 0.05), atol=1e-12)
        assert run.flags["trace_mode"] == trace_mode
        assert run.flags["trace_weight"] == trace_weight


def test_first_order_control_takes_one_inner_step_without_trace():
    y = tensor([[MEASURED]])
    run = stsl_biased(MIXTURE, IdentityCodec(), SEE, y, noise(), ONE_STEP, steps=1, init=Z, loss="sq", omega=0.05)
    assert torch.allclose(run.z, by_hand(0.0, 1.0, 1, 0.05), atol=1e-12)
    assert (run.forward, run.backward, run.flags["trace_mode"]) == (2, 1, "none")


@pytest.mark.parametrize("trace_mode", ["paper", "small_delta"])
@pytest.mark.parametrize("trace_weight", ["const", "kappa"])
def test_trace_does_nothing_on_a_gaussian(trace_mode, trace_weight):
    """The Hessian of a Gaussian's log density is constant: a gain on a Gaussian toy would be a defect."""
    model = GaussianEps(tensor([0.2, -0.1]), tensor([[1.0, 0.3], [0.3, 0.5]]), SD)
    parameters = {"steps": 50, "omega": 0.1, "loss": "sq", "inner": 2}
    runs = [
        stsl(
            model, CODEC, THREE, Y, noise(), SD, eta=eta, trace_mode=trace_mode, trace_weight=trace_weight, **parameters
        )
        for eta in (0.0, 0.5)
    ]
    assert torch.allclose(runs[0].z, runs[1].z, atol=1e-10)


def test_trace_does_something_on_a_mixture():
    runs = [stsl(mixture_eps(), CODEC, THREE, Y, noise(), SD, eta=eta, steps=20, omega=0.1) for eta in (0.0, 0.02)]
    assert 1e-6 < float((runs[0].z - runs[1].z).norm()) < 0.5


def test_evaluations_are_counted_as_made_beside_the_papers_count():
    run = stsl(mixture_eps(), CODEC, THREE, Y, noise(), SD, steps=10, inner=5, init=INIT)
    assert (run.forward, run.backward, run.flags["paper_nfe"]) == (10 * (2 * 5 + 1), 10 * 2 * 5, 50)
    run = stsl(mixture_eps(), CODEC, THREE, Y, noise(), SD, steps=10, inner=5, eta=0.0)
    assert (run.forward, run.backward) == (10 + 10 * (5 + 1), 10 * 5), "the start costs one evaluation per step"


def test_start_from_the_measurement_returns_to_it_when_nothing_is_asked():
    """Inversion and sampling undo each other up to the discretisation, so that omega = eta = 0 gives E(A^T y) back."""
    back = [
        stsl(mixture_eps(), CODEC, THREE, Y, noise(), SD, omega=0.0, eta=0.0, inner=1, steps=steps).z
        for steps in (50, 1000)
    ]
    errors = [float((z - CODEC.encode(THREE.At(Y))).norm()) for z in back]
    assert errors[1] < 0.1 * errors[0] < 0.05
    drawn = stsl(mixture_eps(), CODEC, THREE, Y, noise(), SD, omega=0.0, eta=0.0, inner=1, start_from="gaussian")
    assert float((drawn.z - back[1]).norm()) > 0.1


def test_stsl_recovers_the_latents_of_a_noiseless_measurement():
    run = stsl(standard_normal(), CODEC, THREE, Y, noise(), SD, omega=0.5, loss="sq", steps=50, inner=5)
    assert torch.allclose(run.z, TRUTH, atol=0.05)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"trace_mode": "large"}, "trace_mode must be one of paper, small_delta, got 'large'"),
        ({"trace_weight": "none"}, "trace_weight must be one of const, kappa"),
        ({"start_from": "noise"}, "start_from must be one of gaussian, ddim_forward"),
        ({"inner": 0}, "inner must be a whole number of at least 1, got 0"),
        ({"inner": 1.5}, "inner must be a whole number of at least 1, got 1.5"),
        ({"eta_d": 0.5}, "eta_d must be 0, got 0.5"),
        ({"eta": -0.1}, "eta must be a number of at least 0"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(BadParameter, match=message):
        stsl(standard_normal(), CODEC, THREE, Y, noise(), SD, steps=10, **parameters)
