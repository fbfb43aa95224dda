"""The population objective of LoRA-ML on linear tasks: its minima, found by L-BFGS, and what kind they are.

    L(A, U) = 1/2 sum_t |A + U_t U_t^T - M_t|_F^2

One problem at a time, in float64: an instrument for checking theory, not a method. With T = 2 all second-order
stationary points are said to be global (paper); with T >= 3 spurious local minima exist but are rare (found
numerically), so that methods restart and keep the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

__all__ = ["Stationary", "minimise", "population_loss"]


@dataclass(frozen=True)
class Stationary:
    """Where L-BFGS came to rest.

    Attributes:
        A: (d, d).
        U: (T, d, k).
        loss: Value there.
        gradient: Largest entry of the gradient.
    """

    A: Tensor
    U: Tensor
    loss: float
    gradient: float

    def curvature(self, targets: Tensor) -> Tensor:
        """Eigenvalues of the Hessian, ascending; targets (T, d, d)."""
        T, d, k = self.U.shape
        point = _flat(self.A, self.U)

        def loss(x: Tensor) -> Tensor:
            return population_loss(*_unflat(x, T, d, k), targets)

        hessian = torch.autograd.functional.hessian(loss, point)  # type: ignore[no-untyped-call]  # torch has no type for it
        eigenvalues: Tensor = torch.linalg.eigvalsh(hessian)
        return eigenvalues


def population_loss(A: Tensor, U: Tensor, targets: Tensor) -> Tensor:
    """L(A, U) for A (d, d), U (T, d, k), targets (T, d, d)."""
    loss: Tensor = (A + U @ U.mT - targets).square().sum() / 2
    return loss


def minimise(targets: Tensor, U: Tensor, A: Tensor | None = None, *, max_steps: int = 50_000) -> Stationary:
    """Follow L-BFGS from (A, U) to rest; A starts at 0 unless given.

    Args:
        targets: The tasks' matrices, float64 (T, d, d).
        U: Start of the adapters, float64 (T, d, k).
        A: Start of the base, float64 (d, d).
        max_steps: Most iterations.
    """
    T, d, k = U.shape
    start = _flat(torch.zeros_like(targets[0]) if A is None else A, U)

    def loss_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        A, U = _unflat(torch.from_numpy(x), T, d, k)
        E = A + U @ U.mT - targets
        gradient = _flat(E.sum(0), (E + E.mT) @ U)
        return float(E.square().sum()) / 2, gradient.numpy()

    options = {"maxiter": max_steps, "maxfun": 2 * max_steps, "ftol": 0.0, "gtol": 1e-10, "maxcor": 30}
    end = minimize(loss_and_gradient, start.numpy(), jac=True, method="L-BFGS-B", options=options)
    A, U = _unflat(torch.from_numpy(np.array(end.x)), T, d, k)
    return Stationary(A, U, float(end.fun), float(np.abs(end.jac).max()))


def _flat(A: Tensor, U: Tensor) -> Tensor:
    return torch.cat([A.reshape(-1), U.reshape(-1)])


def _unflat(x: Tensor, T: int, d: int, k: int) -> tuple[Tensor, Tensor]:
    return x[: d * d].reshape(d, d), x[d * d :].reshape(T, d, k)
