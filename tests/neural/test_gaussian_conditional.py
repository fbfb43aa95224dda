"""Draws of a Gaussian under linear constraints, against laws known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion.gaussian_conditional import gaussian_conditional
from neural_models import F64, mixture_eps, tensor

from bandits.errors import BadParameter
from bandits.neural import constraints as sets
from bandits.neural.analytic import GaussianEps
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import linear
from bandits.neural.truncated_gaussian import bounce

SIZE = 600
SCHEDULE = linear(10)


def draw(covariance, constraints, size=SIZE, mean=None, trajectories=10):
    centre = torch.zeros(len(covariance), dtype=F64) if mean is None else mean
    model = GaussianEps(centre, covariance, SCHEDULE)
    noise = Noise(2, range(size), dtype=F64)
    return gaussian_conditional(model, constraints, noise, SCHEDULE, trajectories=trajectories).x


def test_a_value_conditions_the_other():
    """Correlation 0.8 and z_1 = 1.5: mean 1.2, variance 0.36."""
    x = draw(tensor([[1, 0.8], [0.8, 1]]), Constraints((2,), [sets.equality((2,), [[1.0, 0]], [1.5])]))
    assert (x[:, 0] - 1.5).abs().max() < 1e-12
    assert abs(x[:, 1].mean() - 1.2) < 4 * 0.6 / math.sqrt(SIZE)
    assert abs(x[:, 1].var() - 0.36) < 4 * 0.36 * math.sqrt(2 / SIZE)


@pytest.mark.parametrize("low", [-0.5, 1.0, 3.0])
def test_a_half_line_gives_the_truncated_normal(low):
    """Mean ``phi(low) / (1 - Phi(low))``, of which the inverse Mills ratio gives the variance, too."""
    half = Constraints((1,), [sets.half_spaces((1,), [[-1.0]], [-low])])
    x = draw(tensor([[1.0]]), half, trajectories=100)[:, 0]
    mills = math.exp(-(low**2) / 2) / math.sqrt(2 * math.pi) / (0.5 * math.erfc(low / math.sqrt(2)))
    variance = 1 + low * mills - mills**2
    assert x.min() >= low - 1e-12
    assert abs(x.mean() - mills) < 4 * math.sqrt(variance / SIZE)
    assert abs(x.var() - variance) < 6 * variance * math.sqrt(2 / SIZE)  # heavier tails than a normal's


def test_an_orthant_has_the_moments_of_a_rejection_sampler():
    covariance = tensor([[1, 0.5, 0.2], [0.5, 1, -0.3], [0.2, -0.3, 1]])
    constraints = Constraints((3,), [sets.box((3,), -0.3, 2.0)])
    x = draw(covariance, constraints, mean=tensor([-0.5, 0.1, 0.0])).numpy()
    generator = np.random.default_rng(1)
    free = generator.multivariate_normal([-0.5, 0.1, 0.0], covariance.numpy(), size=200_000)
    kept = free[((free > -0.3) & (free < 2.0)).all(1)]
    assert len(kept) > 10_000
    error = 4 * np.sqrt(kept.var(0) * (1 / SIZE + 1 / len(kept)))
    assert (np.abs(x.mean(0) - kept.mean(0)) < error).all()
    np.testing.assert_allclose(np.cov(x.T), np.cov(kept.T), atol=0.03)


def test_equalities_and_walls_hold_together_and_samples_are_alone():
    shape = (4, 4)
    numbers = Noise(4, range(6), dtype=F64).normal(1)[:, 0] / 5
    whole = Constraints(shape, [sets.ohlc(shape), sets.mean(shape, numbers, 3), sets.value_at(shape, 0, 0.0, 3)])
    covariance = tensor(0.9 ** np.abs(np.subtract.outer(range(16), range(16))))
    model = GaussianEps(torch.zeros(16, dtype=F64), covariance, SCHEDULE)
    x = gaussian_conditional(model, whole, Noise(2, range(6), dtype=F64), SCHEDULE).x
    assert whole.largest_violation(x).max() < 1e-10
    part = gaussian_conditional(model, whole.take([1, 4]), Noise(2, [1, 4], dtype=F64), SCHEDULE).x
    torch.testing.assert_close(part, x[[1, 4]])


def test_what_is_not_gaussian_or_not_linear_is_refused():
    noise, free = Noise(0, [0]), Constraints((2,), [])
    with pytest.raises(BadParameter, match="Gaussian prior"):
        gaussian_conditional(mixture_eps(), free, noise, SCHEDULE)
    ball = Constraints((1,), [sets.ball(torch.zeros(1), 1.0, (1,))])
    with pytest.raises(BadParameter, match="linear constraints"):
        draw(tensor([[1.0]]), ball, 1)


def test_a_particle_between_walls_that_leave_no_room_is_caught():
    walls, z = np.array([[1.0, 0], [-1.0, 0]]), np.zeros(2)
    with pytest.raises(ArithmeticError, match="no room"):
        bounce(walls, np.zeros(2), z, np.ones((1, 2)))
