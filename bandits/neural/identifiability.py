"""How many directions of a latent space a measurement leaves open.

At latents z, a measurement sees a change v of them as ``J v`` with J the Jacobian of ``z -> A D(z)``; the directions
that it cannot see are the kernel of ``H = J^T J``, which for a linear decoder does not depend on z.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .interfaces import Codec, LinearOp

__all__ = ["describe", "null_dimension"]

EXACT_UP_TO = 64


def null_dimension(codec: Codec, operator: LinearOp, z: Tensor, *, iterations: int = 30) -> tuple[Tensor, bool]:
    """Dimension of the kernel of H at z (B, ...), for each sample.

    With up to 64 latent dimensions H is formed and its eigenvalues counted. Beyond, the share of the spectrum near 0 is
    estimated from one random vector by Lanczos' method (quadrature in the spectral measure): an estimate, which knows
    neither the exact dimension nor eigenvalues that are small but not 0.

    Args:
        codec: Decoder.
        operator: A.
        z: Latents at which the decoder is linearised.
        iterations: Of Lanczos' method; each costs a decoding and its first and second derivatives.

    Returns:
        Dimensions, int64 (B,), and whether they are exact.
    """

    @sdpa_kernel(SDPBackend.MATH)  # fused attention has no second derivative
    def H(v: Tensor) -> Tensor:
        where = z.detach().requires_grad_()
        out = operator.A(codec.decode(where))
        cotangent = torch.zeros_like(out, requires_grad=True)
        (pulled,) = torch.autograd.grad(out, where, cotangent, create_graph=True)  # J^T c, linear in c
        (Jv,) = torch.autograd.grad(pulled, cotangent, v.view_as(where), retain_graph=True)
        (HTv,) = torch.autograd.grad(out, where, Jv)
        return HTv.flatten(1)

    size = z[0].numel()
    precision = torch.finfo(z.dtype).eps
    if size <= EXACT_UP_TO:
        columns = [H(axis.expand(len(z), size)) for axis in torch.eye(size).to(z)]
        values = torch.linalg.eigvalsh(torch.stack(columns, -1))
        return (values <= 10 * size * precision * values[:, -1:]).sum(1), True
    values, shares = _lanczos(H, z.flatten(1), iterations)
    unseen = values <= 1e-4 * values[:, -1:]
    return (size * (shares * unseen).sum(1)).round().long(), False


def describe(dimensions: Tensor) -> str:
    """Say in words what a measurement leaves open."""
    low, high = int(dimensions.min()), int(dimensions.max())
    if high == 0:
        return "the measurement determines every latent direction"
    count = f"{low}" if low == high else f"{low} to {high}"
    return f"the measurement does not determine {count} latent direction{'s' if high > 1 else ''}"


def _lanczos(H: Callable[[Tensor], Tensor], like: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (B, k) of the spectral measure of H in a random direction, the same for all samples."""
    sign = torch.randint(0, 2, like.shape[1:], generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    v = (2 * sign - 1).to(like).expand_as(like)
    basis = [v / v.norm(dim=1, keepdim=True)]
    diagonal, beside = [], []
    for _ in range(min(iterations, like.shape[1])):
        w = H(basis[-1])
        diagonal.append((w * basis[-1]).sum(1))
        for _twice in range(2):  # full orthogonalisation, repeated against rounding
            for u in basis:
                w = w - (w * u).sum(1, keepdim=True) * u
        length = w.norm(dim=1, keepdim=True)
        alive = length > 1e3 * torch.finfo(like.dtype).eps * diagonal[0].abs().unsqueeze(1)
        length = length * alive
        beside.append(length.squeeze(1))
        basis.append(torch.where(alive, w / length.clamp(min=1e-30), 0))
    T = torch.diag_embed(torch.stack(diagonal, 1))
    off = torch.stack(beside[:-1], 1)
    T = T + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, vectors = torch.linalg.eigh(T)
    return values, vectors[:, 0].square()
