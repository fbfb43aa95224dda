"""Latent diffusion models of the Stable Diffusion family, from a local folder, behind the interfaces of samplers.

The adapter holds the objects of the diffusers library and is itself the noise model and the codec; its ``schedule`` is
that of the library's scheduler. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import in_one_line
from .errors import AdapterError, ScheduleError, WeightsNotFound
from .schedule import Schedule
from .training import digest_of

__all__ = ["StableDiffusion", "load", "locate"]

PREDICTIONS = ("epsilon", "v_prediction", "sample")
PARTS = ("unet", "vae", "scheduler", "text_encoder", "tokenizer")
CONFIGS = ("unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json")
BY_THE_WAY = ("architectures", "dtype", "torch_dtype", "transformers_version")  # says nothing of what a network is


def locate(model: str | Path) -> Path:
    """The folder of a pipeline: the one given, or of a hub name the one in the local cache of the hub.

    Raises:
        WeightsNotFound: There is no pipeline at that place. No download is tried.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            found = try_to_load_from_cache(str(model), "model_index.json")
        except HFValidationError:  # no name that the hub could have
            found = None
        folder = Path(found).parent if isinstance(found, str) else folder
    if not (folder / "model_index.json").is_file():
        raise WeightsNotFound(
            f"no Stable Diffusion pipeline at '{model}': give a folder with a model_index.json, as save_pretrained "
            "writes it, or a name that is in the local cache of the hub (nothing is downloaded)"
        )
    return folder


def load(
    folder: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    checkpointing: bool = False,
) -> StableDiffusion:
    """Load a pipeline that lies in a folder (or, by its hub name, in the local cache of the hub).

    Args:
        folder: What ``StableDiffusionPipeline.save_pretrained`` wrote, or a hub name.
        device: Where the networks go.
        dtype: float32, bfloat16 or float64: float16 overflows in the decoder.
        checkpointing: Trade time for memory in gradients through the network.

    Raises:
        WeightsNotFound: There is no pipeline at that place. No download is tried.
        AdapterError: The pipeline is there and cannot be used.
    """
    place = locate(folder)
    _check_parts(place, folder)
    with _quiet():
        from diffusers import StableDiffusionPipeline

        try:
            pipeline: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]  # diffusers has no type for it
                str(place),
                local_files_only=True,
                safety_checker=None,
                feature_extractor=None,
                image_encoder=None,
                requires_safety_checker=False,
            ).to(torch.float32)
        except Exception as error:  # whatever the libraries make of files that do not fit together
            raise AdapterError(f"the pipeline at '{folder}' cannot be loaded: {in_one_line(error, 300)}") from error
    _check_networks(pipeline, folder)
    digest = _digest(place, pipeline)
    if dtype != torch.float32:
        pipeline.unet.to(dtype), pipeline.vae.to(dtype)
    return StableDiffusion(pipeline.to(device), checkpointing=checkpointing, digest=digest)


