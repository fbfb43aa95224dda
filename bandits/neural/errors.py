"""What can be wrong with a neural experiment, by name.

BanditsError
├── BadParameter
│   ├── ShapeError, RangeError      a tensor of the wrong shape, or beyond its range
│   ├── ScheduleError               a noise schedule or a number of steps that cannot be
│   ├── ConstraintError             a constraint that is not convex, or not understood
│   ├── InfeasibleError             constraints that no point satisfies together
│   ├── TokenError, FeatureError    tokens or features that a model cannot use
│   ├── AdapterError                a pre-trained model that cannot be wired as asked
│   └── WeightsNotFound             no such folder of weights; nothing is ever downloaded unasked
└── PlayError
    ├── OperatorError               an operator whose adjoint is not its adjoint
    ├── NumericalError              NaN or infinity in a network, a loss or a gradient
    └── ProjectionError             no solver brought a sample into its constraints
"""

from __future__ import annotations

from typing import Any

from ..errors import BadParameter, PlayError

__all__ = [
    "AdapterError",
    "ConstraintError",
    "FeatureError",
    "InfeasibleError",
    "NumericalError",
    "OperatorError",
    "ProjectionError",
    "RangeError",
    "ScheduleError",
    "ShapeError",
    "TokenError",
    "WeightsNotFound",
]


class ShapeError(BadParameter):
    """A tensor has the wrong shape."""


class RangeError(BadParameter):
    """A tensor holds values beyond its range."""


class ScheduleError(BadParameter):
    """A noise schedule, or a number of steps, that cannot be."""


class ConstraintError(BadParameter):
    """A constraint that is not convex, or not understood."""


class InfeasibleError(BadParameter):
    """Constraints that no point satisfies together."""


class TokenError(BadParameter):
    """Tokens that a model cannot use."""


class FeatureError(BadParameter):
    """Features that are not defined for the data."""


class AdapterError(BadParameter):
    """A pre-trained model that cannot be wired as asked."""


class WeightsNotFound(BadParameter):
    """No folder of weights at the place named."""


class ProjectionError(PlayError):
    """No solver brought a sample into its constraints; a sample that breaks them is never returned instead."""


class OperatorError(PlayError):
    """The adjoint of an operator is not its adjoint."""


class NumericalError(PlayError):
    """NaN or infinity in a network, a loss or a gradient.

    Attributes:
        t: Index of the schedule, or round.
        step: Number of the step, from 0.
        which: What was not finite first.
        state: The last state that was, for diagnosis.
    """

    def __init__(
        self, message: str, *, t: int | None = None, step: int | None = None, which: str = "", state: Any = None
    ) -> None:
        super().__init__(message, t=t)
        self.step, self.which, self.state = step, which, state
