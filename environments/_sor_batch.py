"""Iteration counts of many SOR solves on the five-point Laplacian (see `_sor` for the iteration).

x is never formed: the step ``delta`` of one iteration gives the residual after it, ``r = kappa delta + delta_right +
delta_below`` with ``kappa = (4 + c) (1 / omega - 1)``, and so the next step in the same sweep,

    delta <- (r + delta_above + delta_left) omega / (4 + c),

with the zeros of a frame around the grid for neighbours that are not there. That is half of the arithmetic. 32 systems
are swept side by side, a vector instruction for eight of them, and the next one takes the place of one that has
finished; the last few are finished one by one. Every system is computed on its own, so neither order nor company
changes a bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import inline, kernel
from bandits.protocol import FloatArray, IntArray

__all__ = ["SorBatch"]

SLOTS = 32  # systems side by side; a constant, so that the compiler knows how far apart neighbours lie
FEW = 6  # so many systems are faster one by one
NEVER = 2**62


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
    `sweep`, row (4, n SLOTS), slot (2, SLOTS), alone as in `finish`, place (4, SLOTS).
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
