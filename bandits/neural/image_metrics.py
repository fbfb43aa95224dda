"""How near a restored image is to the true one, and samples to a posterior: one number for each sample of a batch.

LPIPS is left out: its weights would have to be downloaded, and its networks are made for photographs, not for digits of
8 x 8 pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .operators import SpectralOp

__all__ = ["classifier_agreement", "energy_distance", "psnr", "seen_and_hidden_error", "ssim"]


def psnr(x: Tensor, truth: Tensor, width: float = 2.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, of images (B, ...) whose values span ``width``: (B,)."""
    return 10 * (width**2 / (x - truth).square().flatten(1).mean(1)).log10()


def ssim(x: Tensor, truth: Tensor, width: float = 2.0, window: int = 7) -> Tensor:
    """Mean structural similarity of images (B, C, H, W) over windows that lie inside: (B,).

    Uniform windows and sample covariances (Wang et al. 2004 with the constants 0.01 and 0.03), as scikit-image has it.
    """
    n = window * window
    mean_x, mean_y, xx, yy, xy = (
        functional.avg_pool2d(part, window, stride=1) for part in (x, truth, x * x, truth * truth, x * truth)
    )
    unbiased = n / (n - 1)
    var_x, var_y = unbiased * (xx - mean_x**2), unbiased * (yy - mean_y**2)
    covariance = unbiased * (xy - mean_x * mean_y)
    c1, c2 = (0.01 * width) ** 2, (0.03 * width) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    possible = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return (similar / possible).flatten(1).mean(1)


def classifier_agreement(classifier: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor) -> Tensor:
    """Whether a classifier, which gives logits (B, classes), takes images (B, ...) for what they are: 1 or 0, (B,).

    A restored image that shows another digit than the true one may be near it pixel by pixel. Read it beside the same
    of the true images: a classifier errs, too.
    """
    with torch.no_grad():
        return (classifier(x).argmax(1) == labels.to(x.device)).double()


def seen_and_hidden_error(operator: SpectralOp, x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square error in what a measurement sees and in what it does not, for each dimension of either: (B,) each.

    For a mask these are the errors of the pixels shown and of the pixels hidden. Where nothing is hidden (or seen) its
    error is NaN.
    """
    error = x - truth
    seen = operator.spectral(error, lambda s: (s > 0).to(error))
    rank = operator.rank.to(error).expand(len(x))
    hidden = (error - seen).square().flatten(1).sum(1) / (error[0].numel() - rank)
    return seen.square().flatten(1).sum(1) / rank, hidden.where(rank < error[0].numel(), torch.nan)


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Energy distance ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` of samples (B, n, d) and (B, m, d), unbiased: (B,).

    About 0 for two samples of one distribution, and then as often negative as positive.
    """

    def within(a: Tensor) -> Tensor:
        n = a.shape[1]
        return torch.cdist(a, a, compute_mode=exact).sum((1, 2)) / (n * (n - 1))

    exact = "donot_use_mm_for_euclid_dist"
    return 2 * torch.cdist(x, y, compute_mode=exact).mean((1, 2)) - within(x) - within(y)
