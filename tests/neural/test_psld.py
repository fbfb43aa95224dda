"""PSLD and its controls on a linear codec with a Gaussian prior, where every step is known in closed form.

The worked instance and its numbers are from the project's specification: data in R^4, latents in R^2, 3 entries seen.
"""

from __future__ import annotations

import math

import pytest
import torch
from bandits.experiments.diffusion.dps import dps
from bandits.experiments.diffusion.gml_dps import gml_dps
from bandits.experiments.diffusion.latent_dps import latent_dps
from bandits.experiments.diffusion.psld import psld
from neural_models import CODEC, INIT, ROWS, SD, THREE, TRUTH, S, Y, mixture_eps, noise, standard_normal, tensor

from bandits.errors import BadParameter
from bandits.neural.analytic import LinearCodec
from bandits.neural.identifiability import describe, null_dimension
from bandits.neural.operators import Matrix
from bandits.neural.schedule import Schedule

ONE_STEP = Schedule((0.5,), final_alpha=0.7)


def restore(omega, gamma, loss="sq", schedule=SD, operator=THREE, y=Y, steps=1000, **rest):
    parameters = dict(omega=omega, gamma=gamma, loss=loss, init=INIT, steps=steps, **rest)
    return psld(standard_normal(schedule), CODEC, operator, y, noise(), schedule, **parameters)


@pytest.mark.parametrize(
    ("loss", "omega", "expected"), [("sq", 0.5, [0.370000, -0.565316]), ("norm", 1.0, [0.610958, -0.162705])]
)
def test_one_step(loss, omega, expected):
    assert restore(omega, 0.1, loss, ONE_STEP, steps=1).z[0].tolist() == pytest.approx(expected, abs=5e-7)


def test_one_step_with_squares_is_the_affine_map():
    """z_p = c z - 2 sqrt(a) M (sqrt(a) z - z*), with M = omega H + gamma H^2."""
    H = (ROWS @ S).T @ (ROWS @ S)
    assert torch.allclose(H, tensor([[0.75, 0.25], [0.25, 0.75]]))
    a, p, omega, gamma = 0.5, 0.7, 0.37, 0.21
    c = math.sqrt(a * p) + math.sqrt((1 - a) * (1 - p))
    M = omega * H + gamma * H @ H
    expected = c * INIT - 2 * math.sqrt(a) * (math.sqrt(a) * INIT - TRUTH) @ M
    assert torch.allclose(restore(omega, gamma, schedule=ONE_STEP, steps=1).z, expected, atol=1e-12)


def test_direction_is_recovered_in_one_step_where_the_weights_say_so():
    """omega h + gamma h^2 = 1 / (2 sqrt(a)) in the direction (1, -1)/sqrt2 of eigenvalue 0.5, to abar_p = 1."""
    a, gamma = 0.5, 0.1
    omega = (1 / (2 * math.sqrt(a)) - gamma * 0.25) / 0.5
    last = Schedule((a,), final_alpha=a)  # the unconditional step is the identity
    z = restore(omega, gamma, schedule=last, steps=1).z
    apart = math.sqrt(0.5) * (z - TRUTH)[0] @ tensor([1.0, -1.0])
    start = math.sqrt(0.5) * INIT[0] @ tensor([1.0, -1.0])
    assert float(apart) == pytest.approx(float(start * (1 - math.sqrt(a))), abs=1e-12)  # what is left is z - zhat0


@pytest.mark.parametrize(
    ("steps", "offset", "omega", "gamma", "expected", "error"),
    [
        (1000, 0, 0.0, 0.0, [0.998568, 0.499284], None),
        (1000, 0, 0.5, 0.0, [0.300410, -1.200793], 8.93374e-4),
        (1000, 0, 0.5, 0.1, [0.300383, -1.200714], 8.10469e-4),
        (50, 1, 0.5, 0.0, None, 9.03784e-3),
        (50, 1, 0.5, 0.1, None, 7.04808e-3),
    ],
)
def test_full_run(steps, offset, omega, gamma, expected, error):
    run = restore(omega, gamma, steps=steps, offset=offset)
    if expected:
        assert run.z[0].tolist() == pytest.approx(expected, abs=6e-7)
    if error:
        assert float((run.z - TRUTH).norm()) == pytest.approx(error, rel=1e-5)
    assert torch.allclose(run.x, run.z @ S.T)
    assert (run.forward, run.backward) == (steps, steps)
    assert run.flags["identifiable"] is True


