"""How close sampled series are to real ones, and how well they keep their constraints."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..kernels import kernel
from ..protocol import FloatArray
from .errors import FeatureError, ShapeError
from .projection import Constraints

__all__ = ["change_sd", "dtw", "frechet_distance", "mean_spread", "series_features", "violation_rate"]


def violation_rate(constraints: Constraints, x: Tensor, tolerance: float = 1e-6) -> Tensor:
    """Share of its constraints that each sample breaks by more than the tolerance: (B,)."""
    violations = constraints.violations(x)
    if not violations.shape[1]:
        return violations.new_zeros(len(violations))
    return (violations > tolerance).double().mean(1)


def change_sd(x: Tensor) -> Tensor:
    """Standard deviation of ``x[t + 1] - x[t]`` of each channel of series (B, L, C): (B, C)."""
    if x.shape[1] < 3:
        raise FeatureError("the spread of changes needs at least three moments")
    return torch.diff(x, dim=1).std(1)


def mean_spread(x: Tensor, above: int, below: int) -> Tensor:
    """Mean over time of one channel minus another, such as high minus low: (B,)."""
    return (x[..., above] - x[..., below]).mean(1)


def dtw(x: Tensor, y: Tensor) -> Tensor:
    """Dynamic time warping distance of each pair of series (B, L, C) and (B, L', C): (B,).

    The least sum, over monotone alignments that move by (1, 0), (0, 1) or (1, 1), of the Euclidean distances of aligned
    moments; no window, no normalisation (Sakoe and Chiba, 1978, with weights of 1).
    """
    if x.dim() != 3 or y.dim() != 3 or len(x) != len(y) or x.shape[2] != y.shape[2]:
        raise ShapeError(f"series of shapes {tuple(x.shape)} and {tuple(y.shape)} cannot be aligned")
    total = np.empty(len(x))
    _align(torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist").cpu().numpy(), total)
    return torch.from_numpy(total).to(x.device)


@kernel
def _align(cost: FloatArray, total: FloatArray) -> None:
    lanes, rows, columns = cost.shape
    best = np.empty((rows, columns))
    for lane in range(lanes):
        for i in range(rows):
            for j in range(columns):
                before = 0.0 if i == 0 and j == 0 else np.inf
                if i > 0:
                    before = min(before, best[i - 1, j])
                if j > 0:
                    before = min(before, best[i, j - 1])
                if i > 0 and j > 0:
                    before = min(before, best[i - 1, j - 1])
                best[i, j] = cost[lane, i, j] + before
        total[lane] = best[rows - 1, columns - 1]


def series_features(x: Tensor) -> Tensor:
    """Simple features of series (B, L, C): (B, 5 C).

    Of each channel: mean, standard deviation over time, mean change, standard deviation of the change, and
    the correlation of a moment with the next (0 for a constant). They are not learned.
    """
    changes, centred = torch.diff(x, dim=1), x - x.mean(1, keepdim=True)
    power = (centred**2).sum(1)
    lagged = (centred[:, 1:] * centred[:, :-1]).sum(1) / power.clamp_min(1e-12)
    return torch.cat([x.mean(1), x.std(1), changes.mean(1), change_sd(x), lagged], 1)


def frechet_distance(features: Tensor, reference: Tensor) -> float:
    """Squared Frechet distance of the Gaussians fitted to two sets of features, (N, F) and (M, F).

    ``|m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)``. Few samples bias it upwards: compare sets of one size.
    """
    if features.shape[1] != reference.shape[1] or min(len(features), len(reference)) < 2:
        raise ShapeError("a Frechet distance needs two sets of at least two vectors of the same length")
    a, b = features.double(), reference.double()
    root = _root(torch.cov(a.T).reshape(a.shape[1], -1))
    other = torch.cov(b.T).reshape(b.shape[1], -1)
    trace = (root @ root).trace() + other.trace() - 2 * _root(root @ other @ root).trace()
    distance = float(((a.mean(0) - b.mean(0)) ** 2).sum() + trace)
    if not math.isfinite(distance):
        raise FeatureError("features hold NaN or infinity")
    return max(0.0, distance)


def _root(matrix: Tensor) -> Tensor:
    """Square root of a symmetric positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
