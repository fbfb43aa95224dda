"""Closed-form problems on which the methods are tried, in float64, and the smallest trials that use every method."""

from __future__ import annotations

import torch
from bandits.experiments.diffusion.constrained_series import _METHODS as ON_SERIES
from bandits.experiments.diffusion.restoration_trials import RestoreDigits, RestoreMixture

from bandits import trial
from bandits.neural.analytic import GaussianEps, GMMEps, LinearCodec
from bandits.neural.noise import Noise
from bandits.neural.operators import Matrix
from bandits.neural.schedule import Schedule, scaled_linear

F64 = torch.float64
SD = scaled_linear()


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def noise(*samples: int, seed: int = 0) -> Noise:
    return Noise(seed, samples or (0,), dtype=F64)


# The worked instance: data in R^4, latents in R^2, three of four entries measured.
S = tensor([[1, 1], [1, -1], [1, 1], [1, -1]]) / 2
CODEC = LinearCodec(S)
TRUTH = tensor([[0.3, -1.2]])
INIT = tensor([[1.0, 0.5]])
ROWS = torch.eye(4, dtype=F64)[:3]
THREE = Matrix(ROWS)
Y = THREE.A(CODEC.decode(TRUTH))


def standard_normal(schedule: Schedule = SD) -> GaussianEps:
    return GaussianEps(torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64), schedule)


def mixture_eps(schedule: Schedule = SD, size: int = 2) -> GMMEps:
    """A mixture of three Gaussians in R^size, one of them correlated."""
    means = torch.stack([torch.linspace(low, high, size, dtype=F64) for low, high in ((-1, 0.5), (0.8, 1), (0, -1))])
    covariances = 0.05 * torch.eye(size, dtype=F64).expand(3, size, size).clone()
    covariances[2] += 0.04
    return GMMEps(tensor([0.5, 0.3, 0.2]), means, covariances, schedule)


def written_day(day: int) -> torch.Tensor:
    """24 hours of a made-up day, standardised as in the file of power demand."""
    hours = torch.sin(torch.arange(24, dtype=F64) * 0.26 + day) + 0.3 * torch.cos(torch.arange(24, dtype=F64) * day)
    return (hours - hours.mean()) / hours.std()


# Every method of the trials of diffusion, with networks that are trained in a second.
DIGITS = {"operator": "motion_blur", "steps": 10, "training": 0.02}
SERIES = {"models": 2, "train_steps": 20, "samples": 2, "steps": 5}
WEAK = {"cop": {"realism": 0.1}}  # of a network that has hardly learnt its descent makes chaos otherwise
TRIALS = [
    *(trial("restore_digits", method=method, **DIGITS) for method in RestoreDigits.methods),
    *(trial("restore_mixture", method=method, steps=10, chains=4) for method in RestoreMixture.methods),
    *(
        trial("constrained_series", method=method, **SERIES, **WEAK.get(method, {}))
        for method in ON_SERIES
        if method != "exact"
    ),
    *(trial("digit_ddim", network=network, steps=10, training=0.004) for network in ("pix_eps", "unet_eps")),
]


def named(spec) -> str:
    """A short name of one of them, for a test."""
    return "-".join([spec.name, *map(str, spec.parameters.values())][:3])
