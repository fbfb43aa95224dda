"""What the experiment on constrained series asks, of whom, and how answers are judged.

A reference is a window of the held-out part of a real series. The constraints are what all series of its kind satisfy
(bars of prices, lowest below highest), and what the reference says of itself. A method sees the constraints alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bandits.neural import constraints as sets
from bandits.neural.analytic import GaussianEps
from bandits.neural.guidance import Restored
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule
from bandits.neural.series import RealSeries
from bandits.neural.series_metrics import (
    change_sd,
    dtw,
    frechet_distance,
    mean_spread,
    series_features,
    violation_rate,
)

from .cop import cop
from .cps import cps
from .diff_time import diff_time
from .gaussian_conditional import gaussian_conditional
from .pdm import pdm
from .rejection import rejection
from .unconstrained import unconstrained

__all__ = ["METHODS", "constraints_of", "gaussian_prior", "judge", "pick_windows"]

METHODS: dict[str, tuple[Callable[..., Restored], dict[str, Any]]] = {
    "none": (unconstrained, {}),
    "rejection": (rejection, {"tries": 4}),
    "final_only": (cps, {"gamma_schedule": "final_only"}),
    "diff_time": (diff_time, {}),
    "diff_time_projected": (diff_time, {"project_last": True}),
    "cop": (cop, {}),
    "pdm": (pdm, {}),
    "hard": (cps, {"gamma_schedule": "hard"}),
    "cps_linear": (cps, {"gamma_schedule": "linear_k"}),
    "cps": (cps, {"gamma_schedule": "exp"}),
    "exact": (gaussian_conditional, {}),
}


def pick_windows(windows: Tensor, noise: Noise, count: int) -> Tensor:
    """Different windows for each stream of the noise: (B * count, L, C)."""
    return windows[noise.permutation(len(windows))[:, :count].flatten().cpu()]


def constraints_of(series: RealSeries, reference: Tensor, device: torch.device, *, many: bool) -> Constraints:
    """What is natural, and what references (N, L, C) say of themselves.

    Of every channel that is the mean; of the last one also the mean change and the last value; and, where ``many``, the
    places of its greatest and least values and these values.
    """
    shape, last = series.shape, series.shape[1] - 1
    members: list[sets.Member] = list(series.natural)
    members += [sets.mean(shape, reference[..., c].mean(1), c) for c in range(last + 1)]
    x = reference[..., last]
    members.append(sets.mean_change(shape, (x[:, -1] - x[:, 0]) / (shape[0] - 1), last))
    members.append(sets.value_at(shape, shape[0] - 1, x[:, -1], last))
    if many:
        for extreme, place in ((x.max(1), sets.argmax_at), (x.min(1), sets.argmin_at)):
            members.append(place(shape, extreme.indices, last))
            members.append(sets.value_at(shape, extreme.indices, extreme.values, last))
    return Constraints(shape, members, device)


def gaussian_prior(series: RealSeries, schedule: Schedule, device: torch.device) -> GaussianEps:
    """The exact noise model of a Gaussian fitted to the training windows, with a hundredth of the variance added."""
    flat = series.train.flatten(1)
    covariance = torch.cov(flat.T)
    ridge = 0.01 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=flat.dtype, device=flat.device)
    return GaussianEps(flat.mean(0).to(device), (covariance + ridge).to(device), schedule)


def judge(series: RealSeries, constraints: Constraints, x: Tensor, reference: Tensor) -> dict[str, Tensor]:
    """Measures of series x (B, S, L, C) for their references: (B,) each, means over the S series of a replication.

    Distances are in units of the scaler; violations below 1e-9 are rounding and count as none. ``frechet`` is between
    the features of the S series and those of their own references, whose number it depends on.
    """
    flat, real = x.flatten(0, 1), reference.flatten(0, 1)
    largest = constraints.largest_violation(flat)
    largest = torch.where(largest < 1e-9, 0, largest)
    each = {
        "violation": largest,
        "violation_rate": violation_rate(constraints, flat),
        "dtw": dtw(flat, real),
        "change_sd": change_sd(flat).mean(1),
        "change_sd_real": change_sd(real).mean(1),
    }
    if series.natural:
        above, below = {"stocks": (1, 2), "weather": (1, 0)}[series.name]
        each["spread"], each["spread_real"] = mean_spread(flat, above, below), mean_spread(real, above, below)
    measures = {name: values.reshape(x.shape[:2]).mean(1) for name, values in each.items()}
    measures["worst_violation"] = largest.reshape(x.shape[:2]).amax(1)
    pairs = zip(x, reference, strict=True)
    measures["frechet"] = torch.tensor(
        [frechet_distance(series_features(a), series_features(b)) for a, b in pairs],
        dtype=torch.float64,
        device=x.device,
    )
    return measures
