"""The adapter of Stable Diffusion against the library's own sampler: tiny random networks of the real classes.

With a folder of a real pipeline in the environment variable BANDITS_STABLE_DIFFUSION the same tests run on it too.
"""

from __future__ import annotations

import os

import pytest
import torch
from bandits.experiments.diffusion.latent_dps import latent_dps
from bandits.experiments.diffusion.psld import psld
from bandits.experiments.diffusion.stsl import stsl
from tiny_pipelines import SCALED_LINEAR, ddim, diffusers, text_encoder, tiny

from bandits.neural.degradations import box_mask
from bandits.neural.errors import AdapterError, NumericalError, WeightsNotFound
from bandits.neural.guidance import Diffusion, play
from bandits.neural.noise import Noise
from bandits.neural.operators import Inpainting, measure
from bandits.neural.schedule import tweedie
from bandits.neural.stable_diffusion import StableDiffusion, load

REAL = os.environ.get("BANDITS_STABLE_DIFFUSION")


@pytest.fixture(scope="module", params=["tiny", "real"])
def model(request):
    if request.param == "tiny":
        return StableDiffusion(tiny())
    if not REAL:
        pytest.skip("BANDITS_STABLE_DIFFUSION names no folder of a real pipeline")
    adapter = load(REAL)
    adapter.pipeline.set_progress_bar_config(disable=True)
    adapter.pipeline.scheduler = diffusers.DDIMScheduler.from_config(
        adapter.pipeline.scheduler.config, clip_sample=False
    )
    return adapter


@pytest.fixture
def condition(model):
    return Noise(1, [0]).normal(5, model.unet.config.cross_attention_dim)


@pytest.fixture
def z(model):
    side = model.unet.config.sample_size
    return Noise(2, [0]).normal(model.unet.config.in_channels, side, side)


def sampled(model, z, condition, steps, **guidance):
    """Plain sampling by this project's steps."""
    run = Diffusion(model, model.schedule, Noise(0, [0]), steps=steps, offset=model.offset, cond=condition, **guidance)

    def update(z, t, earlier):
        eps, clean = run.denoise(z, t)
        return run.step(clean, eps, t, earlier)

    with torch.no_grad():
        return play(run, z, update)


def by_the_library(model, z, condition, steps, **guidance):
    parameters = {"guidance_scale": 1.0, "output_type": "latent", **guidance}
    return model.pipeline(prompt_embeds=condition, latents=z, num_inference_steps=steps, **parameters).images


@pytest.mark.parametrize("steps", [5, 20])
def test_sampling_is_the_librarys_to_the_bit(model, z, condition, steps):
    assert float((sampled(model, z, condition, steps) - by_the_library(model, z, condition, steps)).abs().max()) == 0.0


def test_steps_are_the_librarys(model):
    model.pipeline.scheduler.set_timesteps(5)
    assert [t for t, _ in model.schedule.steps(5, model.offset)] == model.pipeline.scheduler.timesteps.tolist()
    assert [t for t, _ in model.schedule.steps(5, 1)] == [801, 601, 401, 201, 1]
    assert model.schedule.final_alpha == float(model.pipeline.scheduler.final_alpha_cumprod)


def test_classifier_free_guidance_is_the_librarys(model, z, condition):
    empty = Noise(3, [0]).normal(*condition.shape[1:])
    ours = sampled(model, z, condition, 5, uncond=empty, scale=4.0)
    theirs = by_the_library(model, z, condition, 5, negative_prompt_embeds=empty, guidance_scale=4.0)
    assert torch.allclose(ours, theirs, atol=1e-3 * float(theirs.abs().max()))
    assert not torch.allclose(ours, sampled(model, z, condition, 5), atol=0.1)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_clean_estimate_is_the_librarys_for_each_kind_of_prediction(prediction):
    scheduler = ddim(prediction_type=prediction)
    adapter = StableDiffusion(tiny(scheduler))
    z, condition = Noise(2, [0, 1]).normal(4, 8, 8), Noise(1, [0]).normal(5, 32)
    scheduler.set_timesteps(5)
    with torch.no_grad():
        for t in (1, 401, 801):
            index = torch.full((2,), t)
            out = adapter.unet(z, index, encoder_hidden_states=condition.expand(2, -1, -1)).sample
            theirs = scheduler.step(out, t, z)
            eps = adapter.eps(z, index, condition)
            clean = tweedie(z, eps, adapter.schedule.alpha(t))
            assert torch.allclose(clean, theirs.pred_original_sample, atol=1e-4, rtol=1e-4)


