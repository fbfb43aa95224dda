"""What the samplers of inverse problems share: denoising, gradients, steps, and their bookkeeping.

A method is a plain function that builds a ``Diffusion``, says what it minimises, and plays one of two loops: ``guided``
subtracts a gradient from each step; ``play`` takes an update of the method's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..errors import BadParameter
from .checks import choice, finite, not_negative, probability, real
from .errors import ShapeError
from .faults import LOOK_EVERY, Watch
from .interfaces import Codec, EpsModel, LinearOp
from .noise import Noise
from .operators import check_adjoint, check_measurement
from .schedule import Schedule, ddim_step, tweedie

__all__ = [
    "Diffusion",
    "Distance",
    "Projection",
    "Restored",
    "check_weights",
    "distance",
    "guided",
    "play",
    "projector",
    "start",
]

Distance = Literal["norm", "sq"]
Projection = Literal["adjoint", "pinv"]
Loss = Callable[[Tensor], Tensor]  # of the clean estimate (B, ...): (B,)
Update = Callable[[Tensor, int, int], Tensor]  # (z, index, earlier index) -> earlier z


@dataclass(frozen=True)
class Restored:
    """What a method made of its measurements.

    Attributes:
        x: Data (B, ...).
        z: Latents (B, ...); the data itself for methods on pixels.
        forward: Evaluations of the network for one sample, as made.
        backward: Evaluations of the network for one sample that a gradient went back through, as made.
        flags: What else a reader must know, by name.
    """

    x: Tensor
    z: Tensor
    forward: int = 0
    backward: int = 0
    flags: dict[str, Any] = field(default_factory=dict)


class Diffusion:
    """A noise model, its schedule and the steps to play; counts the evaluations.

    Args:
        model: The network, or a closed form.
        schedule: Its noise schedule.
        noise: One stream per sample.
        steps: Number of steps.
        offset: First index of the schedule that is played.
        eta_d: Share of fresh noise in each step: 0 deterministic, 1 ancestral.
        cond: What the model is conditioned on.
        uncond: The empty condition; only needed where ``scale`` is not 1.
        scale: Weight of classifier-free guidance, ``eps_uncond + scale (eps_cond - eps_uncond)``. Other than 1 it needs
            both conditions: a model without conditions has nothing to guide.
    """

    def __init__(
        self,
        model: EpsModel,
        schedule: Schedule,
        noise: Noise,
        *,
        steps: int,
        offset: int = 0,
        eta_d: float = 0.0,
        cond: Any = None,
        uncond: Any = None,
        scale: float = 1.0,
    ) -> None:
        probability("eta_d", eta_d)
        real("scale", scale)
        if scale != 1 and (cond is None or uncond is None):
            lacking = "cond" if cond is None else "uncond"
            raise BadParameter(
                f"scale {scale!r} weighs a condition against the empty one, and {lacking} is not given: "
                "give cond and uncond, or scale=1 for a model without conditions"
            )
        self.model, self.schedule, self.noise, self.eta_d = model, schedule, noise, eta_d
        self.times = schedule.steps(steps, offset)
        self.cond, self.uncond, self.scale = cond, uncond, scale
        self.forward = self.backward = 0
        self.seen: dict[str, Tensor] = {}  # of this step, in the order in which a fault spreads

    def eps(self, z: Tensor, t: int) -> Tensor:
        """Noise that the model sees in z (B, ...) at index t."""
        eps = self._evaluate(z, t, self.cond)
        if self.scale != 1:
            empty = self._evaluate(z, t, self.uncond)
            eps = empty + self.scale * (eps - empty)
        self.seen["the model's noise"] = eps.detach()
        return eps

    def denoise(self, z: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """The model's noise at z, and the estimate of the clean sample that follows from it (Tweedie)."""
        eps = self.eps(z, t)
        return eps, tweedie(z, eps, self.schedule.alpha(t))

    def step(self, clean: Tensor, eps: Tensor, t: int, earlier: int) -> Tensor:
        """The DDIM step from t to the earlier index; carries no graph."""
        fresh = self.noise.normal(*clean.shape[1:]) if self.eta_d else None
        alpha, before = self.schedule.alpha(t), self.schedule.alpha(earlier)
        return ddim_step(clean.detach(), eps.detach(), alpha, before, self.eta_d, fresh)

    def gradient(self, losses: Tensor, z: Tensor) -> Tensor:
        """Gradient of each sample's loss (B,) with respect to its own z (B, ...)."""
        (gradient,) = torch.autograd.grad(losses.sum(), z)
        self.seen["the loss"], self.seen["the gradient"] = losses.detach(), gradient
        return gradient

    def invert(self, z: Tensor) -> Tensor:
        """From clean latents to the noisiest index, by deterministic steps with the noise seen before each step.

        Before the first step the model is asked at index 0, though the latents are cleaner than that.
        """
        with torch.no_grad():
            for later, t in reversed(self.times):
                alpha, eps = self.schedule.alpha(t), self.eps(z, max(t, 0))
                z = ddim_step(tweedie(z, eps, alpha), eps, alpha, self.schedule.alpha(later))
        return z

    def restored(self, codec: Codec, z: Tensor, **flags: Any) -> Restored:
        """Decode the last latents, and hand back what was counted."""
        with torch.no_grad():
            return Restored(codec.decode(z), z, self.forward, self.backward, flags)

    def _evaluate(self, z: Tensor, t: int, cond: Any) -> Tensor:
        eps = self.model.eps(z, torch.full((len(z),), t, dtype=torch.long, device=z.device), cond)
        self.forward += 1
        if eps.shape != z.shape:  # which arithmetic would broadcast
            raise ShapeError(f"the model gives noise of shape {tuple(eps.shape)} for samples of {tuple(z.shape)}")
        if eps.requires_grad:
            eps.register_hook(self._went_back)  # type: ignore[no-untyped-call]  # torch has no type for it
        return eps

    def _went_back(self, _: Tensor) -> None:
        self.backward += 1