class StableDiffusion:
    """Noise model and codec made of a ``StableDiffusionPipeline``.

    Latents and data are float32; networks of another type are fed and read in theirs. The networks' parameters are
    frozen: gradients flow through z alone.

    Args:
        pipeline: With ``unet``, ``vae`` and ``scheduler``; tokenizer and text encoder are needed by ``prompt`` only.
        checkpointing: Trade time for memory in gradients through the networks.
        digest: Hash of what was loaded, if that is known.

    Attributes:
        schedule: alphas of the pipeline's scheduler, with its ``final_alpha_cumprod``.
        offset: First index that the library would play (``steps_offset``); `first` is the one to play.
        digest: As given.

    Raises:
        AdapterError: An unknown kind of prediction, a scheduler without alphas, or a VAE in float16.
    """

    def __init__(self, pipeline: Any, *, checkpointing: bool = False, digest: str = "") -> None:
        self.digest = digest
        self.pipeline, self.unet, self.vae = pipeline, pipeline.unet, pipeline.vae
        self.schedule, self.offset, self.prediction = _read_scheduler(pipeline.scheduler)
        if self.vae.dtype == torch.float16:
            raise AdapterError("the VAE is in float16, which overflows in gradients: load it in bfloat16 or float32")
        for network in (self.unet, self.vae, getattr(pipeline, "text_encoder", None)):
            if network is not None:
                network.eval().requires_grad_(False)
        if checkpointing:
            self.unet.enable_gradient_checkpointing()
            self.vae.enable_gradient_checkpointing()
        if hasattr(self.vae, "disable_tiling"):
            self.vae.disable_tiling()
        self._alphas = torch.tensor(self.schedule.alphas, dtype=torch.float64, device=self.unet.device)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of the images that the network was made for."""
        side = self.unet.config.sample_size * self.reduction
        return self.vae.config.in_channels, side, side

    @property
    def reduction(self) -> int:
        """Pixels of an image on each place of the latents, on a side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def first(self, steps: int) -> int:
        """The offset of a sampler of so many steps: the library's, or less where the schedule has no room for it.

        The library breaks off there: 1000 steps of 1000 with an offset of 1 ask for an index 1000.
        """
        count = len(self.schedule)
        return min(self.offset, count - 1 - (count // steps) * (steps - 1)) if steps <= count else self.offset

    @torch.no_grad()
    def prompt(self, text: str = "") -> Tensor:
        """Condition (1, tokens, width) that a text stands for."""
        for part in ("tokenizer", "text_encoder"):
            if getattr(self.pipeline, part, None) is None:
                raise AdapterError(
                    f"this pipeline has no {part}, which prompts need, the empty one, too: add it, or in Python pass "
                    "embeddings (1 or B, tokens, width) as the condition"
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


def _check_parts(place: Path, folder: str | Path) -> None:
    """Refuse a folder that lacks a part of a pipeline, and name it."""
    index = _settings(place / "model_index.json")
    for part in PARTS:
        if not any(index.get(part) or ()) or not (place / part).is_dir():
            raise AdapterError(f"the pipeline at '{folder}' has no {part}: it needs {', '.join(PARTS)}")


def _settings(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise AdapterError(f"{file} cannot be read: {in_one_line(error)}") from error


def _check_networks(pipeline: Any, folder: str | Path) -> None:
    """Refuse pipelines whose networks want more than latents, an index and words."""
    name = f"the pipeline at '{folder}'"
    unet, vae = pipeline.unet.config, pipeline.vae.config
    if unet.in_channels != vae.latent_channels or unet.out_channels != vae.latent_channels:
        raise AdapterError(
            f"{name} has a UNet that takes {unet.in_channels} channels and gives {unet.out_channels}, and a VAE of "
            f"{vae.latent_channels}: pipelines for inpainting, depth or upscaling do not fit, a text-to-image one does"
        )
    for more in ("addition_embed_type", "class_embed_type"):
        if unet.get(more) is not None:
            raise AdapterError(f"{name} has a UNet with {more} {unet[more]!r}: expected is Stable Diffusion 1 or 2")
    if not isinstance(unet.sample_size, int):
        raise AdapterError(f"{name} has a UNet without sample_size, from which the size of images follows")


def _digest(folder: Path, pipeline: Any) -> str:
    """Hash of a pipeline's weights, settings and tokens: the same wherever a copy lies and in whatever format."""
    found: list[Any] = []
    for name in CONFIGS:
        settings = _settings(folder / name)
        found.append({key: v for key, v in settings.items() if key[:1] != "_" and key not in BY_THE_WAY})
    found += [digest_of(network) for network in (pipeline.unet, pipeline.vae, pipeline.text_encoder)]
    most = {"truncation": True, "max_length": pipeline.tokenizer.model_max_length}
    found.append(pipeline.tokenizer("a photograph of 2 cats, blurred!", **most)["input_ids"])
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries from writing progress bars and advice between our lines."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    before = [(one, one.get_verbosity(), one.is_progress_bar_enabled()) for one in (of_diffusers, of_transformers)]
    for one, _, _ in before:
        one.set_verbosity_error()
        one.disable_progress_bar()
    try:
        yield
    finally:
        for one, level, bars in before:
            one.set_verbosity(level)
            if bars:
                one.enable_progress_bar()
