"""ReLU networks of a whole batch of replications and tasks, with low-rank adapters, as batched matrix products.

    layer(h) = W h + b + (alpha / r) up (down h)

Axes: B replications, T tasks, N samples. Every tensor has B first and T second; where all tasks share something, its T
is 1. Nothing mixes replications, so that a network's numbers do not depend on which others share its batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from bandits.neural import checks
from bandits.neural.noise import Noise

__all__ = ["MLP", "Adapters", "init_adapters", "init_mlp", "logits", "mean_cross_entropy"]


@dataclass(frozen=True)
class MLP:
    """Weights (B, T, out, in) and biases (B, T, 1, out) of each layer."""

    weights: list[Tensor]
    biases: list[Tensor]

    @property
    def parameters(self) -> list[Tensor]:
        """All tensors, weights first."""
        return [*self.weights, *self.biases]

    @property
    def sizes(self) -> list[int]:
        """Width of the input and of each layer."""
        return [self.weights[0].shape[-1], *(W.shape[-2] for W in self.weights)]

    def copy(self, tasks: int | None = None) -> MLP:
        """An independent copy, with so many tasks (of a shared one) where given."""
        copies = [
            p.detach().expand(-1, tasks or p.shape[1], -1, -1).clone().requires_grad_(True) for p in self.parameters
        ]
        return MLP(copies[: len(self.weights)], copies[len(self.weights) :])


@dataclass(frozen=True)
class Adapters:
    """Factors of each layer: up (B, T, out, r) and down (B, T, r, in); ``scale`` is alpha / r."""

    up: list[Tensor]
    down: list[Tensor]
    scale: float

    @property
    def parameters(self) -> list[Tensor]:
        """All tensors."""
        return [*self.up, *self.down]


def init_mlp(noise: Noise, sizes: Sequence[int]) -> MLP:
    """A network of these widths, from input to output, uniform in +-1/sqrt(in) as torch's linear layers are."""
    checks.at_least("sizes", len(sizes), 2, "a network has an input and an output")
    checks.at_least("classes", sizes[-1], 2)
    weights, biases = [], []
    for n_in, n_out in itertools.pairwise(sizes):
        weights.append((2 * noise.uniform(1, n_out, n_in) - 1) / math.sqrt(n_in))
        biases.append((2 * noise.uniform(1, 1, n_out) - 1) / math.sqrt(n_in))
    return MLP(weights, biases)


def init_adapters(noise: Noise, sizes: Sequence[int], *, tasks: int, rank: int, alpha: float | None = None) -> Adapters:
    """One fresh adapter per task on every layer: down is random, up is zero, so that the network is unchanged.

    Args:
        noise: Draws the down factors.
        sizes: Widths of the network.
        tasks: T.
        rank: r, for every layer.
        alpha: Scale, divided by r; r itself unless given.
    """
    checks.at_least("tasks", tasks, 1)
    checks.positive("alpha", 1 if alpha is None else alpha)
    up, down = [], []
    for n_in, n_out in itertools.pairwise(sizes):
        checks.rank(rank, n_in, n_out)
        down.append(((2 * noise.uniform(tasks, rank, n_in) - 1) / math.sqrt(n_in)).requires_grad_(True))
        up.append(down[-1].new_zeros(len(noise), tasks, n_out, rank).requires_grad_(True))
    return Adapters(up, down, 1.0 if alpha is None else alpha / rank)


def logits(x: Tensor, net: MLP, adapters: Adapters | None = None) -> Tensor:
    """Outputs (B, T, N, classes) for inputs (B, T, N, features)."""
    h, last = x, len(net.weights) - 1
    for layer, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        out = h @ W.mT + b
        if adapters is not None:
            out = out + adapters.scale * (h @ adapters.down[layer].mT) @ adapters.up[layer].mT
        h = out if layer == last else out.relu()
    return h


def mean_cross_entropy(outputs: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy averaged over each task's samples, (B, T).

    Args:
        outputs: Logits, (B, T or 1, N, classes).
        labels: Classes, int64 (B, T, N).
        weight: 1 for a sample, 0 for padding, (B, T, N).
    """
    logp = outputs.log_softmax(-1).expand(*labels.shape, -1)
    nll = -logp.gather(-1, labels[..., None])[..., 0]
    return (nll * weight).sum(-1) / weight.sum(-1)
