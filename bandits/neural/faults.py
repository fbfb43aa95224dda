"""NaN and infinity in what a sampler makes, found without waiting for the device at every step.

To ask a GPU whether a number is finite is to wait until it has done all that was asked of it before. So what each step
made is judged on the device, for each sample, and the host looks at the verdicts of several steps at once. What is
reported is what a look at every step would have reported; the steps since were in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import NumericalError

__all__ = ["LOOK_EVERY", "Watch"]

LOOK_EVERY = 16  # steps, on a device that works while the host goes on: as many states are held


@dataclass(frozen=True)
class _Step:
    """What is known of a step that nobody has looked at.

    Attributes:
        number: Of the step, from 0.
        t: Index of the schedule.
        names: What it made, in the order in which a fault spreads.
        sound: Whether that is finite, (names, B).
        before: State that the step started from, (B, ...).
    """

    number: int
    t: int
    names: tuple[str, ...]
    sound: Tensor
    before: Tensor


class Watch:
    """Notes what each step of a sampler made, and looks at it now and then.

    Args:
        steps: Number of steps of the sampler.
        every: Steps from one look to the next.
    """

    def __init__(self, steps: int, every: int = LOOK_EVERY) -> None:
        self.steps, self.every = steps, every
        self._unseen: list[_Step] = []

    def note(self, number: int, t: int, made: Mapping[str, Tensor], before: Tensor) -> None:
        """Note what a step made, each (B, ...), and the state before it.

        Raises:
            NumericalError: It was time to look, see `look`.
        """
        sound = torch.stack([part.isfinite().reshape(len(before), -1).all(1) for part in made.values()])
        self._unseen.append(_Step(number, t, tuple(made), sound, before))
        if len(self._unseen) >= self.every:
            self.look()

    def look(self) -> None:
        """Look at all steps that were noted since the last look.

        Raises:
            NumericalError: NaN or infinity: the first step with any, what in it came first, and the state before.
        """
        steps, self._unseen = self._unseen, []
        if not steps or _true(torch.stack([step.sound.all() for step in steps]).all()):
            return
        step = next(step for step in steps if not _true(step.sound.all()))
        which, sound = next(
            (name, row) for name, row in zip(step.names, step.sound.tolist(), strict=True) if not all(row)
        )
        raise NumericalError(
            f"{which} is not finite at step {step.number + 1} of {self.steps} (index {step.t}) in {sound.count(False)} "
            f"of {len(sound)} samples, the first being {sound.index(False)}: smaller weights of the loss, or a wider "
            "number format, may help",
            t=step.t,
            step=step.number,
            which=which,
            state=step.before,
        )


def _true(flag: Tensor) -> bool:
    """Wait for the device, and ask."""
    return bool(flag)
