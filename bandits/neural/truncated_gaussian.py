"""Exact draws of a Gaussian within linear constraints, as Hamiltonian Monte Carlo that bounces off the walls.

In coordinates where the Gaussian is standard, a particle at z with velocity v moves along ``z cos t + v sin t``, which
keeps its law without any step size; where it meets a wall ``f . z = g`` its velocity is reflected. After a quarter
period the velocity is drawn anew. The chain has the truncated Gaussian as its law, whatever the number of walls.

References:
    [1] Pakman and Paninski, "Exact Hamiltonian Monte Carlo for truncated multivariate Gaussians", JCGS 23 (2014).
"""

from __future__ import annotations

import math

import numpy as np

from ..kernels import kernel
from ..protocol import FloatArray

__all__ = ["bounce"]

_MOST_BOUNCES = 20_000  # of one quarter period


def bounce(walls: FloatArray, bounds: FloatArray, z: FloatArray, velocities: FloatArray) -> int:
    """Move one particle for several quarter periods, in place.

    Args:
        walls: Rows f, (m, n), none of them zero.
        bounds: g, (m,): the particle stays where ``walls @ z <= bounds``.
        z: Where it is, (n,), within the walls; the end of the last quarter period on return.
        velocities: Standard normal draws, (K, n): one velocity for each quarter period.

    Returns:
        Number of bounces.

    Raises:
        ArithmeticError: The particle is caught in a corner.
    """
    bounces = _move(walls, bounds, walls @ walls.T, z, velocities, math.pi / 2, 2 * math.pi, _MOST_BOUNCES)
    if bounces < 0:
        raise ArithmeticError("a particle is caught in a corner: the constraints leave no room")
    return int(bounces)


@kernel
def _move(
    walls: FloatArray,
    bounds: FloatArray,
    products: FloatArray,
    z: FloatArray,
    velocities: FloatArray,
    quarter: float,
    period: float,
    most: int,
) -> int:
    m, n = walls.shape
    along, across = np.empty(m), np.empty(m)  # f . z and f . v
    total = 0
    for k in range(velocities.shape[0]):
        v = velocities[k].copy()
        for j in range(m):
            along[j] = 0.0
            across[j] = 0.0
            for i in range(n):
                along[j] += walls[j, i] * z[i]
                across[j] += walls[j, i] * v[i]
        left = quarter
        for number in range(most + 1):
            if number == most:
                return -1
            first, hit = left, -1
            for j in range(m):
                if across[j] > 0.0 and along[j] >= bounds[j]:  # on the wall, by rounding perhaps beyond it
                    time = 0.0
                else:
                    reach = np.sqrt(along[j] * along[j] + across[j] * across[j])
                    if reach <= abs(bounds[j]) or reach == 0.0:
                        continue
                    time = np.arctan2(across[j], along[j]) - np.arccos(bounds[j] / reach)
                    if time < 0.0:
                        time += period
                if time < first:
                    first, hit = time, j
            c, s = np.cos(first), np.sin(first)
            for i in range(n):
                z[i], v[i] = z[i] * c + v[i] * s, v[i] * c - z[i] * s
            for j in range(m):
                along[j], across[j] = along[j] * c + across[j] * s, across[j] * c - along[j] * s
            if hit < 0:
                break
            left -= first
            twice = 2.0 * across[hit] / products[hit, hit]
            for i in range(n):
                v[i] -= twice * walls[hit, i]
            for j in range(m):
                across[j] -= twice * products[hit, j]
            total += 1
    return total
