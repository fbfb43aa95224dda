"""CPS and its baselines where the data is Gaussian and all is known: the specification's numbers, and the contract.

With a Gaussian prior and equalities a sampler is an affine map of its draws. So its law is read off the sampler itself
without error: one lane without noise gives the mean, one lane for each draw its share of the covariance.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion.constrained import begin
from bandits.experiments.diffusion.cop import cop
from bandits.experiments.diffusion.cps import cps, gamma_weights, penalised_steps
from bandits.experiments.diffusion.diff_time import diff_time
from bandits.experiments.diffusion.pdm import pdm
from bandits.experiments.diffusion.rejection import rejection
from bandits.experiments.diffusion.unconstrained import unconstrained
from neural_models import F64, tensor

from bandits.errors import BadParameter
from bandits.neural import constraints as sets
from bandits.neural.analytic import GaussianEps, GMMEps
from bandits.neural.errors import ConstraintError, InfeasibleError, NumericalError, ScheduleError, ShapeError
from bandits.neural.noise import Noise
from bandits.neural.projection import HARD, Constraints
from bandits.neural.schedule import Schedule, linear

T = 200
SCHEDULE = linear(T)
CORRELATED = tensor([[1, 0.8], [0.8, 1]])
FIRST_IS = Constraints((2,), [sets.equality((2,), [[1.0, 0]], [1.5])])


class Impulses:
    """Draws that are zero in lane 0; each other lane has a single 1, at a draw and coordinate of its own."""

    dtype = F64

    def __init__(self, size: int, draws: int) -> None:
        self.size, self.lanes, self.used = size, 1 + size * draws, 0

    def __len__(self) -> int:
        return self.lanes

    def normal(self, *shape: int) -> torch.Tensor:
        draw = torch.zeros(self.lanes, self.size, dtype=F64)
        lanes = 1 + self.size * self.used + torch.arange(self.size)
        draw[lanes, torch.arange(self.size)] = 1
        self.used += 1
        return draw.reshape(self.lanes, *shape)


def law(method, model, constraints, eta_d=0.0, **parameters):
    """Exact mean and covariance of what an affine sampler returns."""
    size = math.prod(constraints.shape)
    noise = Impulses(size, 1 + (T if eta_d else 0))
    x = method(model, constraints, noise, SCHEDULE, steps=T, eta_d=eta_d, **parameters).x.flatten(1)
    return x[0], (x[1:] - x[0]).T @ (x[1:] - x[0])


def gaussian(covariance=CORRELATED):
    return GaussianEps(torch.zeros(len(covariance), dtype=F64), covariance, SCHEDULE)


def without_a_hard_end(model, constraints, noise, schedule, *, k, **sampler):
    diffusion, z = begin(model, constraints, noise, schedule, **sampler)
    weights = [*gamma_weights("linear_k", schedule, diffusion.times, k)[:-1], 2 * k * len(diffusion.times)]
    return type("Answer", (), {"x": penalised_steps(diffusion, constraints, z, weights, "sq_dist")})


def test_the_schedule_is_that_of_the_specification():
    assert SCHEDULE.alpha(0) == pytest.approx(0.999900, abs=5e-7)
    assert SCHEDULE.alpha(199) == pytest.approx(0.132183, abs=5e-7)


def test_weights_are_those_of_the_specification():
    times = SCHEDULE.steps(T)
    weights = gamma_weights("exp", SCHEDULE, times, cap=1e300)
    assert weights[0] == pytest.approx(3.176911, abs=5e-7)  # t = 200
    assert weights[100] == pytest.approx(12.867553, abs=5e-7)
    assert weights[190] == pytest.approx(4.97e96, rel=1e-3)
    assert weights[-1] == math.inf
    capped = gamma_weights("exp", SCHEDULE, times)
    assert all(earlier <= later for earlier, later in pairwise(capped))
    assert max(weight for weight in capped if weight < math.inf) < HARD
    assert gamma_weights("linear_k", SCHEDULE, times, k=3.0)[:2] == [6, 12]
    assert gamma_weights("hard", SCHEDULE, times) == [math.inf] * T
    assert gamma_weights("final_only", SCHEDULE, times) == [0.0] * (T - 1) + [math.inf]


@pytest.mark.parametrize(("eta_d", "variance"), [(0.0, 0.992645), (1.0, 0.980845)])
@pytest.mark.parametrize("gamma", ["exp", "linear_k", "hard"])
def test_with_an_isotropic_prior_cps_conditions_but_for_the_steps(gamma, eta_d, variance):
    a = tensor([2, -1, 2]) / 3
    constraints = Constraints((3,), [sets.equality((3,), a[None], [1.5])])
    mean, covariance = law(cps, gaussian(torch.eye(3, dtype=F64)), constraints, eta_d, gamma_schedule=gamma)
    torch.testing.assert_close(mean, 1.5 * a)
    expected = variance * (torch.eye(3, dtype=F64) - a[:, None] * a)
    torch.testing.assert_close(covariance, expected, atol=5e-7, rtol=0)


def test_the_variance_across_the_constraint_is_the_product_of_the_steps():
    alphas = [SCHEDULE.alpha(t) for t in range(-1, T)]
    c = [math.sqrt(p * a) + math.sqrt((1 - p) * (1 - a)) for p, a in pairwise(alphas)]
    assert math.prod(c) ** 2 == pytest.approx(0.992645, abs=5e-7)
    _, covariance = law(cps, gaussian(torch.eye(2, dtype=F64)), FIRST_IS)
    assert covariance[1, 1].item() == pytest.approx(math.prod(c) ** 2, rel=1e-10)


@pytest.mark.parametrize(("k", "expected"), [(1, 1.500000275), (100, 1.500000003)])
def test_without_a_hard_end_the_constraint_is_nearly_met(k, expected):
    mean, _ = law(without_a_hard_end, gaussian(torch.eye(2, dtype=F64)), FIRST_IS, k=k)
    assert mean[0].item() == pytest.approx(expected, abs=5e-10)


TABLE = {
    ("exp", 0.0): (0.912919, 0.394026),
    ("linear_k", 0.0): (0.914658, 0.393235),
    ("hard", 0.0): (0.917463, 0.392588),
    ("final_only", 0.0): (0.000000, 0.919397),
    ("exp", 1.0): (1.122972, 0.356181),
    ("linear_k", 1.0): (1.124978, 0.355674),
    ("hard", 1.0): (1.126407, 0.355571),
    ("final_only", 1.0): (0.000000, 0.964053),
}


@pytest.mark.parametrize(("gamma", "eta_d"), TABLE)
def test_with_a_correlated_prior_the_sampler_has_the_bias_that_was_computed(gamma, eta_d):
    """The exact conditional of z_2 given z_1 = 1.5 has mean 1.2 and variance 0.36."""
    mean, covariance = law(cps, gaussian(), FIRST_IS, eta_d, gamma_schedule=gamma)
    assert mean[0].item() == pytest.approx(1.5, abs=1e-12)
    assert covariance[0, 0].item() < 1e-24
    assert (mean[1].item(), covariance[1, 1].item()) == pytest.approx(TABLE[gamma, eta_d], abs=6e-7)


def recursion(gamma: str, eta_d: float) -> tuple[float, float]:
    """Mean and variance of z_2, carried through the steps in numpy without any code of the engine."""
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, T))
    mean, covariance = np.zeros(2), np.eye(2)
    prior = np.array([[1, 0.8], [0.8, 1]])
    for t in range(T, 0, -1):
        a, p = alphas[t - 1], alphas[t - 2] if t > 1 else 1.0
        e = np.sqrt(1 - a) * np.linalg.inv(a * prior + (1 - a) * np.eye(2))
        clean = (np.eye(2) - np.sqrt(1 - a) * e) / np.sqrt(a)
        weights = {"exp": np.exp(min(1 / max(1 - p, 1e-9), 700)), "linear_k": 2.0 * (T - t + 1), "hard": np.inf}
        weight = np.inf if t == 1 else {**weights, "final_only": 0.0}[gamma]
        share = 1.0 if np.isinf(weight) else weight / (1 + weight)
        keep = np.diag([1 - share, 1.0])
        sigma = eta_d * np.sqrt((1 - p) / (1 - a)) * np.sqrt(1 - a / p)
        step = np.sqrt(p) * keep @ clean + np.sqrt(max(1 - p - sigma**2, 0)) * e
        mean = step @ mean + np.sqrt(p) * share * np.array([1.5, 0])
        covariance = step @ covariance @ step.T + sigma**2 * np.eye(2)
    return mean[1], covariance[1, 1]


@pytest.mark.parametrize(("gamma", "eta_d"), TABLE)
def test_the_recursion_of_moments_gives_the_law_of_the_sampler(gamma, eta_d):
    mean, covariance = law(cps, gaussian(), FIRST_IS, eta_d, gamma_schedule=gamma)
    assert recursion(gamma, eta_d) == pytest.approx((mean[1].item(), covariance[1, 1].item()), abs=1e-9)


@pytest.mark.parametrize("eta_d", [0.0, 1.0])
def test_draws_of_the_sampler_follow_the_recursion_within_four_standard_errors(eta_d):
    size = 3000
    x = cps(gaussian(), FIRST_IS, Noise(5, range(size), dtype=F64), SCHEDULE, steps=T, eta_d=eta_d).x
    mean, variance = TABLE["exp", eta_d]
    assert (x[:, 0] - 1.5).abs().max() < 1e-12
    assert abs(x[:, 1].mean().item() - mean) < 4 * math.sqrt(variance / size)
    assert abs(x[:, 1].var().item() - variance) < 4 * variance * math.sqrt(2 / size)
    assert abs(x[:, 1].mean().item() - 1.2) > 4 * math.sqrt(variance / size), "the bias shows"


def test_fresh_noise_brings_cps_nearer_to_the_conditional_and_a_late_projection_brings_nothing():
    distance = {key: abs(mean - 1.2) for key, (mean, _) in TABLE.items()}
    assert distance["exp", 1.0] < 0.3 * distance["exp", 0.0] < 0.3 * 0.3 * distance["final_only", 0.0]


# -- the other methods -------------------------------------------------------------------------------------------------


def test_projecting_states_meets_the_constraint_but_with_another_law():
    mean, covariance = law(pdm, gaussian(), FIRST_IS)
    assert mean[0].item() == pytest.approx(1.5, abs=1e-12)
    # from z_1 = 1.5 at every step: the correlation acts while the noise is strong, too
    assert (mean[1].item(), covariance[1, 1].item()) == pytest.approx(pdm_recursion(), abs=1e-9)


def pdm_recursion() -> tuple[float, float]:
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, T))
    mean, covariance = np.zeros(2), np.eye(2)
    prior, keep = np.array([[1, 0.8], [0.8, 1]]), np.diag([0.0, 1.0])
    for t in range(T, 0, -1):
        a, p = alphas[t - 1], alphas[t - 2] if t > 1 else 1.0
        e = np.sqrt(1 - a) * np.linalg.inv(a * prior + (1 - a) * np.eye(2))
        clean = (np.eye(2) - np.sqrt(1 - a) * e) / np.sqrt(a)
        step = keep @ (np.sqrt(p) * clean + np.sqrt(1 - p) * e)
        mean, covariance = step @ mean + [1.5, 0], step @ covariance @ step.T
    return mean[1], covariance[1, 1]


def test_guidance_without_weight_is_plain_sampling_and_with_weight_nears_the_constraint():
    plain = law(unconstrained, gaussian(), FIRST_IS)
    torch.testing.assert_close(law(diff_time, gaussian(), FIRST_IS, rho=0.0), plain)
    means = [law(diff_time, gaussian(), FIRST_IS, rho=rho)[0] for rho in (0.001, 0.01)]
    assert 0.01 < means[0][0] < means[1][0] < 1.49, "drawn towards the constraint, and never there"
    assert means[1][1] > 0.1, "the correlation drew the other coordinate along"


def test_one_step_of_guidance_by_hand():
    """One step: z_p = zhat0 - rho d/dz (zhat0_1 - 1.5)^2, and zhat0 = sqrt(a) z for a standard normal prior."""
    schedule = Schedule((0.64,))
    model = GaussianEps(torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64), schedule)
    noise = Noise(3, [0], dtype=F64)
    z = Noise(3, [0], dtype=F64).normal(2)[0]
    x = diff_time(model, FIRST_IS, noise, schedule, rho=0.25, steps=1).x[0]
    expected = 0.8 * z - 0.25 * tensor([2 * (0.8 * z[0] - 1.5) * 0.8, 0])
    torch.testing.assert_close(x, expected)
    done = diff_time(model, FIRST_IS, Noise(3, [0], dtype=F64), schedule, rho=0.25, steps=1, project_last=True)
    torch.testing.assert_close(done.x[0], torch.stack([tensor(1.5), expected[1]]))
    assert (done.forward, done.backward) == (1, 1)


def test_cop_solves_its_quadratic_problem():
    """With a Gaussian prior x - D(x) is linear, H (x - mu), so that the minimiser is that of a quadratic program."""
    t, realism = 100, 3.0
    a, mu = SCHEDULE.alpha(t), tensor([0.2, -0.4])
    model = GaussianEps(mu, CORRELATED, SCHEDULE)
    seeds = tensor([[0.3, 2.0], [2.5, -1.0]])
    H = (1 - a) * torch.linalg.inv(a * CORRELATED + (1 - a) * torch.eye(2, dtype=F64))
    constraints = Constraints((2,), [sets.half_spaces((2,), [[1.0, 0]], [0.5]), sets.ball(torch.zeros(2), 1.2, (2,))])
    parameters = {"seeds": seeds, "realism": realism, "level": t}
    x = cop(model, constraints, Noise(0, [0, 1], dtype=F64), SCHEDULE, **parameters).x
    gradient = (x - seeds) + realism * (x - mu) @ (H @ H)
    torch.testing.assert_close(constraints.project(x - gradient), x, atol=1e-6, rtol=0)
    assert gradient.norm(dim=1).min() > 0.1, "vacuous: no constraint is active"


def test_rejection_reports_how_rarely_a_draw_is_accepted():
    """A half-plane of probability 1/2 for the isotropic prior of this schedule; an equality is never met."""
    half = Constraints((2,), [sets.half_spaces((2,), [[1.0, 0]], [0.0])])
    noise = Noise(1, range(200), dtype=F64)
    answer = rejection(gaussian(), half, noise, SCHEDULE, tries=5, steps=5)
    draws = answer.flags["draws"].double()
    assert draws.mean().item() / 5 == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(1000))
    assert (answer.x[:, 0] <= 1e-6).equal(answer.flags["accepted"])
    assert answer.flags["accepted"].equal(draws > 0)
    assert answer.forward == 25
    never = rejection(gaussian(), FIRST_IS, Noise(1, range(5), dtype=F64), SCHEDULE, tries=3, steps=5)
    assert not never.flags["accepted"].any()


# -- the contract ------------------------------------------------------------------------------------------------------

SHAPE = (6, 4)


def rough_model(dtype=torch.float32):
    """A mixture over series of six bars, in the precision of a network."""
    n = math.prod(SHAPE)
    means = torch.randn(3, n, generator=torch.Generator().manual_seed(1)) / 2
    lags = (torch.arange(n)[:, None] - torch.arange(n)).abs()
    covariance = (0.3 * 0.8**lags).expand(3, n, n)
    return GMMEps(torch.tensor([0.5, 0.3, 0.2], dtype=dtype), means.to(dtype), covariance.to(dtype), SCHEDULE)


def bars(samples):
    """Natural constraints of bars, and a mean, a peak and a value of each sample's own."""
    numbers = Noise(3, samples, dtype=F64, salt=[9])
    mean, times = numbers.normal(1)[:, 0] / 3, numbers.permutation(6)[:, 0]
    members = [sets.ohlc(SHAPE), sets.mean(SHAPE, mean, 3), sets.argmax_at(SHAPE, times, 1)]
    return Constraints(SHAPE, [*members, sets.value_at(SHAPE, times, mean + 0.5, 1)])


