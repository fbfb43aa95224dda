"""LoRA-ML on shallow networks with a shared matrix and low-rank parts of the tasks' own.

    y = c*^T sigmoid((A* + U_t* U_t*^T) x) + eps,   x ~ N(0, I_d),   eps ~ N(0, noise_std^2)

The paper's synthetic study. Sizes and AdamW's rate are those of the released code; how c* is drawn (standard normal)
and how A and c start are this project's choice. c is trained in retraining and kept in fine-tuning.

Axes: B replications, T tasks, N samples, d dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import AdamW

from bandits.neural import checks
from bandits.neural.noise import Noise

from .descent import descend, stages
from .linear_tasks import LinearTasks, draw_tasks

__all__ = ["Samples", "ShallowNet", "ShallowTasks", "draw_shallow", "fine_tune", "init_net", "observe", "retrain"]


@dataclass(frozen=True)
class ShallowNet:
    """A (B, d, d) and c (B, d)."""

    A: Tensor
    c: Tensor

    def __call__(self, x: Tensor, low_rank: Tensor | None = None) -> Tensor:
        """Outputs (B, T, N) for inputs (B, T, N, d); ``low_rank`` (B, T, d, d) is added to A."""
        W = self.A[:, None] if low_rank is None else self.A[:, None] + low_rank
        return ((x @ W.mT).sigmoid() @ self.c[:, None, :, None])[..., 0]


@dataclass(frozen=True)
class ShallowTasks:
    """The truth; the last task is the new one."""

    hidden: LinearTasks
    c: Tensor

    def __call__(self, x: Tensor, which: slice) -> Tensor:
        """Outputs without noise of the tasks ``which``."""
        return ShallowNet(self.hidden.A, self.c)(x, (self.hidden.U @ self.hidden.U.mT)[:, which])


@dataclass(frozen=True)
class Samples:
    """x (B, T, N, d) and y (B, T, N)."""

    x: Tensor
    y: Tensor


def draw_shallow(noise: Noise, *, d: int = 10, k: int = 1, tasks: int = 3) -> ShallowTasks:
    """Draw T tasks to learn from and a new one."""
    return ShallowTasks(draw_tasks(noise, d=d, k=k, tasks=tasks), noise.normal(d))


def observe(noise: Noise, truth: ShallowTasks, which: slice, *, samples: int, noise_std: float = 0.1) -> Samples:
    """Draw samples of the tasks ``which``."""
    checks.at_least("samples", samples, 1, "a task without samples cannot be learnt")
    checks.not_negative("noise_std", noise_std)
    tasks = truth.hidden.U[:, which].shape[1]
    checks.at_least("tasks", tasks, 1, "the list of tasks is empty")
    x = noise.normal(tasks, samples, truth.c.shape[1])
    return Samples(x, truth(x, which) + noise_std * noise.normal(tasks, samples))


def init_net(noise: Noise, d: int) -> ShallowNet:
    """A network to start from: A of entries N(0, 1/d), c of entries N(0, 1)."""
    checks.at_least("d", d, 1)
    return ShallowNet(noise.normal(d, d) / math.sqrt(d), noise.normal(d))


def retrain(
    net: ShallowNet,
    data: Samples,
    noise: Noise,
    *,
    k: int | None,
    epochs: int = 40_000,
    lr: float = 1e-3,
    init: float = 0.1,
) -> ShallowNet:
    """Fit A and c to all tasks, with an adapter U_t U_t^T of rank k per task (LoRA-ML) or, k None, without (standard).

    Full batches; the adapters are thrown away.
    """
    _check(data, lr, init)
    checks.at_least("epochs", epochs, 1)
    T, _, d = data.x.shape[1:]
    A, c = (p.detach().clone().requires_grad_(True) for p in (net.A, net.c))
    learnt = [A, c]
    if k is not None:
        checks.rank(k, d, d, field="k")
        learnt.append((init * noise.normal(T, d, k)).requires_grad_(True))

    def loss() -> Tensor:
        low_rank = learnt[2] @ learnt[2].mT if k is not None else None
        return (ShallowNet(A, c)(data.x, low_rank) - data.y).square().mean(-1)

    descend(loss, AdamW(learnt, lr=lr), epochs)
    return ShallowNet(A.detach(), c.detach())


def fine_tune(
    net: ShallowNet,
    data: Samples,
    noise: Noise,
    *,
    rank: int,
    steps: int = 15_000,
    lr: float = 1e-3,
    init: float = 0.1,
    record: Sequence[int] = (),
    measure: Callable[[Tensor], Tensor] = torch.clone,
) -> tuple[Tensor, dict[int, Tensor]]:
    """Learn an adapter U V^T for each new task, with A and c kept.

    Args:
        net: The base.
        data: The new tasks, (B, T, N, d).
        noise: Draws the starts.
        rank: Rank of the adapter.
        steps: Steps of AdamW.
        lr: Learning rate.
        init: Standard deviation of the starts; 0 would stay 0 for ever.
        record: Numbers of steps after which ``measure`` of U V^T is wanted.
        measure: What to record, such as an error on test samples.

    Returns:
        U V^T, (B, T, d, d), and what was recorded.
    """
    _check(data, lr, init)
    T, _, d = data.x.shape[1:]
    checks.rank(rank, d, d)
    U, V = ((init * noise.normal(T, d, rank)).requires_grad_(True) for _ in range(2))
    path = {}

    def loss() -> Tensor:
        return (net(data.x, U @ V.mT) - data.y).square().mean(-1)

    for step in stages(loss, AdamW([U, V], lr=lr), steps, record):
        path[step] = measure((U @ V.mT).detach())
    return (U @ V.mT).detach(), path


def _check(data: Samples, lr: float, init: float) -> None:
    checks.at_least("tasks", data.x.shape[1], 1, "the list of tasks is empty")
    checks.at_least("samples", data.x.shape[2], 1, "a task without samples cannot be learnt")
    checks.same_batch(x=data.x, y=data.y)
    checks.finite("x", data.x)
    checks.finite("y", data.y)
    checks.positive("lr", lr)
    checks.positive("init", init)