def test_samples_of_a_batch_may_be_at_different_times():
    adapter = StableDiffusion(tiny(ddim(prediction_type="v_prediction")))
    z, condition, t = Noise(2, [0, 1]).normal(4, 8, 8), Noise(1, [0]).normal(5, 32), torch.tensor([10, 900])
    with torch.no_grad():
        both = adapter.eps(z, t, condition)
        alone = [adapter.eps(z[i : i + 1], t[i : i + 1], condition) for i in range(2)]
    assert torch.allclose(both, torch.cat(alone), atol=1e-5)


def test_final_alpha_is_the_schedulers():
    one = diffusers.DDIMScheduler(**SCALED_LINEAR, set_alpha_to_one=True, clip_sample=False)
    assert StableDiffusion(tiny(one)).schedule.final_alpha == 1.0
    assert StableDiffusion(tiny()).schedule.final_alpha == StableDiffusion(tiny()).schedule.alpha(0)


def test_another_scheduler_of_the_pipeline_gives_the_same_alphas():
    pndm = diffusers.PNDMScheduler(**SCALED_LINEAR, set_alpha_to_one=False, skip_prk_steps=True)
    adapter = StableDiffusion(tiny(pndm))
    assert adapter.schedule == StableDiffusion(tiny()).schedule
    assert adapter.offset == 1


def test_codec_is_the_scaled_mode_of_the_vae(model):
    x = Noise(4, [0, 1]).uniform(*model.image_shape) * 2 - 1
    factor = model.vae.config.scaling_factor
    with torch.no_grad():
        z = model.encode(x)
        assert torch.equal(z, model.vae.encode(x).latent_dist.mean * factor)
        assert torch.equal(model.encode(x), z), "the mode is no draw"
        assert torch.equal(model.decode(z), model.vae.decode(z / factor).sample)