METHODS = {
    "cps": (cps, {}),
    "cps ancestral": (cps, {"eta_d": 1.0}),
    "cps hinge": (cps, {"penalty": "hinge"}),
    "cps residual": (cps, {"penalty": "sq_residual", "gamma_schedule": "linear_k"}),
    "hard": (cps, {"gamma_schedule": "hard"}),
    "final only": (cps, {"gamma_schedule": "final_only"}),
    "pdm": (pdm, {"eta_d": 0.5}),
    "guidance": (diff_time, {"project_last": True}),
    "cop": (cop, {}),
    "plain": (unconstrained, {}),
    "rejection": (rejection, {"tries": 2}),
}


def sample(name, samples, schedule=SCHEDULE, model=None):
    method, parameters = METHODS[name]
    parameters = {**parameters} if name == "cop" else {"steps": 10, **parameters}
    if name == "cop":
        parameters = {"seeds": Noise(8, samples).normal(*SHAPE), "iterations": 10}
    return method(model or rough_model(), bars(samples), Noise(4, samples), schedule, **parameters)


@pytest.mark.parametrize("name", METHODS)
def test_samples_do_not_depend_on_their_batch(name):
    eight = sample(name, range(8))
    assert eight.x.flatten(1).unique(dim=0).shape[0] == 8, "they differ among themselves"
    for samples in ([0, 1, 2], [3], [7, 5, 6]):
        alone = sample(name, samples)
        torch.testing.assert_close(alone.x, eight.x[list(samples)], atol=1e-5, rtol=0)
        assert (alone.forward, alone.backward) == (eight.forward, eight.backward)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("plain", "rejection")])