def play(diffusion: Diffusion, z: Tensor, update: Update) -> Tensor:
    """Apply ``update(z, t, earlier)`` at each step, from noise to data.

    Raises:
        NumericalError: NaN or infinity; says at which step and where it came up first, and holds the last sound state.
    """
    watch = Watch(len(diffusion.times), every=1 if z.device.type == "cpu" else LOOK_EVERY)
    for number, (t, earlier) in enumerate(diffusion.times):
        diffusion.seen = {}
        try:
            new = update(z, t, earlier).detach()
        except Exception:
            watch.look()  # an earlier step may be why
            raise
        watch.note(number, t, {**diffusion.seen, "the state": new}, before=z)
        z = new
    watch.look()
    return z


def guided(
    diffusion: Diffusion, z: Tensor, loss: Loss, project: Callable[[Tensor, int], Tensor] | None = None
) -> Tensor:
    """The loop of DPS and its kin: take the unconditional step, subtract the gradient of the loss.

    The model's noise is evaluated once per step; the gradient goes back through it, with respect to z, and is
    subtracted from where the step leads.

    Args:
        diffusion: Model and steps.
        z: Where to start, (B, ...).
        loss: Of the estimated clean sample; its weights are the step sizes.
        project: Applied after each step, with the earlier index.
    """

    def update(z: Tensor, t: int, earlier: int) -> Tensor:
        z = z.detach().requires_grad_()
        eps, clean = diffusion.denoise(z, t)
        stepped = diffusion.step(clean, eps, t, earlier)
        stepped = stepped - diffusion.gradient(loss(clean), z)
        return project(stepped, earlier) if project else stepped

    return play(diffusion, z, update)


def start(codec: Codec, operator: LinearOp, y: Tensor, noise: Noise, init: Tensor | None = None) -> Tensor:
    """Check a measurement and draw the first latents.

    Args:
        codec: Says the shape of latents.
        operator: A, whose adjoint is tried out.
        y: Measurements (B, *out_shape).
        noise: One stream per sample.
        init: Latents to start from instead.

    Raises:
        ShapeError, RangeError: The measurement, or ``init``, does not fit the batch or is not finite.
        OperatorError: At is not the adjoint of A.
    """
    check_measurement(operator, y, len(noise))
    check_adjoint(operator, y)
    with torch.no_grad():
        shape = codec.encode(operator.At(y)).shape
    if init is None:
        return noise.normal(*shape[1:])
    if not isinstance(init, Tensor):
        raise BadParameter(f"init must be a tensor of latents, got {init!r}")
    if init.shape != shape:
        raise ShapeError(f"init has shape {tuple(init.shape)}, but latents of {len(y)} samples have {tuple(shape)}")
    finite("init", init)
    return init.clone()


def distance(kind: Distance) -> Loss:
    """Per-sample norm of a residual (B, ...): "norm" ``||r||``, whose gradient at 0 is 0, or "sq" ``||r||^2``: (B,)."""
    choice("loss", kind, get_args(Distance))
    if kind == "sq":
        return lambda residual: residual.square().flatten(1).sum(1)
    return lambda residual: (residual.square().flatten(1).sum(1) + 1e-12).sqrt()


def projector(operator: LinearOp, projection: Projection) -> Loss:
    """The map from measurements back to data: the adjoint, or the pseudo-inverse."""
    choice("projection", projection, get_args(Projection))
    return operator.At if projection == "adjoint" else operator.pinv


def check_weights(**weights: float) -> None:
    """Refuse weights that are negative or not finite.

    Raises:
        BadParameter: Names the weight.
    """
    for name, weight in weights.items():
        not_negative(name, weight)
