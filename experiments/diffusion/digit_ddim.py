"""Digits drawn by plain DDIM from a noise predictor on pixels: what guided samplers start from, and what is timed.

`bandits bench --neural` plays it in batches and one replication at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bandits import register_trial
from bandits.neural import checks
from bandits.neural.recipe_settings import SETTINGS
from bandits.neural.trials import Training

if TYPE_CHECKING:
    from bandits.neural.batch import Batch

__all__ = ["DigitDDIM"]

_STEPS = {name: SETTINGS[name]["steps"] for name in ("unet_eps", "pix_eps")}  # of training


@register_trial("digit_ddim", source="Song et al. (2021), Eq. 12")
class DigitDDIM:
    """One digit of 8 x 8 pixels per replication, by DDIM with a network.

    Args:
        network: unet_eps, which is convolutional, or pix_eps, a perceptron.
        steps: Steps of the sampler, from 1 to 1000.
        eta: 0 deterministic, 1 ancestral.
        training: Share of the recipe's training steps; 0 leaves the initial weights, with which it is as fast.
        model_seed: Seed of the training.
        precision: float64, with which a digit does not depend on its batch (1e-10), or float32, with which it does a
            little (1e-5): `unet_eps` is three times as fast with it on a CPU.
    """

    gpus: ClassVar = 0.25
    pilot: ClassVar = {"steps": 2}
    smaller_is_better: ClassVar = ("nearest",)
    counts: ClassVar = ("nfe_forward",)
    pooled: ClassVar = ("model_seed",)

    def __init__(
        self,
        *,
        network: str = "unet_eps",
        steps: int = 200,
        eta: float = 0.0,
        training: float = 1.0,
        model_seed: int = 0,
        precision: str = "float64",
    ) -> None:
        checks.choice("network", network, list(_STEPS))
        checks.whole("steps", steps, 1, 1000)
        checks.probability("eta", eta)
        checks.probability("training", training)
        checks.at_least("model_seed", model_seed, 0)
        checks.choice("precision", precision, ("float64", "float32"))
        self.network, self.steps, self.eta, self.precision = network, steps, eta, precision
        self.training, self.model_seed = training, model_seed

    def needs(self) -> Sequence[Training]:
        """The network, unless it keeps its initial weights."""
        steps = max(1, round(_STEPS[self.network] * self.training))
        return [Training(self.network, self.model_seed, {"steps": steps})] if self.training else []

    def run(self, batch: Batch) -> None:
        """Log the root mean square distance to the nearest test digit, and the evaluations made; keep the digits."""
        import torch

        from bandits.neural.data import load_digits
        from bandits.neural.guidance import Diffusion, play
        from bandits.neural.recipes import RECIPES, schedule_of
        from bandits.neural.training import untrained

        recipe, digits = RECIPES[self.network], load_digits()
        dtype = torch.float64 if self.precision == "float64" else torch.float32
        if self.training:
            (need,) = self.needs()
            model = batch.trained(need.recipe, need.seed, dtype=dtype, **need.settings)
        else:
            key = ("untrained", self.network, self.precision)
            model = batch.model(key, lambda: untrained(recipe, recipe.settings, digits.train).to(dtype))
        noise = batch.noise("sampling", dtype=dtype)
        schedule = schedule_of(recipe.settings)
        diffusion = Diffusion(model, schedule, noise, steps=self.steps, eta_d=self.eta)

        def update(z: torch.Tensor, t: int, earlier: int) -> torch.Tensor:
            eps, clean = diffusion.denoise(z, t)
            return diffusion.step(clean, eps, t, earlier)

        with torch.no_grad():
            x = play(diffusion, noise.normal(*digits.train.shape[1:]), update)
        apart = (x.flatten(1)[:, None] - digits.test.to(x).flatten(1)).square().mean(2).sqrt()
        batch.log(self.steps, "nearest", apart.min(1).values)
        batch.log(self.steps, "nfe_forward", float(diffusion.forward))
        batch.keep("digit", x)