def test_what_comes_out_satisfies_the_constraints_though_the_model_is_single(name):
    assert sample(name, range(8)).x.dtype == F64
    assert bars(range(8)).largest_violation(sample(name, range(8)).x).max() < 1e-12
    assert bars(range(8)).largest_violation(sample("plain", range(8)).x).min() > 0.01, "vacuous"


@pytest.mark.parametrize("name", ["cps", "final only", "pdm"])
def test_a_schedule_that_does_not_end_clean_ends_on_the_constraints_all_the_same(name):
    schedule = linear(T, set_alpha_to_one=False)
    assert schedule.final_alpha < 1
    assert bars(range(4)).largest_violation(sample(name, range(4), schedule).x).max() < 1e-12


def test_evaluations_are_counted():
    assert (sample("cps", [0]).forward, sample("cps", [0]).backward) == (10, 0)
    assert (sample("guidance", [0]).forward, sample("guidance", [0]).backward) == (10, 10)
    assert (sample("cop", [0]).forward, sample("cop", [0]).backward) == (10, 10)
    assert (sample("rejection", [0]).forward, sample("rejection", [0]).backward) == (20, 0)


class Never:
    """A model that must not be asked."""

    def eps(self, z, t, cond=None):
        raise AssertionError("the network was called before the input was checked")


