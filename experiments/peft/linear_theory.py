"""What can be said of retraining on linear tasks in closed form.

The statements are derived in the project's specification (T1, T2, T3 and T5 there) and match the paper's claims; they
are not quotations of it. The new task is the last one; the population losses are L_t = |A + U_t U_t^T - M_t|_F^2 / 2.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from bandits.errors import BadParameter

from .linear_tasks import LinearTasks

__all__ = [
    "adapter_excess_error",
    "best_adapter_error",
    "least_squares_excess_error",
    "standard_residual",
    "triples_independent",
    "two_task_orbit",
]


def standard_residual(truth: LinearTasks) -> Tensor:
    """What an adapter must add to the base of standard retraining with infinite data, (B, d, d).

    ``A_SR = A* + (1/T) sum_t U_t* U_t*^T`` leaves ``U_new U_new^T - (1/T) sum_t U_t U_t^T``, of rank min(d, k (T + 1)).
    """
    R = truth.U @ truth.U.mT
    return R[:, -1] - R[:, :-1].mean(1)


def best_adapter_error(residual: Tensor, rank: int) -> Tensor:
    """Least |residual - U V^T|_F^2 over adapters of that rank, (B,): the singular values beyond it, squared and summed.

    For orthonormal tasks of k = 1 and the residual of standard retraining it is 1/T.
    """
    values: Tensor = torch.linalg.svdvals(residual)
    return values[..., rank:].square().sum(-1)


def triples_independent(U: Tensor) -> Tensor:
    """Whether the columns of every three tasks are independent, (B,), for U (B, T, d, k) with T >= 3.

    Where they are, every point of zero population loss has A = A* and U_t U_t^T = U_t* U_t*^T. False for T < 3.
    """
    B, T, _, k = U.shape
    answer = torch.full((B,), T >= 3, device=U.device)
    for triple in itertools.combinations(range(T), 3):
        answer &= torch.linalg.matrix_rank(torch.cat([U[:, t] for t in triple], -1)) == 3 * k
    return answer


def two_task_orbit(truth: LinearTasks, angle: float) -> tuple[Tensor, Tensor]:
    """A point (A, U) of zero population loss on two tasks, other than the truth unless the angle is 0.

    U_1 = cosh(angle) U_1* + sinh(angle) U_2* and U_2 = sinh(angle) U_1* + cosh(angle) U_2* keep U_1 U_1^T - U_2 U_2^T;
    A takes up the rest, so that A - A* has rank at most 2k and a new task needs an adapter of rank 3k.
    """
    if truth.U.shape[1] != 3:
        raise BadParameter(f"tasks must be 2 for the orbit of two tasks, got {truth.U.shape[1] - 1}")
    cosh, sinh = math.cosh(angle), math.sinh(angle)
    first, second = truth.U[:, 0], truth.U[:, 1]
    U = torch.stack([cosh * first + sinh * second, sinh * first + cosh * second], 1)
    return truth.targets[:, 0] - U[:, 0] @ U[:, 0].mT, U


def adapter_excess_error(*, d: int, k: int, samples: int, noise_std: float, symmetric: bool = False) -> float:
    """Squared error of least squares over rank-k matrices around a known base, to first order in 1/samples.

    The noise's variance times the number of free parameters, k (2d - k) or, for U U^T, kd - k (k - 1) / 2, per sample.
    """
    parameters = k * d - k * (k - 1) / 2 if symmetric else k * (2 * d - k)
    return noise_std**2 * parameters / samples


def least_squares_excess_error(*, d: int, samples: int, noise_std: float) -> float:
    """Expected squared error of least squares over all matrices for Gaussian x: exact."""
    if samples <= d + 1:
        raise BadParameter(f"samples must be above d + 1 = {d + 1}: below, the expectation is infinite; got {samples}")
    return noise_std**2 * d**2 / (samples - d - 1)
