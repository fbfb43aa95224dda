"""LoRA-ML on linear tasks, and what it is measured against.

Paper: "Meta-Learning Adaptable Foundation Models" (later "Provable Meta-Learning with Low-Rank Adaptations"). Steps and
constants are those of the authors' released code.

    LoRA-ML               min over A of  sum_t  min over U_t of  L_t(A + U_t U_t^T)
    standard retraining   min over A of  sum_t  L_t(A)
    fine-tuning           min over U, V of L_new(A + U V^T), A kept

LoRA-ML is plain joint descent: no derivative goes through inner steps. Axes: B replications, R restarts, T tasks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bandits.errors import BadParameter
from bandits.neural import checks
from bandits.neural.errors import NumericalError
from bandits.neural.noise import Noise

from .linear_tasks import Statistics

__all__ = ["Retrained", "fine_tune", "fine_tuning_rank", "least_squares", "lora_ml", "remarks", "standard_retraining"]


@dataclass(frozen=True)
class Retrained:
    """What LoRA-ML ends with: the best of its restarts.

    Attributes:
        A: The base, (B, d, d): all that is kept for the new task.
        U: The tasks' own factors, (B, T, d, k): thrown away in practice.
        loss: Sum of the tasks' losses after each restart, (B, R).
    """

    A: Tensor
    U: Tensor
    loss: Tensor


def remarks(*, d: int, k: int, tasks: int) -> list[str]:
    """What the theory does not promise for such a setting, in words; empty where it promises recovery."""
    said = []
    if tasks == 1:
        said.append("tasks=1: the base cannot be told from the only task's own part; use at least 3 tasks")
    if tasks == 2:
        said.append(
            f"tasks=2: the base is found up to a matrix of rank {2 * k} only; fine-tune at rank 3k = {3 * k}, where "
            "standard retraining does as well"
        )
    if d < 3 * k:
        said.append(f"d={d} is less than 3k = {3 * k}: the tasks' own parts cannot be independent, nothing is promised")
    return said


def fine_tuning_rank(*, k: int, tasks: int) -> int:
    """Rank that the new task's adapter needs after LoRA-ML: k, but 3k after two tasks."""
    return 3 * k if tasks == 2 else k


@torch.no_grad()
def lora_ml(
    data: Statistics,
    noise: Noise,
    *,
    k: int,
    outer: int = 3000,
    inner: int = 10,
    inner_lr: float = 0.003,
    outer_lr: float = 0.03,
    init: float = 0.1,
    restarts: int = 1,
) -> Retrained:
    """Retrain a base together with one adapter U_t U_t^T per task.

    Args:
        data: The tasks, (B, T, d, d).
        noise: Draws the starts of the adapters.
        k: Rank of an adapter.
        outer: Steps of the base.
        inner: Steps of the adapters before each of them.
        inner_lr: Learning rate of the adapters.
        outer_lr: Learning rate of the base.
        init: Standard deviation of the adapters' starts; the base starts at 0.
        restarts: Starts, of which the one of least loss is kept. Spurious minima are rare, but exist.

    Raises:
        NumericalError: A replication diverged in every restart.
    """
    _check_retraining(data, noise, k, inner_lr, outer_lr, init)
    for field, count in {"outer": outer, "inner": inner, "restarts": restarts}.items():
        checks.at_least(field, count, 1)
    B, T, d, _ = data.C.shape
    for remark in remarks(d=d, k=k, tasks=T):
        warnings.warn(remark, stacklevel=2)
    S, C = data.S[:, None], data.C[:, None]
    A, U = S.new_zeros(B, restarts, 1, d, d), init * noise.normal(restarts, T, d, k)
    for _ in range(outer):
        for _ in range(inner):
            E = (A + U @ U.mT) @ S - C
            U = U - inner_lr * (E + E.mT) @ U
        E = (A + U @ U.mT) @ S - C
        A = A - outer_lr * E.mean(2, keepdim=True)
    loss = Statistics(S, C, data.power[:, None]).loss(A + U @ U.mT).sum(-1)
    best = loss.nan_to_num(nan=torch.inf).argmin(1)
    each = torch.arange(B, device=best.device)
    _check_finite(loss[each, best], "LoRA-ML", "inner_lr and outer_lr")
    return Retrained(A[each, best, 0], U[each, best], loss)


