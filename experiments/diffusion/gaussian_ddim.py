"""Samples of a Gaussian by DDIM with its exact noise: the least neural experiment, and a check of the machinery.

With one step per index the samples' mean and variance are those of the data but for the discretisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bandits import NeuralExperiment, register_experiment, register_trial, trial
from bandits.neural import checks

if TYPE_CHECKING:
    from bandits.neural.batch import Batch


@register_trial("gaussian_ddim", source="Song et al. (2021), Eq. 12")
class GaussianDDIM:
    """DDIM with the exact noise prediction of N(mean, sd^2) in one dimension.

    Args:
        mean: Mean of the data.
        sd: Standard deviation of the data, positive.
        steps: Number of steps, from 1 to 1000.
        eta: 0 deterministic, 1 ancestral.
        samples: Samples per replication.
    """

    pilot: ClassVar = {"steps": 10}

    def __init__(
        self, *, mean: float = 2.0, sd: float = 0.5, steps: int = 100, eta: float = 0.0, samples: int = 256
    ) -> None:
        checks.real("mean", mean)
        checks.positive("sd", sd)
        checks.whole("steps", steps, 1, 1000)
        checks.probability("eta", eta)
        checks.whole("samples", samples, 2, 1_000_000)
        self.mean, self.sd, self.steps, self.eta, self.samples = mean, sd, steps, eta, samples

    def run(self, batch: Batch) -> None:
        """Log the mean and the variance of the samples, and the error of each."""
        import torch

        from bandits.neural.schedule import ddim_step, linear, tweedie

        schedule, noise = linear(), batch.noise("sampling", dtype=torch.float64)
        z = noise.normal(self.samples)
        for t, earlier in schedule.steps(self.steps):
            a, b = schedule.alpha(t), schedule.alpha(earlier)
            eps = (1 - a) ** 0.5 * (z - a**0.5 * self.mean) / (a * self.sd**2 + 1 - a)
            fresh = noise.normal(self.samples) if self.eta else None
            z = ddim_step(tweedie(z, eps, a), eps, a, b, self.eta, fresh)
        batch.log(self.steps, "mean", z.mean(1))
        batch.log(self.steps, "variance", z.var(1))
        batch.keep("samples", z)


EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="gaussian_ddim",
        summary="DDIM samples of a Gaussian with its exact noise: how many steps the variance needs.",
        trials=[trial("gaussian_ddim", steps=steps) for steps in (10, 50, 250)],
        replications=64,
        seed=1,
        smoke={"replications": 4, "*.samples": 64},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
