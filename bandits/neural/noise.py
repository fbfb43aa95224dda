"""Random numbers of a batch of samples, each from a generator of its own.

Sample i of a run draws from a generator seeded by ``SeedSequence([seed, i])``, on the CPU, and the draw is then moved.
What a sample gets depends on how often *it* drew before, never on which samples share its batch, nor on the device.
Streams of one sample that must not share draws differ by a salt.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["Noise"]


class Noise:
    """One random stream per sample.

    Args:
        seed: Seed of the run.
        samples: Index of each sample of the batch, (B,): the replications.
        device: Where draws are wanted.
        dtype: Floating-point type of the draws; float64 for checks against closed forms.
        salt: Whole numbers or words that name a stream, such as "data" or "sampling".
    """

    def __init__(
        self,
        seed: int,
        samples: Sequence[int],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        salt: Sequence[int | str] = (),
    ) -> None:
        self.device, self.dtype = torch.device(device), dtype
        words = [_word(one) for one in salt]
        self._generators = [np.random.Generator(np.random.PCG64([seed, i, *words])) for i in samples]

    def __len__(self) -> int:
        """Number of samples B."""
        return len(self._generators)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal draws, (B, *shape)."""
        draws, moved = self._room(shape)
        for generator, row in zip(self._generators, draws, strict=True):
            generator.standard_normal(out=row)
        return moved()

    def uniform(self, *shape: int) -> Tensor:
        """Draws from [0, 1), (B, *shape)."""
        draws, moved = self._room(shape)
        for generator, row in zip(self._generators, draws, strict=True):
            generator.random(out=row)
        return moved()

    def permutation(self, n: int) -> Tensor:
        """A random order of 0 .. n-1 for each sample, int64 (B, n)."""
        orders = np.stack([generator.permutation(n) for generator in self._generators])
        return torch.from_numpy(orders).to(self.device)

    def _room(self, shape: tuple[int, ...]) -> tuple[np.ndarray, Callable[[], Tensor]]:
        """Where to draw, (B, numbers), and what then brings it to the device, its type and (B, *shape).

        A GPU fetches it from locked memory while the host goes on. What it is rounded to is decided there, for the host
        would have to wait for a copy of its own.
        """
        room = torch.empty(
            (len(self), *shape), dtype=torch.float64, device="cpu", pin_memory=self.device.type == "cuda"
        )
        return room.reshape(len(self), -1).numpy(), lambda: room.to(self.device, non_blocking=True).to(self.dtype)


def _word(salt: int | str) -> int:
    """A positive word of a seed: `numpy.random.SeedSequence` pads with zeros, so that a zero would change nothing."""
    return 1 + (zlib.crc32(salt.encode()) if isinstance(salt, str) else salt)
