"""Linear regression tasks that share a matrix and differ by a low-rank one (data of LoRA-ML's linear study).

    y = (A* + U_t* U_t*^T) x + eps,   x ~ N(0, I_d),   eps ~ N(0, noise_std^2 I_d),   t = 1 .. T + 1

Methods see a task through its sufficient statistics S_t = X_t X_t^T / N and C_t = Y_t X_t^T / N, so that their cost
does not depend on N. The authors' released generator draws eps with standard deviation sigma^2 (0.01 for
sigma = 0.1); here ``noise_std`` is the standard deviation itself.

Axes: B replications, T tasks, d dimensions, k the rank of what is a task's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bandits.errors import BadParameter
from bandits.neural import checks
from bandits.neural.noise import Noise

__all__ = ["LinearTasks", "Statistics", "draw_tasks", "observe", "population"]

_BLOCK = 1000  # samples drawn at once


@dataclass(frozen=True)
class LinearTasks:
    """The truth; the last task is the new one, which retraining never sees.

    Attributes:
        A: A*, (B, d, d).
        U: U_t*, (B, T + 1, d, k).
    """

    A: Tensor
    U: Tensor

    @property
    def targets(self) -> Tensor:
        """A* + U_t* U_t*^T, (B, T + 1, d, d)."""
        return self.A[:, None] + self.U @ self.U.mT


@dataclass(frozen=True)
class Statistics:
    """What methods know of tasks, (B, ..., d, d), and the mean of |y|^2, (B, ...)."""

    S: Tensor
    C: Tensor
    power: Tensor

    def loss(self, M: Tensor) -> Tensor:
        """Mean of |y - M x|^2 / 2 over the samples, (B, ...), for matrices M (B, ..., d, d)."""
        fit = ((M @ self.S - 2 * self.C) * M).sum((-2, -1))
        return (fit + self.power) / 2


def draw_tasks(noise: Noise, *, d: int = 10, k: int = 1, tasks: int = 3, orthonormal: bool = False) -> LinearTasks:
    """Draw A* = (G + G^T) / 2 and U_t*, all of standard normal entries, for T tasks to learn from and one new task.

    Args:
        noise: The replications.
        d: Dimension.
        k: Rank of each task's own part.
        tasks: T.
        orthonormal: Make the columns of all U_t* together orthonormal, which needs d >= k (T + 1).
    """
    checks.at_least("tasks", tasks, 1, "retraining needs a task")
    checks.at_least("d", d, 1)
    checks.rank(k, d, d, field="k")
    checks.yes_or_no("orthonormal", orthonormal)
    G, U = noise.normal(d, d), noise.normal(tasks + 1, d, k)
    if orthonormal:
        if d < k * (tasks + 1):
            raise BadParameter(f"d must be at least k (tasks + 1) = {k * (tasks + 1)} for orthonormal tasks, got {d}")
        columns = U.transpose(1, 2).reshape(len(noise), d, -1)
        U = torch.linalg.qr(columns).Q.reshape(len(noise), d, tasks + 1, k).transpose(1, 2)
    return LinearTasks((G + G.mT) / 2, U)


def observe(noise: Noise, targets: Tensor, *, samples: int, noise_std: float = 0.1) -> Statistics:
    """Draw ``samples`` pairs (x, y) of every task with matrix ``targets`` (B, ..., d, d), and keep their statistics."""
    checks.at_least("samples", samples, 1, "a task without samples cannot be learnt")
    checks.not_negative("noise_std", noise_std)
    checks.finite("targets", targets)
    *tasks, d = targets.shape[1:-1]
    S, C = torch.zeros_like(targets), torch.zeros_like(targets)
    power = torch.zeros_like(targets[..., 0, 0])
    for start in range(0, samples, _BLOCK):
        n = min(_BLOCK, samples - start)
        X = noise.normal(*tasks, n, d)
        Y = X @ targets.mT + noise_std * noise.normal(*tasks, n, d)
        S += X.mT @ X / samples
        C += Y.mT @ X / samples
        power += Y.square().sum((-2, -1)) / samples
    return Statistics(S, C, power)


def population(targets: Tensor) -> Statistics:
    """The statistics of infinitely many samples without noise: S = I, C = the matrix itself."""
    S = torch.eye(targets.shape[-1], dtype=targets.dtype, device=targets.device).expand(targets.shape)
    return Statistics(S, targets, targets.square().sum((-2, -1)))
