"""A bounded cache of models: each is loaded once per process, the least recently used one goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["ModelCache", "size_of"]

T = TypeVar("T")


class ModelCache:
    """Models of this process, by key.

    Args:
        limit: Bytes that models may hold together; one that is larger on its own is kept until the next is loaded.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._models: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], T], device: torch.device) -> T:
        """Return the model of that key on the device, loaded if need be, for use without training.

        Initial weights that ``load`` draws from torch's own generator are the same in every process. Whatever has
        ``to``, ``eval`` and ``requires_grad_``, as a `torch.nn.Module` has, is moved, set to evaluation and frozen.
        """
        full_key = (key, str(device))
        if full_key in self._models:
            self._models.move_to_end(full_key)
            kept: T = self._models[full_key][0]
            return kept
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: T = _ready(load(), device)
        self._models[full_key] = model, size_of(model)
        while len(self._models) > 1 and self.held > self.limit:
            self._models.popitem(last=False)
        return model

    @property
    def held(self) -> int:
        """Bytes held."""
        return sum(size for _, size in self._models.values())

    def clear(self) -> None:
        """Forget all."""
        self._models.clear()


def size_of(model: Any, _seen: set[int] | None = None) -> int:
    """Bytes of the tensors of a module, or of those that an object holds in its attributes; each counts once."""
    seen = set[int]() if _seen is None else _seen
    if id(model) in seen:
        return 0
    seen.add(id(model))
    if isinstance(model, Tensor):
        return model.numel() * model.element_size()
    parts: Iterable[Any] = ()
    if isinstance(model, nn.Module):
        parts = (*model.parameters(), *model.buffers())
    elif isinstance(model, list | tuple):
        parts = model
    elif hasattr(model, "__dict__") and not isinstance(model, type):
        parts = vars(model).values()
    return sum(size_of(part, seen) for part in parts)


def _ready(model: Any, device: torch.device) -> Any:
    if hasattr(model, "to"):
        model = model.to(device)
    for call in (getattr(model, "eval", None), getattr(model, "requires_grad_", None)):
        if callable(call) and not isinstance(model, Tensor):
            call(False) if call.__name__ == "requires_grad_" else call()
    return model
