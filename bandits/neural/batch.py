"""What a trial is given to run: some replications at once, their noise, a device, models, and a place to log."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..protocol import FloatArray
from .cache import ModelCache
from .errors import ShapeError
from .noise import Noise

__all__ = ["Batch"]

T = TypeVar("T")


class Batch:
    """Replications that run at once; B of them, always the first axis.

    Args:
        seed: Seed of the experiment.
        replications: Numbers of the replications, increasing.
        device: Where to compute.
        models: Cache of this process.

    Attributes:
        seed, replications, device: As given.
    """

    def __init__(
        self, seed: int, replications: Sequence[int], device: torch.device, models: ModelCache | None = None
    ) -> None:
        self.seed, self.replications, self.device = seed, tuple(replications), device
        self._models = models if models is not None else ModelCache(limit=2**30)
        self.rows: list[tuple[int, str, FloatArray]] = []
        self.tensors: dict[str, NDArray[Any]] = {}

    @property
    def size(self) -> int:
        """Number of replications B."""
        return len(self.replications)

    def noise(self, *salt: int | str, dtype: torch.dtype = torch.float32) -> Noise:
        """Random numbers, one stream per replication; another salt is another stream: ``batch.noise("data")``."""
        return Noise(self.seed, self.replications, self.device, dtype, salt)

    def model(self, key: Hashable, load: Callable[[], T]) -> T:
        """The model of that key on this device, loaded once per process while there is room.

        What ``load`` draws from torch's own generator is the same in every process.
        """
        return self._models.get(key, load, self.device)

    def log(self, step: int, metric: str, values: Tensor | FloatArray | float) -> None:
        """Log one number per replication, (B,), or one number that holds for all.

        Raises:
            ShapeError: There is not one number for each replication.
        """
        found = _array(values).astype(np.float64)
        if found.shape not in ((), (self.size,)):
            raise ShapeError(f"metric '{metric}' has shape {found.shape}, expected one number each, ({self.size},)")
        self.rows.append((int(step), str(metric), np.broadcast_to(found, (self.size,)).copy()))

    def keep(self, name: str, tensor: Tensor | FloatArray) -> None:
        """Keep a tensor (B, ...) of the first replications for the report: an image, a series.

        Raises:
            ShapeError: Its first axis is not the batch.
        """
        found = _array(tensor)
        if found.shape[:1] != (self.size,):
            raise ShapeError(f"tensor '{name}' has shape {found.shape}, expected ({self.size}, ...)")
        self.tensors[str(name)] = found


def _array(values: Any) -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().to(device="cpu")
        values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        return np.asarray(values.numpy())
    return np.asarray(values)
