"""Models in closed form, which samplers play exactly as they play networks: Gaussian mixtures and linear codecs.

A mixture that is diffused, measured linearly or conditioned on a measurement is a mixture again, so that scores,
second derivatives and posteriors of the linear model

    x ~ sum_k w_k N(mu_k, Sigma_k),   y = A x + sd * n,   n ~ N(0, I)

are exact, and a sampler's error can be told from the model's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import BadParameter
from .errors import ShapeError
from .noise import Noise
from .schedule import Schedule

__all__ = ["GMMEps", "GaussianEps", "IdentityCodec", "LinearCodec", "Mixture"]


@dataclass(frozen=True)
class Mixture:
    """Gaussian mixtures over R^l: one for all samples of a batch, or one each.

    The leading axes ``...`` are () or (B,). Components are kept by the eigenvectors of their covariances, which
    diffusion leaves as they are.

    Attributes:
        weights: (..., K), summing to 1.
        means: (..., K, l).
        spectra: Eigenvalues of the covariances, (..., K, l).
        bases: Their eigenvectors, in columns, (..., K, l, l).
    """

    weights: Tensor
    means: Tensor
    spectra: Tensor
    bases: Tensor

    @classmethod
    def of(cls, weights: Tensor, means: Tensor, covariances: Tensor) -> Mixture:
        """Mixture of weights (..., K), means (..., K, l) and covariances (..., K, l, l).

        Raises:
            ShapeError: The shapes do not fit one another.
            BadParameter: A weight is negative, they do not sum to 1, or a covariance is not one.
        """
        if means.shape[:-1] != weights.shape or covariances.shape != (*means.shape, means.shape[-1]):
            raise ShapeError(
                f"weights {tuple(weights.shape)}, means {tuple(means.shape)} and covariances "
                f"{tuple(covariances.shape)} do not fit: give (..., K), (..., K, l) and (..., K, l, l)"
            )
        if (weights < 0).any() or not torch.allclose(weights.sum(-1), torch.ones_like(weights.sum(-1)), atol=1e-5):
            raise BadParameter("the weights of a mixture are not negative and sum to 1")
        spectra, bases = torch.linalg.eigh(covariances)
        lowest = float((spectra[..., 0] / spectra[..., -1].clamp(min=1e-300)).min())
        if not torch.allclose(covariances, covariances.mT, rtol=1e-4, atol=1e-6) or lowest < -1e-4:
            raise BadParameter("a covariance is symmetric and positive semi-definite, which these are not")
        return cls(weights, means, spectra.clamp(min=0), bases)

    @property
    def covariances(self) -> Tensor:
        """Covariances of the components, (..., K, l, l)."""
        return (self.bases * self.spectra.unsqueeze(-2)) @ self.bases.mT

    def noised(self, alpha: Tensor) -> Mixture:
        """Law of ``sqrt(alpha) x + sqrt(1 - alpha) eps``; alpha in float64, () for all samples or (B,) for each."""
        clean = alpha.sqrt().to(self.means)[..., None, None]
        kept, added = (part.to(self.means)[..., None, None] for part in (alpha, 1 - alpha))
        return Mixture(self.weights, clean * self.means, kept * self.spectra + added, self.bases)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density at z (B, l): (B,)."""
        return self._log_joint(z).logsumexp(-1)

    def score(self, z: Tensor) -> Tensor:
        """Gradient of the log density at z (B, l): shape of z."""
        return (self._log_joint(z).softmax(-1).unsqueeze(-1) * self._pulls(z)).sum(-2)

    def hessian(self, z: Tensor) -> Tensor:
        """Second derivatives of the log density at z (B, l): (B, l, l)."""
        shares, pulls, score = self._log_joint(z).softmax(-1), self._pulls(z), self.score(z)
        precisions = (self.bases / self.spectra.unsqueeze(-2)) @ self.bases.mT
        curvature = pulls.unsqueeze(-1) * pulls.unsqueeze(-2) - precisions
        return (shares[..., None, None] * curvature).sum(-3) - score.unsqueeze(-1) * score.unsqueeze(-2)

    def mean(self) -> Tensor:
        """Mean, (..., l)."""
        return (self.weights.unsqueeze(-1) * self.means).sum(-2)

    def covariance(self) -> Tensor:
        """Covariance, (..., l, l)."""
        apart = self.means - self.mean().unsqueeze(-2)
        spread = self.covariances + apart.unsqueeze(-1) * apart.unsqueeze(-2)
        return (self.weights[..., None, None] * spread).sum(-3)

    def measured(self, matrix: Tensor, sd: float) -> Mixture:
        """Law of ``matrix x + sd n``, for a matrix (m, l) or (B, m, l)."""
        matrix = matrix.unsqueeze(-3)
        means = (matrix @ self.means.unsqueeze(-1)).squeeze(-1)
        covariances = matrix @ self.covariances @ matrix.mT + sd**2 * _eye(matrix)
        return Mixture.of(self.weights.expand(means.shape[:-1]), means, covariances)

    def given(self, matrix: Tensor, y: Tensor, sd: float) -> Mixture:
        """Posterior of x for each measurement y (B, m) of ``matrix x + sd n``: B mixtures.

        Raises:
            BadParameter: ``sd`` is not positive: without noise the posterior has no density.
        """
        if sd <= 0:
            raise BadParameter(
                f"sd must be positive, got {sd}: the posterior of a noiseless measurement has no density"
            )
        law = self.measured(matrix, sd)
        matrix, prior = matrix.unsqueeze(-3), self.covariances
        gain = torch.linalg.solve(law.covariances, matrix @ prior).mT
        means = self.means + (gain @ (y.unsqueeze(-2) - law.means).unsqueeze(-1)).squeeze(-1)
        left = _eye(prior) - gain @ matrix
        covariances = left @ prior @ left.mT + sd**2 * gain @ gain.mT
        covariances = covariances.expand(*means.shape, means.shape[-1])
        return Mixture.of(law._log_joint(y).softmax(-1), means, (covariances + covariances.mT) / 2)

    def repeated(self, count: int) -> Mixture:
        """Each of B mixtures so many times, in a row."""
        parts = (self.weights, self.means, self.spectra, self.bases)
        return Mixture(*(part.repeat_interleave(count, 0) for part in parts))

    def sample(self, noise: Noise) -> Tensor:
        """One draw for each stream of ``noise``, (B, l)."""
        borders = self.weights.cpu().cumsum(-1).to(self.weights)  # on a GPU not the same to the bit each time
        chosen = (noise.uniform(1).to(self.weights) > borders[..., :-1]).sum(-1)
        lanes = torch.arange(len(noise), device=self.means.device)

        def pick(values: Tensor, rank: int) -> Tensor:
            return values[lanes, chosen] if values.dim() > rank else values[chosen]

        spread = pick(self.spectra, 2).sqrt() * noise.normal(self.means.shape[-1]).to(self.means)
        return pick(self.means, 2) + (pick(self.bases, 3) @ spread.unsqueeze(-1)).squeeze(-1)

    def _pulls(self, z: Tensor) -> Tensor:
        """Gradient of each component's log density, (B, K, l)."""
        return _rows_times(self._apart(z) / self.spectra, self.bases.mT)

    def _log_joint(self, z: Tensor) -> Tensor:
        """Log of weight times density of each component, (B, K)."""
        exponent = (self._apart(z) ** 2 / self.spectra + self.spectra.log() + math.log(2 * math.pi)).sum(-1)
        return self.weights.log() - exponent / 2

    def _apart(self, z: Tensor) -> Tensor:
        """Way from z to each mean, in the component's own basis, (B, K, l)."""
        return _rows_times(self.means - z.unsqueeze(-2), self.bases)


