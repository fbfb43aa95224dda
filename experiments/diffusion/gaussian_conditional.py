"""The exact conditional law of a Gaussian prior under linear constraints: what CPS approximates, as a control.

Only where the prior is Gaussian and the constraints are linear. Equalities condition the Gaussian; inequalities
truncate what is left, and are kept by a Markov chain whose law is exact (`bandits.neural.truncated_gaussian`). A
measure on which a method beats this control, such as the distance to one reference, rewards something else than
sampling, or punishes the prior.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from bandits.errors import BadParameter
from bandits.neural.analytic import GaussianEps
from bandits.neural.checks import at_least
from bandits.neural.errors import InfeasibleError
from bandits.neural.guidance import Restored
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule
from bandits.neural.truncated_gaussian import bounce
from bandits.protocol import FloatArray

__all__ = ["gaussian_conditional"]

_NO_WALL = 1e-9  # norm of a row below which equalities alone decide it


def gaussian_conditional(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    trajectories: int = 50,
    **sampler: Any,
) -> Restored:
    """Draw from the prior given the constraints: float64, (B, *shape).

    Args:
        model: Must be a ``GaussianEps``; its law is used, and no noise is predicted.
        constraints: Linear ones.
        noise: One stream per sample.
        schedule: Not used.
        trajectories: Quarter periods of the chain from the middle of the constraints on.
        sampler: Not used.

    Raises:
        BadParameter: The model is not Gaussian, or a constraint is not linear.
    """
    if not isinstance(model, GaussianEps) or constraints.program is not None:
        raise BadParameter("the exact conditional law is only known for a Gaussian prior and linear constraints")
    at_least("trajectories", trajectories, 1)
    constraints.require_batch(len(noise))
    constraints.require_feasible()
    draws = noise.normal(trajectories, constraints.size).double().cpu().numpy()
    mean, covariance = (part[0].double().cpu().numpy() for part in (model.law.means, model.law.covariances))
    rows, bounds = constraints.rows.cpu().numpy(), constraints.bounds.cpu().numpy()
    equal, root = constraints.equal.cpu().numpy(), np.linalg.cholesky(covariance)
    x = np.empty((len(noise), constraints.size))
    for lane in range(len(noise)):
        a, b = (part[lane if len(part) > 1 else 0] for part in (rows, bounds))
        x[lane] = _draw(mean, root, (a[equal], b[equal]), (a[~equal], b[~equal]), draws[lane])
    found: Tensor = torch.from_numpy(x).reshape(-1, *constraints.shape).to(constraints.device)
    return Restored(found, found)


def _draw(
    mean: FloatArray,
    root: FloatArray,
    equalities: tuple[FloatArray, FloatArray],
    inequalities: tuple[FloatArray, FloatArray],
    draws: FloatArray,
) -> FloatArray:
    """One draw; ``mean + root @ (start + z)`` with z standard normal within the null space of the equalities."""
    rows = equalities[0] @ root
    inverse = np.linalg.pinv(rows, rcond=1e-10)
    within = np.eye(len(mean)) - inverse @ rows
    start = inverse @ (equalities[1] - equalities[0] @ mean)
    walls = inequalities[0] @ root @ within
    bounds = inequalities[1] - inequalities[0] @ (mean + root @ start)
    real = np.linalg.norm(walls, axis=1) > _NO_WALL
    walls, bounds = walls[real], bounds[real]
    z = within @ _middle(walls, bounds)
    bounce(np.ascontiguousarray(walls), bounds, z, np.ascontiguousarray(draws @ within))
    point: FloatArray = mean + root @ (start + z)
    return point


def _middle(walls: FloatArray, bounds: FloatArray) -> FloatArray:
    """Centre of a largest ball within the walls, of radius 1 at most."""
    n = walls.shape[1]
    if not len(walls):
        return np.zeros(n)
    norms = np.linalg.norm(walls, axis=1, keepdims=True)
    limits = [(None, None)] * n + [(0, 1)]
    answer = linprog([0.0] * n + [-1.0], np.hstack([walls, norms]), bounds, bounds=limits, method="highs")
    if answer.status != 0 or answer.x[-1] <= 0:
        raise InfeasibleError("the constraints leave no room: the conditional law has no density to draw from")
    middle: FloatArray = answer.x[:n]
    return middle
