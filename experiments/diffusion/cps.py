"""CPS: constrained posterior sampling (Narasimhan et al., "Constrained posterior sampling", NeurIPS 2025).

Each step of a DDIM sampler moves the estimate of the clean series towards the constraints before it is noised again:

    e    = eps(z, t);   zhat0 = E[z_0 | z_t]                           (Tweedie)
    w    = argmin_w  1/2 |w - zhat0|^2 + gamma(t)/2 P(w)                (gamma infinite: projection)
    z    = sqrt(alpha_p) w + sqrt(1 - alpha_p - sig^2) e + sig xi       (e of the unprojected z)

The skeleton is the paper's: gamma grows from small values to infinity as noise vanishes, a convex solver, no training.
Assumptions, for the paper's text was not at hand: the weights ``exp`` and ``linear_k`` and the penalty ``hinge`` are
written down from memory, and ``sq_dist``, the squared distance to the set, is ours, since its minimiser is
``(zhat0 + gamma P_C(zhat0)) / (1 + gamma)`` for every convex set. The last step always projects, so that what comes out
satisfies the constraints whatever the weights are.

``hard`` (projection at every step) and ``final_only`` (projection of an unconstrained sample) are the baselines that
differ from CPS by gamma alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from bandits.neural.checks import choice, positive
from bandits.neural.guidance import Diffusion, Restored, play
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import HARD, Constraints, Penalty
from bandits.neural.schedule import Schedule

from .constrained import begin, finish

__all__ = ["GammaSchedule", "cps", "gamma_weights", "penalised_steps"]

GammaSchedule: TypeAlias = Literal["exp", "linear_k", "hard", "final_only"]


def cps(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    gamma_schedule: GammaSchedule = "exp",
    penalty: Penalty = "sq_dist",
    k: float = 1.0,
    steps: int = 50,
    eta_d: float = 0.0,
    **sampler: Any,
) -> Restored:
    """Sample series that satisfy their constraints: float64, (B, *shape).

    Args:
        model: Noise model of series.
        constraints: What must hold, the same for all samples or each its own.
        noise: One stream per sample.
        schedule: Schedule of the model.
        gamma_schedule: Weight of the penalty at each step, see `gamma_weights`.
        penalty: See ``Constraints.penalised``.
        k: Slope of ``linear_k``.
        steps: Steps of the sampler.
        eta_d: Share of fresh noise in each step: 0 deterministic, 1 ancestral.
        sampler: offset, cond, uncond, scale: see ``Diffusion``.

    Raises:
        InfeasibleError: No series satisfies the constraints of some sample; found before the first step.
    """
    choice("penalty", penalty, get_args(Penalty))
    diffusion, z = begin(model, constraints, noise, schedule, steps=steps, eta_d=eta_d, **sampler)
    weights = gamma_weights(gamma_schedule, schedule, diffusion.times, k)
    z = penalised_steps(diffusion, constraints, z, weights, penalty)
    if schedule.final_alpha != 1:
        z = constraints.project(z)
    return finish(diffusion, z)


def gamma_weights(
    name: GammaSchedule, schedule: Schedule, times: Sequence[tuple[int, int]], k: float = 1.0, cap: float = HARD
) -> list[float]:
    """Weight of the penalty at each step (index, earlier index); infinite from ``cap`` on, and at the last step.

    - ``exp``: ``exp(1 / (1 - alpha))`` with the alpha that the step leads to.
    - ``linear_k``: ``2 k j`` at the j-th step, counted from 1; with all T indices of a schedule, ``2 k (T - t + 1)``.
    - ``hard``: infinite. ``final_only``: 0 before the last step.
    """
    positive("k", k)
    choice("gamma_schedule", name, get_args(GammaSchedule))
    if name == "exp":
        left = [1 - schedule.alpha(earlier) for _, earlier in times]
        weights = [math.exp(1 / rest) if rest > 1 / math.log(cap) else math.inf for rest in left]
    elif name == "linear_k":
        weights = [2 * k * (j + 1) for j in range(len(times))]
    else:
        weights = [math.inf if name == "hard" else 0.0] * len(times)
    return [math.inf if weight >= cap else weight for weight in weights[:-1]] + [math.inf]


def penalised_steps(
    diffusion: Diffusion, constraints: Constraints, z: Tensor, weights: Sequence[float], penalty: Penalty
) -> Tensor:
    """The loop of CPS, with one weight for each step."""
    gamma = dict(zip(diffusion.times, weights, strict=True))

    def update(z: Tensor, t: int, earlier: int) -> Tensor:
        e, clean = diffusion.denoise(z, t)
        w = constraints.penalised(clean, gamma[t, earlier], penalty)
        return diffusion.step(w, e, t, earlier)

    with torch.no_grad():
        return play(diffusion, z, update)
