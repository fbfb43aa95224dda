"""Successive over-relaxation (SOR) on the five-point Laplacian, as textbooks have it.

The matrix is ``A = A_0 + c I`` with ``A_0`` the five-point Laplacian of an n x n interior grid, 4 on the diagonal and
-1 for neighbours, unknowns row by row. With D its diagonal and L its strictly lower part, one iteration is

    x <- x + (D / omega + L)^-1 r,    r = b - A x,    until |r| < tolerance |r_0|,

and its cost is the number of iterations. `sor` does just that, for one system;
`_sor_batch` counts the iterations of many.
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import kernel
from bandits.protocol import FloatArray

__all__ = ["check_definite", "check_solver", "sor"]


def sor(
    rhs: FloatArray,
    shift: float,
    omega: float,
    *,
    start: FloatArray | None = None,
    tolerance: float = 1e-8,
    cap: int = 10_000,
) -> tuple[FloatArray, int, bool]:
    """Solve ``(A_0 + shift I) x = rhs`` by the textbook iteration.

    Args:
        rhs: Right-hand side on the grid, shape (n, n).
        shift: c; the matrix must be positive definite.
        omega: Relaxation parameter in (0, 2).
        start: First guess, shape (n, n); zeros by default.
        tolerance: Norm of the residual at which to stop, in units of the first one.
        cap: Most iterations.

    Returns:
        x of shape (n, n), the number of iterations, and whether the tolerance was reached.

    Raises:
        ValueError: A shape or a range is wrong, or the matrix is singular or indefinite.
    """
    rhs = np.ascontiguousarray(rhs, dtype=np.float64)
    if rhs.ndim != 2 or rhs.shape[0] != rhs.shape[1] or rhs.size == 0:
        raise ValueError(f"rhs has shape {rhs.shape}, expected (n, n) with n at least 1: one number per grid point")
    if start is not None and np.shape(start) != rhs.shape:
        raise ValueError(f"start has shape {np.shape(start)}, expected {rhs.shape}, that of rhs")
    if not np.isfinite(rhs).all() or not (start is None or np.isfinite(start).all()):
        raise ValueError("rhs and start must be finite numbers")
    check_solver([omega], tolerance, cap)
    check_definite(shift, rhs.shape[0])
    x = np.zeros(np.add(rhs.shape, 2))
    if start is not None:
        x[1:-1, 1:-1] = start
    iterations, solved = _sor(rhs, x, 4.0 + shift, omega, tolerance, cap, np.empty_like(x))
    return x[1:-1, 1:-1].copy(), int(iterations), bool(solved)


def check_solver(omegas: list[float] | FloatArray, tolerance: float, cap: int) -> None:
    """Refuse relaxation parameters, tolerances and caps that make no solver."""
    for omega in omegas:
        if not 0.0 < omega < 2.0:
            raise ValueError(f"omega must lie in (0, 2), got {omega:g}: SOR diverges elsewhere")
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must lie in (0, 1), got {tolerance:g}")
    if not 1 <= cap <= 10**9:
        raise ValueError(f"cap must lie in 1..10^9, got {cap}")


def check_definite(shift: float, points: int) -> None:
    """Refuse a matrix that is singular or indefinite: its least eigenvalue is ``shift + 4 - 4 cos(pi / (n + 1))``."""
    least = 4.0 - 4.0 * float(np.cos(np.pi / (points + 1)))
    if not shift + least > 1e-12:
        raise ValueError(
            f"the shift {shift:g} makes the {points} x {points} system singular or indefinite: "
            f"it must be greater than {-least:.6g}"
        )


@kernel
def _sor(
    rhs: FloatArray, x: FloatArray, diagonal: float, omega: float, tolerance: float, cap: int, residual: FloatArray
) -> tuple[int, bool]:
    """Iterate on x, framed by zeros, (n + 2, n + 2); residual likewise, scratch."""
    n = rhs.shape[0]
    residual[:] = 0.0
    first = 0.0
    iterations = -1
    while True:
        total = 0.0
        for i in range(1, n + 1):
            for j in range(1, n + 1):
                near = x[i - 1, j] + x[i + 1, j] + x[i, j - 1] + x[i, j + 1]
                r = rhs[i - 1, j - 1] - (diagonal * x[i, j] - near)
                residual[i, j] = r
                total += r * r
        iterations += 1
        if iterations == 0:
            first = total
            if first == 0.0:
                return 0, True
        elif np.sqrt(total) / np.sqrt(first) < tolerance:
            return iterations, True
        if iterations == cap:
            return iterations, False
        for i in range(1, n + 1):  # forward substitution turns the residual into the step
            for j in range(1, n + 1):
                residual[i, j] = (residual[i, j] + residual[i - 1, j] + residual[i, j - 1]) * (omega / diagonal)
                x[i, j] += residual[i, j]