def standard_retraining(data: Statistics) -> Tensor:
    """Fit one matrix to all tasks, A_SR = (sum_t C_t) (sum_t S_t)^-1: (B, d, d) from tasks (B, T, d, d)."""
    return _right_solve(data.C.sum(1), data.S.sum(1))


def least_squares(data: Statistics) -> Tensor:
    """Fit a full matrix to each task alone, M = C S^-1: the shape of ``data.C``."""
    return _right_solve(data.C, data.S)


@torch.no_grad()
def fine_tune(
    A: Tensor,
    data: Statistics,
    noise: Noise,
    *,
    rank: int,
    steps: int = 3000,
    lr: float = 0.005,
    init: float = 0.1,
    record: Sequence[int] = (),
) -> tuple[Tensor, dict[int, Tensor]]:
    """Learn an adapter U V^T for one new task by gradient descent, with the base A kept.

    Args:
        A: Base, (B, d, d).
        data: The new task, (B, d, d).
        noise: Draws the starts of U and V.
        rank: Rank of the adapter.
        steps: Gradient steps.
        lr: Learning rate.
        init: Standard deviation of the starts; 0 would stay 0 for ever.
        record: Numbers of steps after which the matrix is wanted.

    Returns:
        A + U V^T, (B, d, d), at the end, and after each number of steps in ``record``.
    """
    d = A.shape[-1]
    checks.same_batch(A=A, S=data.S, C=data.C)
    checks.rank(rank, d, d)
    checks.positive("lr", lr)
    checks.positive("init", init)
    checks.at_least("steps", steps, 1)
    checks.finite("A", A)
    U, V = init * noise.normal(d, rank), init * noise.normal(d, rank)
    path = {0: A + U @ V.mT} if 0 in record else {}
    for step in range(1, steps + 1):
        E = (A + U @ V.mT) @ data.S - data.C
        U, V = U - lr * E @ V, V - lr * E.mT @ U
        if step in record:
            path[step] = A + U @ V.mT
    M = A + U @ V.mT
    _check_finite(M.sum((-2, -1)), "fine-tuning", "lr")
    return M, path


def _right_solve(C: Tensor, S: Tensor) -> Tensor:
    """C S^-1 for symmetric S."""
    if not bool((torch.linalg.matrix_rank(S, hermitian=True) == S.shape[-1]).all()):
        raise BadParameter(
            f"samples: too few for least squares in d = {S.shape[-1]} dimensions; give at least d of them"
        )
    solution: Tensor = torch.linalg.solve(S, C, left=False)
    return solution


def _check_retraining(data: Statistics, noise: Noise, k: int, inner_lr: float, outer_lr: float, init: float) -> None:
    d = data.C.shape[-1]
    checks.at_least("tasks", data.C.shape[1], 1, "retraining needs a task")
    checks.rank(k, d, d, field="k")
    for field, value in {"inner_lr": inner_lr, "outer_lr": outer_lr, "init": init}.items():
        checks.positive(field, value)
    checks.finite("S", data.S)
    checks.finite("C", data.C)
    if len(noise) != data.C.shape[0]:
        raise BadParameter(f"noise is for {len(noise)} replications, the data for {data.C.shape[0]}")


def _check_finite(values: Tensor, what: str, remedy: str) -> None:
    bad = ~torch.isfinite(values)
    if bool(bad.any()):
        raise NumericalError(f"{what} diverged in sample {int(bad.nonzero()[0])} of the batch: lower {remedy}")