@pytest.mark.parametrize("method", [cps, pdm, diff_time, unconstrained, rejection])
@pytest.mark.parametrize(
    ("constraints", "streams", "parameters", "error", "message"),
    [
        (
            lambda: Constraints((2,), [sets.box((2,), 0, 1), sets.equality((2,), [[1.0, 1]], [3.0])]),
            1,
            {},
            InfeasibleError,
            "exclude each other: box, row 3 of 4; box, row 4 of 4; equality",
        ),
        (
            lambda: Constraints((2, 1), [sets.value_at((2, 1), 1, 1.0), sets.value_at((2, 1), 1, 2.0)]),
            1,
            {},
            InfeasibleError,
            "exclude each other: value of channel 0 at time 1; value of channel 0 at time 1",
        ),
        (lambda: Constraints((2,), [sets.convex(lambda x: x[0] ** 2 >= 1)]), 1, {}, ConstraintError, "not convex"),
        (lambda: Constraints((2,), [sets.equality((2,), [[1.0, 0]], torch.zeros(3, 1))]), 2, {}, ShapeError, "3 samp"),
        (lambda: FIRST_IS, 1, {"steps": 0}, ScheduleError, "steps"),
        (lambda: FIRST_IS, 1, {"steps": T + 1}, ScheduleError, "steps"),
        (lambda: FIRST_IS, 1, {"eta_d": 1.5}, BadParameter, "eta_d"),
    ],
)
def test_bad_input_is_refused_before_the_network_is_asked(method, constraints, streams, parameters, error, message):
    with pytest.raises(error, match=message):
        method(Never(), constraints(), Noise(0, range(streams)), SCHEDULE, **{"steps": 2, **parameters})


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        (cps, {"gamma_schedule": "soft"}, "gamma_schedule must be"),
        (cps, {"gamma_schedule": "linear_k", "k": 0}, "k must be a number above 0"),
        (cps, {"penalty": "soft"}, "penalty must be one of sq_dist, hinge, sq_residual, got 'soft'"),
        (diff_time, {"rho": -1.0}, "rho"),
        (cop, {"seeds": torch.zeros(2, 2), "realism": -1.0}, "realism"),
        (rejection, {"tries": 0}, "tries"),
    ],
)
def test_bad_parameters_are_refused(method, parameters, message):
    with pytest.raises(BadParameter, match=message):
        method(Never(), FIRST_IS, Noise(0, [0, 1]), SCHEDULE, **parameters)


def test_a_network_that_breaks_is_named_with_the_step():
    class Breaks:
        def eps(self, z, t, cond=None):
            return z * (float("nan") if int(t[0]) < 100 else 1.0)

    with pytest.raises(NumericalError, match=r"model's noise is not finite at step 6 of 10"):
        sample("cps", [0], model=Breaks())
