"""Low-rank adapters for many tasks on one model: every task has its own, and one is active at a time.

    y = W x + b + (alpha / rank) B_t A_t x,    A_t (rank, in), B_t (out, rank)

    wrap(model, ["query", "value"], tasks=["t0", "t1"], rank=4, noise=noise)   # W, b stay trainable
    activate(model, "t1")                                                       # others get no gradient
    drop(model)                                                                 # plain linear layers again

A fresh adapter changes nothing: A is random, B is zero. Inactive adapters have no gradient at all (None, not zero), so
that an optimiser with weight decay leaves them alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import checks
from .errors import AdapterError, ShapeError
from .noise import Noise

__all__ = ["MultiAdapterLinear", "activate", "drop", "merge", "wrap"]


class MultiAdapterLinear(nn.Module):
    """A linear layer with named adapters, of which at most one is active.

    Args:
        base: The layer; its weight and bias are used in place.
        rank: Rank of every adapter.
        alpha: Scale, divided by the rank; the rank itself unless given.
        dropout: Probability that an adapter's input is dropped in training.
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        checks.rank(rank, base.in_features, base.out_features)
        checks.positive("alpha", 1 if alpha is None else alpha)
        checks.probability("dropout", dropout)
        self.base, self.rank, self.scale, self.dropout = base, rank, (alpha or rank) / rank, dropout
        self.A, self.B = nn.ParameterDict(), nn.ParameterDict()
        self.active: str | None = None

    def add(self, name: str, noise: Noise) -> None:
        """Add a fresh adapter: A uniform in +-1/sqrt(in), drawn from the first sample of ``noise``, and B zero."""
        weight = self.base.weight
        A = (2 * noise.uniform(self.rank, self.base.in_features)[0] - 1) / math.sqrt(self.base.in_features)
        self.load(name, A.to(weight), weight.new_zeros(self.base.out_features, self.rank), fresh=True)

    def load(self, name: str, A: Tensor, B: Tensor, *, fresh: bool = False) -> None:
        """Add an adapter with given factors.

        Raises:
            AdapterError: The name is taken, or both factors are zero, so that neither would ever get a gradient.
            ShapeError: A factor does not fit.
        """
        if name in self.A:
            raise AdapterError(f"adapter '{name}' exists already: every adapter needs a name of its own")
        wanted = (self.rank, self.base.in_features), (self.base.out_features, self.rank)
        if (tuple(A.shape), tuple(B.shape)) != wanted:
            raise ShapeError(f"A and B must be {wanted[0]} and {wanted[1]}, got {tuple(A.shape)} and {tuple(B.shape)}")
        checks.finite("A", A)
        checks.finite("B", B)
        if not bool(A.any()) and not bool(B.any()):
            raise AdapterError(f"A and B of adapter '{name}' are both zero: their gradients would be zero for ever")
        self.A[name], self.B[name] = nn.Parameter(A.clone()), nn.Parameter(B.clone())
        self.activate(name if self.active is None and fresh else self.active)

    def activate(self, name: str | None) -> None:
        """Make one adapter active and trainable, or none; the others are frozen and lose their gradient."""
        if name is not None and name not in self.A:
            raise AdapterError(f"no adapter is called '{name}'; there are {', '.join(self.A) or 'none'}")
        self.active = name
        for other in self.A:
            for factor in (self.A[other], self.B[other]):
                factor.requires_grad_(other == name)
                if other != name:
                    factor.grad = None

    def forward(self, x: Tensor) -> Tensor:
        """Output (..., out) of inputs (..., in)."""
        y: Tensor = self.base(x)
        if self.active is None:
            return y
        dropped = functional.dropout(x, self.dropout, self.training) if self.dropout else x
        low: Tensor = (dropped @ self.A[self.active].T) @ self.B[self.active].T
        return y + self.scale * low

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The base layer with the active adapter added to its weight, in place."""
        if self.active is not None:
            self.base.weight += self.scale * self.B[self.active] @ self.A[self.active]
        return self.base


def wrap(
    model: nn.Module,
    targets: Sequence[str],
    *,
    tasks: Sequence[str],
    rank: int,
    noise: Noise,
    alpha: float | None = None,
    dropout: float = 0.0,
) -> list[str]:
    """Put adapters on every linear layer that ``targets`` name; the first task is active.

    Args:
        model: Changed in place; its own parameters stay as trainable as they are.
        targets: Names of layers, in full or their last parts, such as "query" or "attention.self.query".
        tasks: Names of the adapters.
        rank: Rank of every adapter.
        noise: Draws the factors A.
        alpha: Scale, divided by the rank.
        dropout: Probability that an adapter's input is dropped in training.

    Returns:
        Full names of the layers.

    Raises:
        AdapterError: A target matches no linear layer, a name occurs twice, or a layer cannot have that rank.
    """
    checks.named_once("tasks", tasks)
    checks.named_once("targets", targets)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    for target in targets:
        if not any(_is(name, target) for name in layers):
            raise AdapterError(f"targets: no linear layer of the model is called '{target}'; it has {_some(layers)}")
    chosen = {name: layer for name, layer in layers.items() if any(_is(name, target) for target in targets)}
    wrapped = {  # all are made, and so checked, before the first is put in
        name: MultiAdapterLinear(layer, rank=rank, alpha=alpha, dropout=dropout) for name, layer in chosen.items()
    }
    for name, adapted in wrapped.items():
        for task in tasks:
            adapted.add(task, noise)
        model.set_submodule(name, adapted)
    return list(chosen)


def activate(model: nn.Module, name: str | None) -> None:
    """Make one task's adapters active on every layer, or none."""
    for _, layer in _wrapped(model):
        layer.activate(name)


def drop(model: nn.Module) -> None:
    """Throw all adapters away: the layers are plain linear ones again."""
    for name, layer in _wrapped(model):
        model.set_submodule(name, layer.base)


def merge(model: nn.Module) -> None:
    """Add the active adapters to the weights, and throw all adapters away."""
    for name, layer in _wrapped(model):
        model.set_submodule(name, layer.merged())


def _wrapped(model: nn.Module) -> list[tuple[str, MultiAdapterLinear]]:
    found = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, MultiAdapterLinear)]
    if not found:
        raise AdapterError("the model has no adapters: wrap it first")
    return found


def _is(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _some(layers: dict[str, nn.Linear]) -> str:
    last = sorted({name.rpartition(".")[2] for name in layers})
    return ", ".join(last[:8]) + (", ..." if len(last) > 8 else "") if last else "none"
