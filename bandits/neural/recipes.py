"""Small models that are trained on the spot, by name.

    name      what                                                   data
    ae16      autoencoder of two perceptrons, 16 latents             digits
    vae16     the same with a Gaussian posterior                     digits
    lat_eps   noise predictor on the latents of ``ae16``             latents of the digits
    pix_eps   noise predictor on pixels, a perceptron                digits
    unet_eps  noise predictor on pixels, a convolutional network     digits
    ts_eps    noise predictor on windows of a real series            see `bandits.neural.series`
    ts_conv   the same, a convolutional network                      see `bandits.neural.series`
    digit_classifier    see `bandits.neural.classifier`              digits and labels

    model = trained("lat_eps", seed=1).model

Their settings stand in `bandits.neural.recipe_settings`. Sizes and steps of ``ae16``, ``lat_eps``, ``pix_eps`` and
``ts_eps`` are those of the project's specification; it leaves open what "L2" of the autoencoder is: here, the mean
square of the latents. ``ts_eps`` makes series twice as rough as real; ``ts_conv``, for as much CPU time, as rough.
Every recipe states what its model must reach; one that does not is not used. With other settings than the recipe's own
it is measured, and asked for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BadParameter
from . import networks
from .classifier import Classifying
from .data import load_digits
from .networks import VAE, Autoencoder, EpsMLP, EpsSeries, EpsUNet
from .noise import Noise
from .recipe_settings import SETTINGS, settings_of
from .schedule import Schedule, ddim_step, linear, scaled_linear, tweedie
from .training import Draws, Trained, code_of, is_kept, obtain, place_of, with_changes

__all__ = ["RECIPES", "alphas_of", "is_trained", "mmd", "sample", "schedule_of", "trained"]


def trained(
    name: str,
    seed: int = 0,
    device: torch.device | str = "cpu",
    report: Callable[[str], None] = lambda line: None,
    **changes: Any,
) -> Trained:
    """The trained model of a recipe, from the cache or trained now; ``changes`` are settings: ``steps=200``.

    Raises:
        UnknownName: There is no such recipe.
        BadParameter: It has no such setting, or one that cannot have this value.
        PlayError: What was trained does not reach what the recipe states.
    """
    settings_of(name)
    return obtain(RECIPES[name], seed, changes, device, report)


def is_trained(name: str, seed: int = 0, **changes: Any) -> bool:
    """Whether the cache has the model, and whatever model its data come from; nothing is trained to find out."""
    recipe = RECIPES.get(name)
    if recipe is None:
        return False
    settings = with_changes(recipe, changes)
    if "codec" in settings and not is_trained(settings["codec"], seed, steps=settings["codec_steps"]):
        return False
    return is_kept(place_of(recipe, settings, seed, recipe.data(settings, seed)))


def schedule_of(settings: Mapping[str, Any]) -> Schedule:
    """The noise schedule that a noise predictor was trained for.

    ``scaled_linear`` keeps a signal of 7 % at the last index, where ``linear`` keeps 0.6 %: gradients and inversions
    through a network that errs there are amplified ten times less, which guided samplers of few steps need.

    Raises:
        BadParameter: There is no such schedule.
    """
    known = {"linear": linear, "scaled_linear": scaled_linear}
    if settings["schedule"] not in known:
        raise BadParameter(f"schedule is one of {', '.join(known)}, not {settings['schedule']!r}")
    return known[settings["schedule"]](int(settings["times"]))


@cache
def alphas_of(schedule: str, times: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The alphas of a schedule as a tensor, made once."""
    alphas = schedule_of({"schedule": schedule, "times": times}).alphas
    return torch.tensor(alphas, dtype=dtype, device=device)


@dataclass(frozen=True, eq=False)
class _Codec:
    """An autoencoder: squared error of pixels, latents blurred by noise and kept small."""

    name: str = "ae16"
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS["ae16"])
    uses: tuple[Any, ...] = (networks, load_digits)

    def data(self, settings: Mapping[str, Any], seed: int) -> Tensor:
        return load_digits().train

    def build(self, settings: Mapping[str, Any], data: Tensor) -> nn.Module:
        return Autoencoder(tuple(data.shape[1:]), settings["latent"], settings["width"], settings["depth"])

    def loss(self, model: nn.Module, x: Tensor, draws: Draws, settings: Mapping[str, Any]) -> Tensor:
        assert isinstance(model, Autoencoder)
        z = model.encode(x)
        blurred = z + settings["blur"] * draws.normal_like(z)
        loss: Tensor = (model.decode(blurred) - x).square().mean() + settings["l2"] * z.square().mean()
        return loss

    def finish(self, model: nn.Module, data: Tensor) -> None:
        assert isinstance(model, Autoencoder)
        model.scale.copy_(1.0 / model.encode(data).std())

    def gates(self, model: nn.Module, settings: Mapping[str, Any], seed: int) -> dict[str, tuple[float, float]]:
        assert isinstance(model, Autoencoder)
        x = load_digits().test
        error = float((model.decode(model.encode(x)) - x).square().mean())
        return {"round_trip_mse": (error, 0.03)}


