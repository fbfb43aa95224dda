"""Mixtures and codecs in closed form, against quadrature, automatic derivatives and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from neural_models import CODEC, ROWS, SD, TRUTH, S, Y, mixture_eps, noise, standard_normal, tensor

from bandits.errors import BadParameter
from bandits.neural.analytic import GaussianEps, GMMEps, LinearCodec, Mixture
from bandits.neural.errors import ScheduleError, ShapeError
from bandits.neural.schedule import Schedule, scaled_linear, tweedie

PRIOR = standard_normal().law


@pytest.mark.parametrize(
    ("sigma_y", "mean", "covariance"),
    [
        (0.5, [0.14, -0.86], [[0.266667, -0.066667], [-0.066667, 0.266667]]),
        (0.05, [0.297391, -1.195146], [[0.003734, -0.001241], [-0.001241, 0.003734]]),
    ],
)
def test_posterior_of_the_worked_instance(sigma_y, mean, covariance):
    posterior = PRIOR.given(ROWS @ S, Y, sigma_y)
    assert posterior.mean()[0] == pytest.approx(mean, abs=1e-6)
    assert posterior.covariance()[0].numpy() == pytest.approx(np.array(covariance), abs=1e-6)
    H = (ROWS @ S).T @ (ROWS @ S)
    assert torch.allclose(posterior.covariance()[0], torch.linalg.inv(torch.eye(2) + H / sigma_y**2), atol=1e-12)


def test_worked_instance_itself():
    assert CODEC.decode(TRUTH)[0].tolist() == pytest.approx([-0.45, 0.75, -0.45, 0.75])
    posterior = PRIOR.given(ROWS @ S, Y, 0.5)
    assert CODEC.decode(posterior.mean())[0].tolist() == pytest.approx([-0.36, 0.5, -0.36, 0.5])


def test_scaled_linear_schedule_is_stable_diffusions():
    assert SD.alpha(0) == pytest.approx(0.999150, abs=5e-7)
    assert SD.alpha(999) == pytest.approx(0.00466010, abs=5e-9)
    assert SD.final_alpha == SD.alpha(0)
    assert scaled_linear(set_alpha_to_one=True).final_alpha == 1.0


def test_score_and_hessian_are_the_derivatives_of_the_density():
    law = mixture_eps().law.noised(tensor(0.6))
    z = noise(*range(5)).normal(2).requires_grad_()
    (score,) = torch.autograd.grad(law.log_prob(z).sum(), z, create_graph=True)
    rows = [torch.autograd.grad(score[:, i].sum(), z, retain_graph=True)[0] for i in range(2)]
    assert torch.allclose(law.score(z), score, atol=1e-12)
    assert torch.allclose(law.hessian(z), torch.stack(rows, 1), atol=1e-10)


def test_density_integrates_to_one():
    law = mixture_eps().law
    line = torch.linspace(-4, 4, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    assert float(law.log_prob(grid).exp().sum() * (line[1] - line[0]) ** 2) == pytest.approx(1, abs=1e-6)


def test_posterior_is_prior_times_likelihood():
    law, matrix, y, sd = mixture_eps().law, tensor([[1.0, -0.5]]), tensor([[0.3]]), 0.4
    posterior = law.given(matrix, y, sd)
    z = noise(*range(6)).normal(2)
    misfit = (z @ matrix.T - y)[:, 0] / sd
    joint = law.log_prob(z) - misfit**2 / 2 - math.log(sd * math.sqrt(2 * math.pi))
    assert torch.allclose(posterior.log_prob(z), joint - law.measured(matrix, sd).log_prob(y), atol=1e-10)


def test_each_sample_has_its_own_posterior():
    law = mixture_eps().law
    matrices, y = tensor([[[1.0, 0.0]], [[0.3, 2.0]]]), tensor([[0.1], [-0.7]])
    both = law.given(matrices, y, 0.2)
    for i in range(2):
        one = law.given(matrices[i], y[i : i + 1], 0.2)
        assert torch.allclose(both.mean()[i], one.mean()[0], atol=1e-12)
        assert torch.allclose(both.covariance()[i], one.covariance()[0], atol=1e-12)


def test_second_formula_of_tweedie_gives_the_posterior_covariance():
    law, alpha = mixture_eps().law, tensor(0.3)
    z = noise(*range(4)).normal(2)
    noised = law.noised(alpha)
    clean = law.given(alpha.sqrt() * torch.eye(2, dtype=torch.float64), z, math.sqrt(0.7))
    by_tweedie = 0.7 / 0.3 * (torch.eye(2) + 0.7 * noised.hessian(z))
    assert torch.allclose(clean.covariance(), by_tweedie, atol=1e-12)
    assert torch.allclose(clean.mean(), (z + 0.7 * noised.score(z)) / alpha.sqrt(), atol=1e-12)


def test_predicted_noise_is_the_formula_for_a_gaussian():
    mean, covariance = tensor([0.5, -1.0]), tensor([[0.5, 0.2], [0.2, 0.3]])
    model = GaussianEps(mean, covariance, SD)
    z, t = noise(0, 1, 2).normal(2), torch.tensor([5, 400, 999])
    for i, index in enumerate(t.tolist()):
        alpha = SD.alpha(index)
        V = alpha * covariance + (1 - alpha) * torch.eye(2)
        expected = math.sqrt(1 - alpha) * torch.linalg.solve(V, z[i] - math.sqrt(alpha) * mean)
        assert torch.allclose(model.eps(z, t)[i], expected, atol=1e-12)


def test_predicted_noise_is_finite_far_from_every_component():
    z = torch.full((1, 2), 1e4, dtype=torch.float64)
    assert mixture_eps().eps(z, torch.tensor([0])).isfinite().all()


def test_predicted_noise_in_single_precision_keeps_small_noise():
    """1 - alpha is taken before rounding: at index 0 it is 1e-3 and would lose half its digits."""
    z, t = noise(0).normal(2), torch.tensor([0])
    law = mixture_eps().law
    single = GMMEps(law.weights.float(), law.means.float(), law.covariances.float(), SD)
    assert torch.allclose(single.eps(z.float(), t).double(), mixture_eps().eps(z, t), rtol=2e-5)


def test_samples_have_the_moments_of_the_mixture():
    law = mixture_eps().law
    draws = law.sample(noise(*range(20_000)))
    deviation = (draws.mean(0) - law.mean()) / (law.covariance().diagonal() / len(draws)).sqrt()
    assert deviation.abs().max() < 4
    assert torch.allclose(draws.T.cov(), law.covariance(), atol=0.02)


def test_samples_of_several_mixtures_come_from_each_its_own():
    law = mixture_eps().law
    posterior = law.given(torch.eye(2, dtype=torch.float64), tensor([[-1, 0.5], [0.8, 1.0]]), 0.01)
    assert torch.allclose(posterior.sample(noise(0, 1)), posterior.mean(), atol=0.05)


def test_deterministic_sampling_returns_the_gaussian_it_was_made_for():
    """The DDIM flow of N(0, I) multiplies by a number that is known in closed form."""
    schedule = Schedule((0.9, 0.5, 0.1), final_alpha=0.95)
    model, z = standard_normal(schedule), tensor([[1.0, -2.0]])
    for t, earlier in schedule.steps(3):
        eps, a, p = model.eps(z, torch.tensor([t])), schedule.alpha(t), schedule.alpha(earlier)
        expected = (math.sqrt(a * p) + math.sqrt((1 - a) * (1 - p))) * z
        z = math.sqrt(p) * tweedie(z, eps, a) + math.sqrt(1 - p) * eps
        assert torch.allclose(z, expected, atol=1e-12)


def test_a_schedule_does_not_add_noise_at_its_end():
    with pytest.raises(ScheduleError, match=r"final_alpha 0.4 is below the first alpha 0.9"):
        Schedule((0.9, 0.5), final_alpha=0.4)


def test_impossible_mixtures_and_codecs_are_refused():
    eye = torch.eye(2, dtype=torch.float64)
    with pytest.raises(BadParameter, match="sum to 1"):
        Mixture.of(tensor([0.5, 0.6]), tensor([[0.0, 0], [1, 1]]), eye.expand(2, 2, 2))
    with pytest.raises(BadParameter, match="positive semi-definite"):
        Mixture.of(tensor([1.0]), tensor([[0.0, 0]]), -eye.unsqueeze(0))
    with pytest.raises(ShapeError, match="do not fit"):
        Mixture.of(tensor([1.0]), tensor([[0.0, 0, 0]]), eye.unsqueeze(0))
    with pytest.raises(BadParameter, match="orthonormal"):
        LinearCodec(2 * S)
    with pytest.raises(BadParameter, match="sd must be positive"):
        PRIOR.given(ROWS @ S, Y, 0.0)
