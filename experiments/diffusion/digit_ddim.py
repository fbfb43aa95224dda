"""Digits drawn by plain DDIM from a noise predictor on pixels: what guided samplers start from, and what is timed.

`bandits bench --neural` plays it in batches and one replication at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bandits import register_trial
from bandits.neural.trials import Training

if TYPE_CHECKING:
    from bandits.neural.batch import Batch

__all__ = ["DigitDDIM"]

_STEPS = {"unet_eps": 3000, "pix_eps": 6000}  # of training, as in bandits.neural.recipes


@register_trial("digit_ddim", source="Song et al. (2021), Eq. 12")
class DigitDDIM:
    """One digit of 8 x 8 pixels per replication, by DDIM with a network.

    Args:
        network: unet_eps, which is convolutional, or pix_eps, a perceptron.
        steps: Steps of the sampler, from 1 to 1000.
        eta: 0 deterministic, 1 ancestral.
        training: Share of the recipe's training steps; 0 leaves the initial weights, with which it is as fast.
        model_seed: Seed of the training.
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
    ) -> None:
        if network not in _STEPS:
            raise ValueError(f"network is {' or '.join(_STEPS)}, not {network!r}")
        if not 1 <= steps <= 1000:
            raise ValueError(f"steps must be from 1 to 1000, got {steps}")
        if not 0 <= eta <= 1:
            raise ValueError(f"eta must be in [0, 1], got {eta}")
        if not 0 <= training <= 1:
            raise ValueError(f"training is a share of the recipe's steps in [0, 1], got {training}")
        self.network, self.steps, self.eta = network, steps, eta
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

        recipe, digits = RECIPES[self.network], batch.model("digits", load_digits)
        if self.training:
            (need,) = self.needs()
            model = batch.trained(need.recipe, need.seed, **need.settings)
        else:
            key = ("untrained", self.network)
            model = batch.model(key, lambda: recipe.build(recipe.settings, digits.train))
        noise = batch.noise("sampling")
        schedule = schedule_of(recipe.settings)
        diffusion = Diffusion(model, schedule, noise, steps=self.steps, eta_d=self.eta)

        def update(z: torch.Tensor, t: int, earlier: int) -> torch.Tensor:
            eps, clean = diffusion.denoise(z, t)
            return diffusion.step(clean, eps, t, earlier)

        with torch.no_grad():
            x = play(diffusion, noise.normal(*digits.train.shape[1:]), update)
        apart = (x.flatten(1)[:, None] - digits.test.to(batch.device).flatten(1)).square().mean(2).sqrt()
        batch.log(self.steps, "nearest", apart.min(1).values)
        batch.log(self.steps, "nfe_forward", float(diffusion.forward))
        batch.keep("digit", x)