@dataclass(frozen=True, eq=False)
class _VAE(_Codec):
    """A variational autoencoder: squared error, and ``beta`` times the divergence from the standard normal."""

    name: str = "vae16"
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS["vae16"])
    uses: tuple[Any, ...] = (networks, load_digits)

    def build(self, settings: Mapping[str, Any], data: Tensor) -> nn.Module:
        return VAE(tuple(data.shape[1:]), settings["latent"], settings["width"], settings["depth"])

    def loss(self, model: nn.Module, x: Tensor, draws: Draws, settings: Mapping[str, Any]) -> Tensor:
        assert isinstance(model, VAE)
        mean, log_variance = model.posterior(x)
        z = mean + (0.5 * log_variance).exp() * draws.normal_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        loss: Tensor = (model.decode(z) - x).square().mean() + settings["beta"] * divergence
        return loss


@dataclass(frozen=True, eq=False)
class _Eps:
    """A noise predictor: squared error of the noise, at times drawn evenly."""

    name: str
    settings: Mapping[str, Any]
    uses: tuple[Any, ...] = (networks, alphas_of, linear, scaled_linear, load_digits)

    def data(self, settings: Mapping[str, Any], seed: int) -> Tensor:
        if "series" in settings:
            from .series import load_series

            return load_series(settings["series"]).train.float()
        x = load_digits().train
        if "codec" not in settings:
            return x
        codec = trained(settings["codec"], seed, steps=settings["codec_steps"]).model
        assert isinstance(codec, Autoencoder)
        return codec.encode(x)

    def build(self, settings: Mapping[str, Any], data: Tensor) -> nn.Module:
        if settings.get("network") == "unet":
            return EpsUNet(data.shape[1], settings["width"])
        if settings.get("network") == "conv":
            return EpsSeries(data.shape[1], data.shape[2], settings["width"])
        return EpsMLP(math.prod(data.shape[1:]), settings["width"], settings["depth"])

    def loss(self, model: nn.Module, x: Tensor, draws: Draws, settings: Mapping[str, Any]) -> Tensor:
        t = draws.integers(settings["times"], len(x))
        alphas = alphas_of(settings["schedule"], settings["times"], x.dtype, x.device)[t]
        alphas = alphas.reshape(-1, *[1] * (x.dim() - 1))
        noise = draws.normal_like(x)
        noisy = alphas.sqrt() * x + (1 - alphas).sqrt() * noise
        loss: Tensor = (model(noisy, t) - noise).square().mean()
        return loss

    def finish(self, model: nn.Module, data: Tensor) -> None:
        pass

    def gates(self, model: nn.Module, settings: Mapping[str, Any], seed: int) -> dict[str, tuple[float, float]]:
        """How far samples are from data: held-out ones of images, those learnt from of series, whose laws change."""
        data = self._to_compare(settings, seed)
        found = sample(model, data.shape[1:], schedule_of(settings), 200, steps=50, seed=seed)
        return {"mmd": (mmd(found, data), _MOST_MMD[self.name])}

    def _to_compare(self, settings: Mapping[str, Any], seed: int) -> Tensor:
        if "series" in settings:
            return self.data(settings, seed)[::3]
        x = load_digits().test
        if "codec" not in settings:
            return x
        codec = trained(settings["codec"], seed, steps=settings["codec_steps"]).model
        assert isinstance(codec, Autoencoder)
        return codec.encode(x)


def sample(
    model: nn.Module, shape: tuple[int, ...], schedule: Schedule, count: int, steps: int, seed: int = 0
) -> Tensor:
    """Unconditional DDIM samples: (count, *shape)."""
    z = Noise(seed, range(count), salt=("gate",)).normal(*shape)
    for t, earlier in schedule.steps(steps):
        a, b = schedule.alpha(t), schedule.alpha(earlier)
        eps = model(z, torch.full((count,), t, device=z.device))
        z = ddim_step(tweedie(z, eps, a), eps, a, b)
    return z


def mmd(x: Tensor, y: Tensor) -> float:
    """Maximum mean discrepancy (its square, unbiased) with a Gaussian kernel as wide as the median distance in ``y``.

    Of two samples of one distribution it is about 0, and may be negative.
    """
    x, y = x.flatten(1).double(), y.flatten(1).double()
    width = torch.cdist(y, y).square().median()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (-torch.cdist(a, b).square() / width).exp()

    def within(a: Tensor) -> Tensor:
        return (kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


# when trained: lat_eps -0.002, pix_eps 0.002 and 0.003 (linear: 0.047), unet_eps -0.0002; ts_conv 0.001, its changes as
# large as real ones; ts_eps 0.06 (scaled_linear: 0.023), its samples too rough by 2.4
_MOST_MMD = {"lat_eps": 0.02, "pix_eps": 0.06, "unet_eps": 0.02, "ts_eps": 0.1, "ts_conv": 0.02}


_EPS = (_Eps(name, SETTINGS[name]) for name in ("lat_eps", "pix_eps", "unet_eps", "ts_eps", "ts_conv"))
_ALL: tuple[Any, ...] = (_Codec(), _VAE(), *_EPS, Classifying())
RECIPES: dict[str, Any] = {recipe.name: recipe for recipe in _ALL}

for _recipe in RECIPES.values():
    code_of(_recipe)  # now: a file that is edited later does not change what this process has loaded