def test_what_the_measurement_does_not_see_is_left_to_the_prior_and_said():
    one = Matrix(ROWS[:1])
    run = restore(0.5, 0.1, operator=one, y=one.A(CODEC.decode(TRUTH)))
    apart = (run.z - TRUTH)[0]
    assert float((apart[0] + apart[1]) / math.sqrt(2)) == pytest.approx(-4.65602e-4, rel=1e-5)
    assert float((apart[0] - apart[1]) / math.sqrt(2)) == pytest.approx(-0.707613, abs=1e-6)
    assert run.flags["identifiable"] is False
    assert run.flags["null_dimension"].tolist() == [1]
    assert run.flags["diagnosis"] == "the measurement does not determine 1 latent direction"


@pytest.mark.parametrize("loss", ["sq", "norm"])
def test_gml_dps_is_latent_dps_where_the_codec_is_perfect(loss):
    parameters = {"omega": 0.3, "loss": loss, "steps": 100, "init": INIT}
    gml = gml_dps(standard_normal(), CODEC, THREE, Y, noise(), SD, gamma=0.7, **parameters)
    plain = latent_dps(standard_normal(), CODEC, THREE, Y, noise(), SD, **parameters)
    assert torch.equal(gml.z, plain.z)


def test_gml_dps_differs_where_the_codec_loses_something():
    class Lossy(LinearCodec):
        def encode(self, x):
            return 0.9 * super().encode(x)

    gml = gml_dps(standard_normal(), Lossy(S), THREE, Y, noise(), SD, steps=20, init=INIT)
    plain = latent_dps(standard_normal(), Lossy(S), THREE, Y, noise(), SD, steps=20, init=INIT)
    assert not torch.allclose(gml.z, plain.z, atol=1e-3)


def test_gluing_without_a_codec_changes_nothing_but_the_weight():
    """On pixels the gluing residual is A^T r, so that PSLD with squares is DPS with omega + gamma for a mask."""
    model, data = mixture_eps(size=4), tensor([[0.3, -0.5, 0.2, 0.1]])
    codec = LinearCodec(torch.eye(4, dtype=torch.float64))
    parameters = {"loss": "sq", "steps": 30}
    glued = psld(model, codec, THREE, THREE.A(data), noise(), SD, omega=0.2, gamma=0.1, **parameters)
    plain = dps(model, THREE, THREE.A(data), noise(), SD, omega=0.3, **parameters)
    assert torch.allclose(glued.x, plain.x, atol=1e-10)


def test_fixed_weights_find_a_point_and_not_the_posterior():
    """The posterior's covariance at sigma_y = 0.5 is 0.27 on the diagonal; PSLD's samples do not spread at all."""
    lanes = range(64)
    y = Y + 0.5 * noise(*[0] * 64, seed=9).normal(3)  # the same noisy measurement for all
    run = psld(standard_normal(), CODEC, THREE, y, noise(*lanes), SD, omega=0.5, gamma=0.1, loss="sq", steps=200)
    posterior = standard_normal().law.given(ROWS @ S, y[:1], 0.5)
    assert float(run.z.var(0).max()) < 1e-3 < 0.1 * float(posterior.covariance().diagonal(dim1=1, dim2=2).min())
    bias = (run.z.mean(0) - posterior.mean()[0]).norm()
    assert bias > 0.2
    least_squares = torch.linalg.lstsq(ROWS @ S, y[0]).solution
    assert torch.allclose(run.z.mean(0), least_squares, atol=0.03)


def test_renoised_prediction_draws_noise_of_its_size():
    quiet = restore(0.5, 0.1, steps=50)
    loud = restore(0.5, 0.1, steps=50, renoise_prediction=True, sigma_y=0.05)
    silent = restore(0.5, 0.1, steps=50, renoise_prediction=True, sigma_y=0.0)
    assert torch.allclose(quiet.z, silent.z, atol=1e-14)
    assert 1e-3 < float((quiet.z - loud.z).norm()) < 0.3


