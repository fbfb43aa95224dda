"""Tasks made of scikit-learn's 8 x 8 digits (1797 images, pixels divided by 16).

``conflicting``: every task asks whether the digit is in a random five of the ten classes. All tasks see the same images
and contradict one another, so that one network cannot serve them all without adapting.

``pairs``: the paper's vision study in small (there CIFAR-10): 0 or 1, 2 or 3, 4 or 5, 6 or 7; the new task is 8 or 9.

Axes: B replications, T tasks, N samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from bandits.errors import BadParameter
from bandits.neural import checks
from bandits.neural.noise import Noise

__all__ = ["Suite", "TaskSet", "conflicting", "few_shot", "pairs"]

_TRAIN = 1200  # images to learn from; the other 597 are for the test


@dataclass(frozen=True)
class TaskSet:
    """Tasks to fit at once.

    Attributes:
        x: Inputs, (B, T, N, 64), or (B, 1, N, 64) where all tasks see the same.
        labels: 0 or 1, int64 (B, T, N).
        weight: 1 for a sample, 0 for padding, (B, T, N).
    """

    x: Tensor
    labels: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Suite:
    """Tasks to retrain on, and new tasks: what can be learnt from, and the test."""

    train: TaskSet
    new: TaskSet
    test: TaskSet


def conflicting(noise: Noise, *, tasks: int = 10, new_tasks: int = 3) -> Suite:
    """Draw the split of the images and, for every task, its five of the ten classes."""
    checks.at_least("tasks", tasks, 1, "retraining needs a task")
    checks.at_least("new_tasks", new_tasks, 1)
    x, digit = _shuffled(noise)
    member = torch.stack([noise.permutation(10) < 5 for _ in range(tasks + new_tasks)], 1)  # (B, T, class)
    labels = member.gather(2, digit[:, None].expand(-1, tasks + new_tasks, -1)).long()

    def part(which: slice, rows: slice) -> TaskSet:
        chosen = labels[:, which, rows]
        return TaskSet(x[:, None, rows], chosen, torch.ones_like(chosen, dtype=x.dtype))

    old, new = slice(0, tasks), slice(tasks, None)
    train, test = slice(0, _TRAIN), slice(_TRAIN, None)
    return Suite(part(old, train), part(new, train), part(new, test))


def pairs(noise: Noise) -> Suite:
    """Draw the split of the images; the tasks are fixed."""
    x, digit = _shuffled(noise)

    def part(firsts: list[int], rows: slice) -> TaskSet:
        return _select(x[:, rows], digit[:, rows], firsts)

    train, test = slice(0, _TRAIN), slice(_TRAIN, None)
    return Suite(part([0, 2, 4, 6], train), part([8], train), part([8], test))


def few_shot(noise: Noise, tasks: TaskSet, n: int) -> TaskSet:
    """Draw n samples of every task without replacement; more of them, drawn from a like noise, contain the fewer.

    Raises:
        BadParameter: A task has fewer.
    """
    checks.at_least("n", n, 1, "a task without samples cannot be learnt")
    B, T, N = tasks.labels.shape
    least = int(tasks.weight.sum(-1).min())
    if n > least:
        raise BadParameter(f"n must be at most the {least} samples that every new task has, got {n}")
    order = torch.stack([noise.permutation(N) for _ in range(T)], 1)
    present = tasks.weight.gather(2, order)
    chosen = order.gather(2, torch.argsort(present, dim=2, descending=True, stable=True)[..., :n])
    x = tasks.x.expand(B, T, N, -1).gather(2, chosen[..., None].expand(-1, -1, -1, tasks.x.shape[-1]))
    return TaskSet(x, tasks.labels.gather(2, chosen), torch.ones_like(x[..., 0]))


def _select(x: Tensor, digit: Tensor, firsts: list[int]) -> TaskSet:
    """The images of the pairs (first, first + 1), padded to the length of the most frequent pair of all the data."""
    _, digits = _digits()
    counts = np.bincount(digits)
    room = min(digit.shape[1], int((counts[:-1] + counts[1:]).max()))
    sets = []
    for first in firsts:
        member = (digit == first) | (digit == first + 1)
        rows = torch.argsort(member.int(), dim=1, descending=True, stable=True)[:, :room]
        images = x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))
        sets.append((images, (digit.gather(1, rows) == first + 1).long(), member.gather(1, rows).to(x.dtype)))
    return TaskSet(*(torch.stack(field, 1) for field in zip(*sets, strict=True)))


def _shuffled(noise: Noise) -> tuple[Tensor, Tensor]:
    """All images (B, 1797, 64) and their digits (B, 1797), in an order of each replication's own."""
    images, digits = _digits()
    order = noise.permutation(len(digits))
    x = torch.from_numpy(images).to(device=noise.device, dtype=noise.dtype)
    return x[order], torch.from_numpy(digits).to(noise.device)[order]


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data / 16, data.target.astype(np.int64)
