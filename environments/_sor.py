"""Successive over-relaxation (SOR) on the five-point Laplacian, for one system and for many at once.

The matrix is ``A = A_0 + c I`` with ``A_0`` the five-point Laplacian of an n x n interior grid, 4 on the diagonal and
-1 for neighbours, unknowns row by row. With D its diagonal and L its strictly lower part, one iteration is

    x <- x + (D / omega + L)^-1 r,    r = b - A x,    until |r| < tolerance |r_0|,

and its cost is the number of iterations. `sor` does just that. `count_iterations` never forms x: the step ``delta``
of one iteration gives the residual after it, ``r = kappa delta + delta_right + delta_below`` with ``kappa = (4 + c)
(1 / omega - 1)``, and so the next step in the same sweep,

    delta <- (r + delta_above + delta_left) omega / (4 + c),

with the zeros of a frame around the grid for neighbours that are not there. That is half of the arithmetic. It plays 16
systems side by side, a vector instruction for several of them, and puts the next one in the place of one that has
finished. Every system is computed on its own, so neither order nor company changes a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import inline, kernel
from bandits.protocol import FloatArray, IntArray

__all__ = ["SorBatch", "sor"]

SLOTS = 32  # systems side by side; a constant, so that the compiler knows how far apart neighbours lie
FEW = 6  # so many systems are faster one by one
NEVER = 2**62


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


@kernel
def sweep(
    delta: FloatArray, keep: FloatArray, step: FloatArray, squares: FloatArray, partial: FloatArray, norm: FloatArray
) -> None:
    """Replace the steps of all slots by the next ones; norm (SLOTS,) is the squared residual between the two.

    ``delta`` is (n + 2, (n + 2) SLOTS), the slot running fastest; ``keep`` is kappa and ``step`` omega / (4 + c), once
    for each point of a row; ``squares`` and ``partial`` are scratch of the same shape (n SLOTS,).
    """
    n = (delta.shape[0] - 2) * SLOTS
    for q in range(n):
        squares[q] = 0.0
    for i in range(1, delta.shape[0] - 1):
        line, above, below = delta[i], delta[i - 1, SLOTS:], delta[i + 1, SLOTS:]
        here, right = delta[i, SLOTS:], delta[i, 2 * SLOTS :]
        for q in range(n):
            residual = keep[q] * here[q] + right[q] + below[q]
            squares[q] += residual * residual
            partial[q] = residual + above[q]
        for q in range(SLOTS, n + SLOTS):
            line[q] = (partial[q - SLOTS] + line[q - SLOTS]) * step[q - SLOTS]
    for s in range(SLOTS):
        norm[s] = squares[s]
    for q in range(SLOTS, n, SLOTS):
        for s in range(SLOTS):
            norm[s] += squares[q + s]


@inline
def load(
    delta: FloatArray,
    keep: FloatArray,
    step: FloatArray,
    s: int,
    rhs: FloatArray,
    b: int,
    diagonal: float,
    omega: float,
) -> float:
    """Put a system into slot s with its first step, from x = 0; the squared norm of the right-hand side."""
    n = delta.shape[0] - 2
    total = 0.0
    for i in range(n):
        for j in range(n):
            r = rhs[i * n + j, b]
            total += r * r
            near = delta[i, (j + 1) * SLOTS + s] + delta[i + 1, j * SLOTS + s]
            delta[i + 1, (j + 1) * SLOTS + s] = (r + near) * (omega / diagonal)
    for j in range(n):
        keep[j * SLOTS + s] = diagonal * (1.0 / omega - 1.0)
        step[j * SLOTS + s] = omega / diagonal
    return total


@kernel
def finish(
    delta: FloatArray, s: int, keep: float, step: float, target: float, done: int, last: int, alone: FloatArray
) -> tuple[int, bool]:
    """Go on with slot s alone, to the same bits as `sweep`: iterations, and whether the target was reached by ``last``.

    ``alone`` (n + 3, n + 2) is scratch; its last row gathers the squares.
    """
    n = alone.shape[1] - 2
    squares = alone[n + 2]
    for i in range(n + 2):
        for j in range(n + 2):
            alone[i, j] = delta[i, j * SLOTS + s]
    while True:
        squares[:] = 0.0
        for i in range(1, n + 1):
            left = 0.0
            for j in range(1, n + 1):
                residual = keep * alone[i, j] + alone[i, j + 1] + alone[i + 1, j]
                squares[j] += residual * residual
                left = (residual + alone[i - 1, j] + left) * step
                alone[i, j] = left
        norm = squares[1]
        for j in range(2, n + 1):
            norm += squares[j]
        done += 1
        if norm < target or done >= last:
            return done, norm < target


@kernel
def count_iterations(
    rhs: FloatArray,
    diagonal: FloatArray,
    omega: FloatArray,
    tolerance: float,
    cap: int,
    best_only: bool,
    count: IntArray,
    solved: IntArray,
    least: IntArray,
    delta: FloatArray,
    row: FloatArray,
    slot: FloatArray,
    alone: FloatArray,
    place: IntArray,
) -> None:
    """Iterations from x = 0 of every system: omega (K, B) on rhs (n n, B) with ``4 + c`` = diagonal (B,).

    ``count`` and ``solved`` receive (K, B), ``least`` (B,) the least count of a lane. One that is not solved by the cap
    has the cap for its count, and ``solved`` 0. With ``best_only``, a system may be given up once it has taken more
    iterations than another of its lane: its count is then some number above the least. Scratch: delta as in
    `sweep`, row (4, n SLOTS), slot (2, SLOTS), place (4, SLOTS).
    """
    n_omegas, size = omega.shape
    keep, step, squares, partial = row[0], row[1], row[2], row[3]
    norm, target = slot[0], slot[1]
    lane, arm, done, last = place[0], place[1], place[2], place[3]
    delta[:] = 0.0
    row[:] = 0.0
    arm[:] = -1
    least[:] = cap
    waiting, active = 0, 0
    while True:
        for s in range(SLOTS):
            if arm[s] < 0 and waiting < n_omegas * size:
                b, k = waiting // n_omegas, waiting % n_omegas
                target[s] = tolerance * tolerance * load(delta, keep, step, s, rhs, b, diagonal[b], omega[k, b])
                lane[s], arm[s], done[s] = b, k, 0
                last[s] = least[b] if best_only else cap
                waiting += 1
                active += 1
            elif arm[s] < 0:
                target[s], lane[s], done[s], last[s] = -1.0, -1, 0, NEVER
        if active <= FEW:
            break
        over = 0
        while over == 0:
            sweep(delta, keep, step, squares, partial, norm)
            for s in range(SLOTS):
                done[s] += 1
                over += (norm[s] < target[s]) | (done[s] >= last[s])
        for s in range(SLOTS):
            finished = norm[s] < target[s]
            if finished or done[s] >= last[s]:
                b, k = lane[s], arm[s]
                count[k, b], solved[k, b] = done[s] + (1 - finished) * best_only, finished
                arm[s] = -1
                active -= 1
                for q in range(s, step.size, SLOTS):
                    keep[q], step[q] = 0.0, 0.0
                if finished and done[s] < least[b]:
                    least[b] = done[s]
                    if best_only:
                        for other in range(SLOTS):
                            last[other] = done[s] if lane[other] == b else last[other]
    for s in range(SLOTS):
        if arm[s] >= 0:
            b, k = lane[s], arm[s]
            most = least[b] if best_only else cap
            taken, finished = finish(delta, s, keep[s], step[s], target[s], done[s], most, alone)
            count[k, b], solved[k, b] = taken + (1 - finished) * best_only, finished
            if finished and taken < least[b]:
                least[b] = taken


class SorBatch:
    """SOR on an n x n grid for B systems at a time.

    Args:
        points: Grid points n on a side.
        tolerance: Norm of the residual at which to stop, in units of the first one.
        cap: Most iterations.
    """

    def __init__(self, points: int, tolerance: float, cap: int) -> None:
        self.points, self.tolerance, self.cap = points, tolerance, cap
        self._scratch = (
            _aligned(points + 2, (points + 2) * SLOTS),
            _aligned(4, points * SLOTS),
            _aligned(2, SLOTS),
            np.empty((points + 3, points + 2)),
            np.empty((4, SLOTS), dtype=np.int64),
        )

    def count(self, rhs: FloatArray, diagonal: FloatArray, omega: FloatArray) -> tuple[IntArray, IntArray]:
        """Iterations of each system, and 1 where it was solved within the cap, else 0: int64 (K, B).

        Args:
            rhs: Right-hand sides, shape (n n, B).
            diagonal: ``4 + c`` of each lane, shape (B,).
            omega: Relaxation parameters, shape (K, B).
        """
        count, solved, _ = self._run(rhs, diagonal, omega, False)
        return count, solved

    def best(self, rhs: FloatArray, diagonal: FloatArray, omega: FloatArray) -> tuple[IntArray, IntArray]:
        """Least count of each lane, and the lowest row of omega that attains it: int64 (B,)."""
        count, _, least = self._run(rhs, diagonal, omega, True)
        return least, count.argmin(axis=0)

    def _run(self, rhs: FloatArray, diagonal: FloatArray, omega: FloatArray, best_only: bool) -> Any:
        count, solved = np.empty(omega.shape, dtype=np.int64), np.empty(omega.shape, dtype=np.int64)
        least = np.empty(diagonal.size, dtype=np.int64)
        count_iterations(
            rhs, diagonal, omega, self.tolerance, self.cap, best_only, count, solved, least, *self._scratch
        )
        return count, solved, least


def _aligned(rows: int, columns: int) -> FloatArray:
    """Room for a table whose rows, a multiple of 8 numbers, begin where a vector of 8 does: half as fast elsewhere."""
    room = np.empty(rows * columns + 8)
    skip = -room.ctypes.data % 64 // 8
    return room[skip : skip + rows * columns].reshape(rows, columns)