def test_guidance_without_classifier_asks_twice_and_mixes():
    class Conditioned:
        """A Gaussian prior around the condition."""

        def eps(self, z, t, cond=None):
            alpha = torch.tensor(SD.alphas, dtype=z.dtype)[t].unsqueeze(1)
            return (1 - alpha).sqrt() * (z - alpha.sqrt() * cond)

    def run(**parameters):
        return latent_dps(Conditioned(), CODEC, THREE, Y, noise(), SD, omega=0.0, steps=50, init=INIT, **parameters)

    right, left = tensor([[1.0, 0.0]]), tensor([[0.0, 1.0]])
    mixed = run(cond=right, uncond=left, scale=3.0)
    assert (mixed.forward, mixed.backward) == (100, 100)
    assert torch.allclose(mixed.z, run(cond=left + 3 * (right - left)).z, atol=1e-10)
    assert run(cond=right, uncond=left).forward == 50


@pytest.mark.parametrize(
    ("conditions", "lacking"), [({"cond": INIT}, "uncond"), ({"uncond": INIT}, "cond"), ({}, "cond")]
)
@pytest.mark.parametrize("scale", [7.5, 0.0])
def test_guidance_without_both_conditions_is_refused(scale, conditions, lacking):
    with pytest.raises(
        BadParameter, match=f"scale {scale} .*, and {lacking} is not given: give cond and uncond, or sc"
    ):
        latent_dps(standard_normal(), CODEC, THREE, Y, noise(), SD, steps=2, scale=scale, **conditions)


def test_ancestral_steps_have_the_variance_of_their_formula():
    """From N(0, I): v <- (sqrt(p a) + sqrt((1 - p - sig^2)(1 - a)))^2 v + sig^2, less than 1 for long steps."""
    draws = latent_dps(
        standard_normal(), CODEC, THREE, Y.expand(4000, -1), noise(*range(4000)), SD, omega=0.0, eta_d=1.0, steps=20
    )
    v = 1.0
    for t, earlier in SD.steps(20):
        a, p = SD.alpha(t), SD.alpha(earlier)
        sig2 = (1 - p) / (1 - a) * (1 - a / p)
        v = (math.sqrt(p * a) + math.sqrt((1 - p - sig2) * (1 - a))) ** 2 * v + sig2
    assert 0.7 < v < 0.85
    assert torch.allclose(draws.z.T.cov(), v * torch.eye(2, dtype=torch.float64), atol=4 * v * math.sqrt(2 / 4000))


# --- how many latent directions are open ---


def test_rank_of_the_worked_instances():
    for rows, dimension in ((3, 0), (2, 0), (1, 1)):
        found, exact = null_dimension(CODEC, Matrix(ROWS[:rows]), INIT)
        assert (found.tolist(), exact) == ([dimension], True)


class Bent:
    """A decoder that is not linear: one latent direction is lost where the first latent is 0."""

    def encode(self, x):
        return x[:, :2]

    def decode(self, z):
        return torch.stack([z[:, 0], z[:, 0] * z[:, 1], z[:, 0] ** 2, z[:, 0].sin()], 1)


def test_rank_belongs_to_the_point_for_a_decoder_that_is_not_linear():
    found, _ = null_dimension(Bent(), Matrix(ROWS), tensor([[0.0, 1.0], [0.5, 1.0]]))
    assert found.tolist() == [1, 0]
    assert describe(found) == "the measurement does not determine 0 to 1 latent direction"


def test_lanczos_estimates_the_kernel_of_a_large_latent_space():
    """100 latents, of which 60 are seen with two different strengths."""
    codec = LinearCodec(torch.eye(100, dtype=torch.float64))
    seen = torch.eye(100, dtype=torch.float64)[:60]
    seen[:30] *= 2
    found, exact = null_dimension(codec, Matrix(seen), torch.zeros(2, 100, dtype=torch.float64))
    assert not exact
    assert found.tolist() == [40, 40]
    all_seen, _ = null_dimension(codec, Matrix(torch.eye(100, dtype=torch.float64)), torch.zeros(1, 100).double())
    assert all_seen.tolist() == [0]
