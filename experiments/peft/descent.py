"""Gradient descent on the losses of a whole batch of replications at once, which must not influence one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from bandits.neural import checks
from bandits.neural.errors import NumericalError

__all__ = ["descend", "stages"]


def descend(loss: Callable[[], Tensor], optimiser: torch.optim.Optimizer, steps: int) -> Tensor:
    """Take so many steps on the sum of ``loss()`` (B, ...), and return its last value.

    Raises:
        NumericalError: The loss of a sample became NaN or infinite.
    """
    checks.at_least("steps", steps, 1)
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        value = loss()
        value.sum().backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
    bad = ~torch.isfinite(value)
    if bool(bad.any()):
        raise NumericalError(f"training diverged in sample {int(bad.nonzero()[0, 0])} of the batch: lower the lr")
    return value.detach()


def stages(
    loss: Callable[[], Tensor], optimiser: torch.optim.Optimizer, steps: int, record: Sequence[int]
) -> Iterator[int]:
    """Descend, and stop after each number of steps in ``record`` so that the caller can measure; 0 is the start."""
    checks.at_least("steps", steps, 1)
    done = 0
    for stop in sorted({*(step for step in record if step <= steps), steps}):
        if stop > done:
            descend(loss, optimiser, stop - done)
            done = stop
        if stop in record:
            yield stop