def problem(model, samples):
    shape = model.image_shape
    operator = Inpainting(box_mask(shape, shape[1] // 2), shape)
    x = Noise(5, samples).uniform(*shape) * 2 - 1
    return operator, measure(operator, x, 0.05, Noise(6, samples))


def test_gradient_of_the_full_loss_reaches_the_latents_and_no_parameter(model, z, condition):
    operator, y = problem(model, [0])
    z = z.requires_grad_()
    index = torch.tensor([401])
    clean = tweedie(z, model.eps(z, index, condition), model.schedule.alpha(401))
    x = model.decode(clean)
    glued = model.encode(operator.At(y) + x - operator.At(operator.A(x)))
    loss = (operator.A(x) - y).norm() + 0.1 * (clean - glued).norm()
    loss.backward()
    assert loss.isfinite() and z.grad.isfinite().all()
    assert float(z.grad.norm()) > 1e-4
    for network in (model.unet, model.vae):
        assert all(not p.requires_grad and p.grad is None for p in network.parameters())
        assert not network.training


@pytest.mark.parametrize("method", [psld, latent_dps, stsl])
def test_methods_run_on_the_adapter_in_any_batch(model, condition, method):
    def run(samples):
        operator, y = problem(model, samples)
        parameters = {"cond": condition, "steps": 4, "offset": 1}
        if method is psld:
            parameters["identify"] = False
        if method is stsl:  # inversion through a random network multiplies rounding by more than the tolerance
            parameters["start_from"] = "gaussian"
        return method(model, model, operator, y, Noise(0, samples), model.schedule, **parameters)

    three, one = run([0, 1, 2]), run([1])
    assert three.x.shape == (3, *model.image_shape)
    assert three.x.isfinite().all()
    assert torch.allclose(three.x[1:2], one.x, atol=1e-5 * max(1, float(one.x.abs().max())))
    assert three.backward > 0


def test_latent_directions_left_open_are_estimated_through_the_decoder():
    """The box hides 4 x 4 of the 8 x 8 places of the latents, of 4 channels each: about 64 of 256 directions."""
    adapter = StableDiffusion(tiny())
    operator, y = problem(adapter, [0])
    condition = Noise(1, [0]).normal(5, 32)
    flags = psld(adapter, adapter, operator, y, Noise(0, [0]), adapter.schedule, cond=condition, steps=1).flags
    assert flags["null_dimension_exact"] is False
    assert 48 <= int(flags["null_dimension"]) <= 80


def test_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointing in (False, True):
        adapter = StableDiffusion(tiny(), checkpointing=checkpointing)
        z = Noise(2, [0]).normal(4, 8, 8).requires_grad_()
        eps = adapter.eps(z, torch.tensor([401]), Noise(1, [0]).normal(5, 32))
        loss = eps.square().sum() + adapter.encode(adapter.decode(z)).square().sum()
        gradients.append(torch.autograd.grad(loss, z)[0])
    assert torch.allclose(*gradients, atol=1e-6, rtol=1e-5)


def test_networks_in_bfloat16_are_fed_and_read_in_float32():
    adapter = StableDiffusion(tiny().to(torch.bfloat16))
    operator, y = problem(adapter, [0])
    condition = Noise(1, [0]).normal(5, 32)
    parameters = {"cond": condition, "steps": 3, "identify": False}
    run = psld(adapter, adapter, operator, y, Noise(0, [0]), adapter.schedule, **parameters)
    assert run.x.dtype == run.z.dtype == torch.float32
    exact = StableDiffusion(tiny())
    same = psld(exact, exact, operator, y, Noise(0, [0]), exact.schedule, **parameters)
    assert torch.allclose(run.z, same.z, atol=0.1 * float(same.z.abs().max()))


# --- loading and refusing ---


def test_pipeline_is_loaded_from_its_folder_without_a_network(tmp_path, offline):
    encoder, tokenizer = text_encoder(tmp_path)
    pipeline = tiny(text_encoder=encoder, tokenizer=tokenizer)
    pipeline.save_pretrained(tmp_path / "model")
    adapter = load(tmp_path / "model")
    z, empty = Noise(2, [0]).normal(4, 8, 8), adapter.prompt("")
    assert empty.shape == (1, 8, 32)
    assert not torch.equal(empty, adapter.prompt("abc"))
    expected = pipeline.unet(z, torch.tensor(401), encoder_hidden_states=empty).sample
    assert torch.allclose(adapter.eps(z, torch.tensor([401]), empty), expected, atol=1e-6)


def test_missing_weights_are_said_and_never_downloaded(tmp_path, offline):
    for place in (tmp_path / "nowhere", tmp_path, "some-owner/some-model"):
        with pytest.raises(WeightsNotFound, match="nothing is downloaded"):
            load(place)


def test_pipelines_that_cannot_be_used_are_refused():
    with pytest.raises(AdapterError, match="'flow_prediction' is not known here"):
        broken = ddim()
        broken.register_to_config(prediction_type="flow_prediction")
        StableDiffusion(tiny(broken))
    with pytest.raises(AdapterError, match="FlowMatchEulerDiscreteScheduler has no alphas_cumprod"):
        StableDiffusion(tiny(diffusers.FlowMatchEulerDiscreteScheduler()))
    with pytest.raises(AdapterError, match="cannot be used: a schedule"):
        StableDiffusion(tiny(ddim(rescale_betas_zero_snr=True)))
    with pytest.raises(AdapterError, match=r"float16.*bfloat16 or float32"):
        pipeline = tiny()
        pipeline.vae.half()
        StableDiffusion(pipeline)
    with pytest.raises(AdapterError, match="no tokenizer, which prompts need"):
        StableDiffusion(tiny()).prompt("abc")
    with pytest.raises(AdapterError, match="needs a condition"):
        StableDiffusion(tiny()).eps(torch.zeros(1, 4, 8, 8), torch.tensor([0]))


def test_latents_that_are_scaled_twice_are_refused():
    pipeline = tiny()
    pipeline.vae.register_to_config(scaling_factor=100.0)
    with pytest.raises(AdapterError, match=r"standard deviation of .* applied twice"):
        StableDiffusion(pipeline).encode(Noise(0, [0]).normal(3, 16, 16))


def test_networks_that_overflow_are_named(condition):
    pipeline = tiny()
    with torch.no_grad():
        pipeline.unet.conv_out.weight.fill_(float("inf"))
    adapter = StableDiffusion(pipeline)
    operator, y = problem(adapter, [0])
    with pytest.raises(NumericalError, match=r"the model's noise is not finite at step 1 of 4 \(index 750\)"):
        psld(adapter, adapter, operator, y, Noise(0, [0]), adapter.schedule, cond=condition, steps=4)