def _eye(like: Tensor) -> Tensor:
    """Identity with as many rows as a matrix (..., m, n)."""
    return torch.eye(like.shape[-2], dtype=like.dtype, device=like.device)


def _rows_times(rows: Tensor, bases: Tensor) -> Tensor:
    """Rows (B, K, l) times each component's matrix, (K, l, l) or (B, K, l, l)."""
    if bases.dim() == 3:  # shared: one product per component, not one per sample
        return (rows.transpose(0, 1) @ bases).transpose(0, 1)
    return (rows.unsqueeze(-2) @ bases).squeeze(-2)


class GMMEps:
    """Exact noise prediction where the data is a Gaussian mixture: ``-sqrt(1 - alpha_t)`` times the score.

    Args:
        weights: (K,).
        means: (K, l); data of any shape with l entries is flattened.
        covariances: (K, l, l).
        schedule: Gives alpha_t.
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor, schedule: Schedule) -> None:
        self.law = Mixture.of(weights, means, covariances)
        self._alphas = torch.tensor(schedule.alphas, dtype=torch.float64, device=means.device)

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """Noise in ``z`` (B, ...) at the indices ``t`` (B,); there is nothing to condition on."""
        alpha = self._alphas[t]
        score = self.law.noised(alpha).score(z.flatten(1))
        return -((1 - alpha).sqrt().to(z).unsqueeze(-1) * score).view_as(z)


class GaussianEps(GMMEps):
    """Exact noise prediction where the data is N(mean, covariance): a mixture of one."""

    def __init__(self, mean: Tensor, covariance: Tensor, schedule: Schedule) -> None:
        super().__init__(mean.new_ones(1), mean.unsqueeze(0), covariance.unsqueeze(0), schedule)


class LinearCodec:
    """Codec ``D(z) = S z``, ``E(x) = S^T x``.

    Args:
        S: Matrix (d, l) with orthonormal columns.
        data_shape: Shape of one x, of d entries; (d,) if not given.
    """

    def __init__(self, S: Tensor, data_shape: tuple[int, ...] | None = None) -> None:
        self.S, self.data_shape = S, data_shape or (S.shape[0],)
        if math.prod(self.data_shape) != S.shape[0]:
            raise ShapeError(f"data of shape {self.data_shape} does not have the {S.shape[0]} entries of a column of S")
        if not torch.allclose(S.T @ S, _eye(S.T), atol=1e-5):
            raise BadParameter("the columns of S must be orthonormal: torch.linalg.qr(S).Q makes them so")

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, l) of data (B, *data_shape)."""
        return x.flatten(1) @ self.S

    def decode(self, z: Tensor) -> Tensor:
        """Data (B, *data_shape) of latents (B, l)."""
        return (z @ self.S.T).reshape(-1, *self.data_shape)


class IdentityCodec:
    """The codec of methods that work on pixels: latents are the data."""

    def encode(self, x: Tensor) -> Tensor:
        """The data itself."""
        return x

    def decode(self, z: Tensor) -> Tensor:
        """The latents themselves."""
        return z
