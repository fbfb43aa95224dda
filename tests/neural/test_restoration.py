"""The trials of inverse problems: metrics, the known posterior, and what a replication depends on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bandits.experiments.diffusion.cosine_mixture import SHAPE, CosineMixture
from bandits.experiments.diffusion.dps import dps
from bandits.experiments.diffusion.inverse_problems import EXPERIMENT as ALL_METHODS
from bandits.experiments.diffusion.inverse_problems import METHODS, OPERATORS
from bandits.experiments.diffusion.latent_dps import latent_dps
from bandits.experiments.diffusion.psld_study import EXPERIMENT as PSLD
from bandits.experiments.diffusion.restoration import Chains, operator_of
from bandits.experiments.diffusion.restoration_trials import RestoreDigits, RestoreMixture
from bandits.experiments.diffusion.restoration_tuning import CANDIDATES
from bandits.experiments.diffusion.restoration_tuning import EXPERIMENT as TUNING
from bandits.experiments.diffusion.stsl_study import EXPERIMENT as STSL
from bandits.experiments.diffusion.tuned_weights import TUNED
from neural_models import noise

from bandits.neural.analytic import GMMEps
from bandits.neural.batch import Batch
from bandits.neural.data import load_digits
from bandits.neural.image_metrics import energy_distance, psnr, seen_and_hidden_error, ssim
from bandits.neural.operators import measure
from bandits.neural.schedule import scaled_linear


def run(trial, replications, seed=1):
    batch = Batch(seed, replications, torch.device("cpu"))
    trial.run(batch)
    return {metric: values for _, metric, values in batch.rows}


# --- what is refused before any model is trained ---


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("psld", {"omega": -1.0}, "omega must be a number of at least 0, got -1.0"),
        ("psld", {"gamma": math.nan}, "gamma must be a number of at least 0, got nan"),
        ("psld", {"gamma": "much"}, "gamma must be a number of at least 0, got 'much'"),
        ("psld", {"loss": "squared"}, "loss must be one of norm, sq, got 'squared'"),
        ("psld", {"projection": "inverse"}, "projection must be one of adjoint, pinv, got 'inverse'"),
        ("dps", {"eta_d": 2.0}, r"eta_d must lie in \[0, 1\], got 2.0"),
        ("ddrm", {"eta": 1.5}, r"eta must lie in \[0, 1\], got 1.5"),
        ("stsl", {"inner": 0}, "inner must be a whole number of at least 1, got 0"),
        ("stsl", {"start_from": "noise"}, "start_from must be one of gaussian, ddim_forward, got 'noise'"),
        ("stsl", {"trace_mode": "exact"}, "trace_mode must be one of paper, small_delta, got 'exact'"),
        ("stsl", {"trace_weight": "k"}, "trace_weight must be one of const, kappa, got 'k'"),
    ],
)
def test_bad_options_are_refused_where_they_are_declared(method, options, says):
    with pytest.raises(ValueError, match=says):
        RestoreDigits(method=method, options=options)


def test_a_seed_of_a_network_is_not_negative():
    with pytest.raises(ValueError, match="model_seed must be a whole number of at least 0, got -1"):
        RestoreDigits(model_seed=-1)


# --- metrics ---


def test_psnr_and_ssim_are_scikit_images():
    metrics = pytest.importorskip("skimage.metrics", reason="skimage is not installed: the extra neural has it")
    truth = noise(*range(4)).uniform(1, 12, 10) * 2 - 1
    x = (truth + 0.3 * noise(*range(4), seed=1).normal(1, 12, 10)).clamp(-1, 1)
    for i in range(4):
        a, b = truth[i, 0].numpy(), x[i, 0].numpy()
        assert float(psnr(x, truth)[i]) == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=2.0))
        assert float(ssim(x, truth)[i]) == pytest.approx(metrics.structural_similarity(a, b, data_range=2.0))


def test_errors_of_seen_and_hidden_pixels_are_those_of_the_mask():
    operator = operator_of("random", SHAPE, noise(0, 1))
    x, truth = noise(0, 1).normal(*SHAPE), noise(2, 3).normal(*SHAPE)
    seen, hidden = seen_and_hidden_error(operator, x, truth)
    for i in range(2):
        error = (x - truth)[i, operator.mask[i]], (x - truth)[i, ~operator.mask[i]]
        assert float(seen[i]) == pytest.approx(float(error[0].square().mean()))
        assert float(hidden[i]) == pytest.approx(float(error[1].square().mean()))


@pytest.mark.parametrize("name", OPERATORS)
def test_seen_and_hidden_errors_share_out_the_error(name):
    operator = operator_of(name, SHAPE, noise(0, 1, 2))
    x, truth = noise(0, 1, 2).normal(*SHAPE), noise(3, 4, 5).normal(*SHAPE)
    seen, hidden = seen_and_hidden_error(operator, x, truth)
    rank = operator.rank.expand(3)
    whole = rank * seen + torch.where(rank < 64, (64 - rank) * hidden, 0)
    assert torch.allclose(whole, (x - truth).square().flatten(1).sum(1))


def test_energy_distance_of_two_normals_is_its_integral():
    """Of N(0, 1) and N(m, 1) it is 2 E|m + sqrt2 xi| - 4 / sqrt(pi)."""
    n, m = 4000, 1.5
    x, y = noise(0).normal(n, 1), noise(1).normal(n, 1) + m
    absolute = 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * math.erf(m / 2)
    assert float(energy_distance(x, y)) == pytest.approx(2 * absolute - 4 / math.sqrt(math.pi), abs=0.06)
    assert abs(float(energy_distance(x, noise(2).normal(n, 1)))) < 0.02


# --- the mixture ---


def test_pixels_and_latents_of_the_mixture_have_one_score():
    model = CosineMixture(dtype=torch.float64)
    z, t = noise(0, 1, 2).normal(8), torch.tensor([3, 500, 990])
    S = model.codec.S
    assert torch.allclose(S.T @ S, torch.eye(8, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(model.pixel.eps((z @ S.T).view(-1, *SHAPE), t), model.codec.decode(model.latent.eps(z, t)))


@pytest.mark.parametrize("name", OPERATORS)
def test_posterior_of_the_mixture_is_prior_times_likelihood(name):
    model, sd = CosineMixture(dtype=torch.float64), 0.3
    operator = operator_of(name, SHAPE, noise(4))
    z = model.latent.law.sample(noise(4))
    y = measure(operator, model.codec.decode(z), sd, noise(4, seed=2), bounds=None)
    posterior = model.posterior(operator, y, sd)
    points = z + 0.3 * noise(*range(5)).normal(8)
    images = model.codec.decode(points)
    misfit = torch.cat([(operator.A(image.unsqueeze(0)) - y).square().sum().view(1) for image in images])
    joint = model.latent.law.log_prob(points) - misfit / (2 * sd**2)
    assert torch.allclose(posterior.log_prob(points).diff(), joint.diff(), atol=1e-8)


def test_exact_draws_are_at_the_floor_of_every_distance():
    found = run(RestoreMixture(method="exact", chains=64), range(24))
    error = found["energy_distance"].std(ddof=1) / math.sqrt(24)
    assert abs(found["energy_distance"].mean()) < 4 * error < 0.02
    assert found["spread_ratio"].mean() == pytest.approx(1, abs=0.1)


def test_a_method_that_spreads_too_little_is_found_out():
    """Fixed weights make DPS converge to a point: it spreads far less than the posterior, and lies far from it."""
    found = run(RestoreMixture(method="latent_dps", steps=100, chains=16), range(4))
    assert (found["spread_ratio"] < 0.5).all()
    assert (found["energy_distance"] > 0.05).all()
    nothing = run(RestoreMixture(method="zero_fill", chains=16), range(4))
    assert (nothing["energy_distance"] > 5 * found["energy_distance"]).all()


def test_dps_on_pixels_is_latent_dps_where_images_lie_in_the_span_of_the_codec():
    model = CosineMixture(dtype=torch.float64)
    operator, z = operator_of("box", SHAPE, noise(0, 1)), noise(0, 1).normal(8)
    y = operator.A(model.codec.decode(model.latent.law.sample(noise(2, 3))))
    schedule = scaled_linear()
    latent, pixel = (GMMEps(*law_of(one), schedule) for one in (model.latent, model.pixel))
    on_latents = latent_dps(latent, model.codec, operator, y, noise(0, 1), schedule, steps=50, init=z)
    on_pixels = dps(pixel, operator, y, noise(0, 1), schedule, steps=50, init=model.codec.decode(z))
    assert torch.allclose(on_latents.x, on_pixels.x, atol=1e-6)


def law_of(model):
    return model.law.weights, model.law.means, model.law.covariances


def test_chains_of_a_replication_draw_their_own_and_do_not_see_the_batch():
    both, alone = Chains(noise(3, 8), 4), Chains(noise(8), 4)
    draws = both.normal(2)
    assert (len(both), draws.shape) == (8, (8, 2))
    assert torch.equal(draws[4:], alone.normal(2))
    assert len(draws.unique(dim=0)) == 8
    assert torch.equal(both.uniform(1)[4:], alone.uniform(1))
    assert both.permutation(5).sort(1).values.tolist() == [[0, 1, 2, 3, 4]] * 8


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_the_mixture_do_not_depend_on_the_batch(method):
    trial = RestoreMixture(method=method, operator="motion_blur", steps=5, chains=3)
    whole = run(trial, range(8))
    assert whole["nfe_forward"].min() == whole["nfe_forward"].max()
    for replications in ([5], [1, 2, 3]):
        part = run(trial, replications)
        assert part.keys() == whole.keys()
        for metric in whole:
            np.testing.assert_allclose(part[metric], whole[metric][replications], rtol=1e-4, atol=1e-4)


# --- digits ---


@pytest.mark.parametrize("method", ["zero_fill", "codec_ceiling", "dps", "psld", "stsl"])
def test_digits_are_restored_with_trained_networks(method, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("BANDITS_CACHE", str(tmp_path_factory.getbasetemp() / "digits"))
    trial = RestoreDigits(method=method, operator="box", steps=5, training=0.01)
    batch = Batch(1, range(199, 203), torch.device("cpu"))
    trial.run(batch)
    found = {metric: values for _, metric, values in batch.rows}
    logged = {"psnr", "ssim", "observed_mse", "hidden_mse", "nfe_forward", "nfe_backward", "classifier_agreement"}
    assert logged | ({"truth_agreement"} if method == "codec_ceiling" else set()) == found.keys()
    assert batch.tensors["truth"].shape == batch.tensors["restored"].shape == batch.tensors["measured"].shape
    first = Batch(1, [0], torch.device("cpu"))
    trial.run(first)
    assert np.array_equal(first.tensors["truth"][0], batch.tensors["truth"][1]), "replication 200 has image 0 again"


def test_zero_fill_leaves_zero_where_nothing_was_seen():
    batch = Batch(1, range(3), torch.device("cpu"))
    RestoreDigits(method="zero_fill", operator="box", sigma_y=0.0).run(batch)
    assert (batch.tensors["restored"][..., 2:6, 2:6] == 0).all()
    found = {metric: values for _, metric, values in batch.rows}
    assert found["observed_mse"] == pytest.approx(0, abs=1e-12)


# --- declarations ---


@pytest.mark.parametrize(
    ("trial", "parameters", "message"),
    [
        (RestoreDigits, {"method": "pslt"}, "method must be one of .*psld.*, got 'pslt'. Did you mean 'psld'"),
        (RestoreDigits, {"method": "exact"}, "method must be one of"),
        (RestoreMixture, {"method": "codec_ceiling"}, "method must be one of"),
        (RestoreDigits, {"operator": "crop"}, "operator must be one of random, box, pool"),
        (RestoreDigits, {"sigma_y": -1.0}, "sigma_y must be a number of at least 0"),
        (RestoreMixture, {"sigma_y": 0.0}, "without noise the posterior has no density"),
        (RestoreDigits, {"steps": 0}, "steps must be a whole number from 1 to 1,000"),
        (RestoreDigits, {"method": "dps", "options": {"gamma": 0.1}}, "dps takes no option 'gamma': it takes omega"),
        (RestoreDigits, {"options": {"steps": 5}}, "psld takes no option 'steps'"),
        (RestoreDigits, {"part": "train"}, "'test' or 'validation'"),
        (RestoreDigits, {"training": 0.0}, "share of the recipes' steps"),
        (RestoreMixture, {"chains": 1}, "chains must be a whole number from 2"),
    ],
)
def test_trials_refuse_what_they_cannot_do(trial, parameters, message):
    with pytest.raises(ValueError, match=message):
        trial(**parameters)


@pytest.mark.parametrize("experiment", [ALL_METHODS, PSLD, STSL, TUNING], ids=lambda experiment: experiment.name)
def test_experiments_hold_in_both_sizes(experiment):
    full, small = experiment.cells(), experiment.smoked().cells()
    assert len(full) >= len(small) > 10
    assert small[0].replications < full[0].replications
    assert max(cell.trial.parameters["steps"] for cell in small) <= 50


def test_every_method_meets_every_operator_on_both_kinds_of_data():
    found = {
        (cell.trial.name, cell.trial.parameters["method"], cell.trial.parameters["operator"])
        for cell in ALL_METHODS.cells()
    }
    for name, control in (("restore_mixture", "exact"), ("restore_digits", "codec_ceiling")):
        assert {(name, method, operator) for method in (control, *METHODS) for operator in OPERATORS} <= found


@pytest.mark.parametrize("part", ["validation", "test"])
def test_items_are_the_images_of_the_part(part):
    assert RestoreDigits(part=part).items == len(getattr(load_digits(), part))


def test_every_method_has_as_many_candidates_and_only_validation_images_choose():
    assert {len(grid) for *_, grid in CANDIDATES} == {12}
    assert {cell.trial.parameters["part"] for cell in TUNING.cells()} == {"validation"}
    assert {cell.trial.parameters["part"] for cell in (*PSLD.cells(), *STSL.cells())} == {"test"}


@pytest.mark.parametrize("operator", ["random", "box"])
def test_tuned_weights_are_candidates_of_their_method(operator):
    grids = [(method, steps, dict(fixed), list(grid)) for method, steps, fixed, grid in CANDIDATES]
    assert [(method, steps, fixed) for method, steps, fixed, _ in TUNED[operator]] == [one[:3] for one in grids]
    for (*_, weights), (*_, grid) in zip(TUNED[operator], grids, strict=True):
        assert weights in grid


@pytest.mark.parametrize("experiment", [PSLD, STSL], ids=lambda experiment: experiment.name)
def test_studies_compare_with_one_arm_of_each_task_in_both_sizes(experiment):
    for size in (experiment, experiment.smoked()):
        assert [cell.trial.parameters["operator"] for cell in size.cells() if cell.reference] == ["random", "box"]
    seeds = {cell.trial.parameters["model_seed"] for cell in experiment.cells()}
    assert seeds == {0, 1, 2}
