"""Latent diffusion models of the Stable Diffusion family, from a local folder, behind the interfaces of samplers.

The adapter holds the objects of the diffusers library and is itself the noise model and the codec; its ``schedule`` is
that of the library's scheduler. Nothing is ever downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import AdapterError, ScheduleError, WeightsNotFound
from .schedule import Schedule

__all__ = ["StableDiffusion", "load"]

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def load(
    folder: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    checkpointing: bool = False,
) -> StableDiffusion:
    """Load a pipeline that lies in a folder (or, by its hub name, in the local cache of the hub).

    Args:
        folder: What ``StableDiffusionPipeline.save_pretrained`` wrote.
        device: Where the networks go.
        dtype: float32 or bfloat16: float16 overflows in the decoder.
        checkpointing: Trade time for memory in gradients through the network.

    Raises:
        WeightsNotFound: There is no pipeline at that place. No download is tried.
        AdapterError: The pipeline is there and cannot be used.
    """
    from diffusers import StableDiffusionPipeline

    missing = WeightsNotFound(
        f"no Stable Diffusion pipeline at '{folder}': give a folder with a model_index.json, as save_pretrained writes "
        "it (nothing is downloaded)"
    )
    if Path(folder).is_dir() and not (Path(folder) / "model_index.json").is_file():
        raise missing
    try:
        pipeline: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]  # diffusers has no type for it
            str(folder), local_files_only=True, safety_checker=None, requires_safety_checker=False
        )
    except (OSError, ValueError) as error:
        raise missing from error
    if dtype != torch.float32:
        pipeline.unet.to(dtype), pipeline.vae.to(dtype)
    return StableDiffusion(pipeline.to(device), checkpointing=checkpointing)


class StableDiffusion:
    """Noise model and codec made of a ``StableDiffusionPipeline``.

    Latents and data are float32; networks of another type are fed and read in theirs. The networks' parameters are
    frozen: gradients flow through z alone.

    Args:
        pipeline: With ``unet``, ``vae`` and ``scheduler``; tokenizer and text encoder are needed by ``prompt`` only.
        checkpointing: Trade time for memory in gradients through the network.

    Attributes:
        schedule: alphas of the pipeline's scheduler, with its ``final_alpha_cumprod``.
        offset: First index that the library would play (``steps_offset``).

    Raises:
        AdapterError: An unknown kind of prediction, a scheduler without alphas, or a VAE in float16.
    """

    def __init__(self, pipeline: Any, *, checkpointing: bool = False) -> None:
        self.pipeline, self.unet, self.vae = pipeline, pipeline.unet, pipeline.vae
        self.schedule, self.offset, self.prediction = _read_scheduler(pipeline.scheduler)
        if self.vae.dtype == torch.float16:
            raise AdapterError("the VAE is in float16, which overflows in gradients: load it in bfloat16 or float32")
        for network in (self.unet, self.vae, getattr(pipeline, "text_encoder", None)):
            if network is not None:
                network.eval().requires_grad_(False)
        if checkpointing:
            self.unet.enable_gradient_checkpointing()
        if hasattr(self.vae, "disable_tiling"):
            self.vae.disable_tiling()
        self._alphas = torch.tensor(self.schedule.alphas, dtype=torch.float64, device=self.unet.device)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of the images that the network was made for."""
        side = self.unet.config.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)
        return self.vae.config.in_channels, side, side

    @torch.no_grad()
    def prompt(self, text: str = "") -> Tensor:
        """Condition (1, tokens, width) that a text stands for."""
        if getattr(self.pipeline, "tokenizer", None) is None or self.pipeline.text_encoder is None:
            raise AdapterError(
                "this pipeline has no text encoder: pass embeddings (1 or B, tokens, width) as the condition"
            )
        condition: Tensor = self.pipeline.encode_prompt(text, self.unet.device, 1, False)[0]
        return condition

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """Noise in latents z (B, C, h, w) at indices t (B,), given the condition (1 or B, tokens, width)."""
        if cond is None:
            raise AdapterError("a Stable Diffusion network needs a condition: prompt('') makes the empty one")
        own = self.unet.dtype
        words = cond.to(own).expand(len(z), -1, -1)
        out: Tensor = self.unet(z.to(own), t, encoder_hidden_states=words, return_dict=False)[0].to(z.dtype)
        if self.prediction == "epsilon":
            return out
        alpha = self._alphas[t].view(-1, 1, 1, 1)
        signal: Tensor = alpha.sqrt().to(z)
        noise: Tensor = (1 - alpha).sqrt().to(z)
        if self.prediction == "v_prediction":
            return signal * out + noise * z
        return (z - signal * out) / noise

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, C, h, w) of images (B, 3, H, W) in [-1, 1]: the mode of the VAE's posterior, scaled.

        The authors' code of PSLD samples instead; the mode keeps the gluing term deterministic.
        """
        posterior = self.vae.encode(x.to(self.vae.dtype)).latent_dist
        z: Tensor = posterior.mode().to(x.dtype) * self.vae.config.scaling_factor
        if not z.requires_grad and float(z.std()) > 3:
            raise AdapterError(
                f"latents have a standard deviation of {float(z.std()):.3g} where about 1 is expected: is the VAE's "
                f"scaling factor {self.vae.config.scaling_factor:g} the one that it was trained with, or applied twice?"
            )
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Images (B, 3, H, W) of latents, not clamped: a clamp would stop the gradient."""
        scaled = (z / self.vae.config.scaling_factor).to(self.vae.dtype)
        image: Tensor = self.vae.decode(scaled, return_dict=False)[0].to(z.dtype)
        return image


def _read_scheduler(scheduler: Any) -> tuple[Schedule, int, str]:
    """Schedule, offset and kind of prediction of a library's scheduler, as its ``DDIMScheduler`` reads them."""
    from diffusers import DDIMScheduler

    prediction = scheduler.config.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        raise AdapterError(
            f"prediction_type {prediction!r} is not known here: expected one of {', '.join(PREDICTIONS)}"
        )
    if not hasattr(scheduler, "alphas_cumprod"):
        raise AdapterError(
            f"{type(scheduler).__name__} has no alphas_cumprod: it is no scheduler of a variance-preserving diffusion"
        )
    ddim: Any = DDIMScheduler.from_config(  # type: ignore[no-untyped-call]  # diffusers has no type for it
        scheduler.config, clip_sample=False, thresholding=False
    )
    try:
        schedule = Schedule(tuple(ddim.alphas_cumprod.tolist()), float(ddim.final_alpha_cumprod))
    except ScheduleError as error:
        raise AdapterError(f"the alphas of {type(scheduler).__name__} cannot be used: {error}") from error
    return schedule, int(ddim.config.steps_offset), prediction
