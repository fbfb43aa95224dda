"""Guidance by the gradient of a penalty, as DiffTime does (Coletta et al., NeurIPS 2023): a baseline of CPS.

    z = z_p - rho grad_z P(zhat0(z_t)),     P(x) = dist(x, C)^2

where z_p is where the plain step leads. The gradient goes back through the network. Assumption: the form is from
memory; P is the penalty that CPS has here by default, so that arms differ in how it is used, not in what it is.

The constraints are only ever approached: the result breaks them, unless its last act is a projection
(``project_last``), which is the control that tells what guidance adds to a projection at the end.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bandits.neural.checks import yes_or_no
from bandits.neural.guidance import Restored, check_weights, guided
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule

from .constrained import begin, finish

__all__ = ["diff_time"]


def diff_time(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    rho: float = 0.1,
    project_last: bool = False,
    steps: int = 50,
    eta_d: float = 0.0,
    **sampler: Any,
) -> Restored:
    """Sample series that are drawn towards their constraints.

    Args:
        model: Noise model of series, differentiable.
        constraints: What should hold.
        noise: One stream per sample.
        schedule: Schedule of the model.
        rho: Weight of the gradient.
        project_last: Whether to project what comes out.
        steps: Steps of the sampler.
        eta_d: Share of fresh noise in each step.
        sampler: offset, cond, uncond, scale: see ``Diffusion``.
    """
    check_weights(rho=rho)
    yes_or_no("project_last", project_last)
    diffusion, z = begin(model, constraints, noise, schedule, steps=steps, eta_d=eta_d, **sampler)

    def loss(clean: Tensor) -> Tensor:
        nearest = constraints.project(clean.detach())  # the gradient of dist^2 is 2 (x - P_C(x))
        return rho * (clean - nearest).square().flatten(1).sum(1)

    z = guided(diffusion, z, loss)
    return finish(diffusion, constraints.project(z) if project_last else z)
