"""Closed forms for SOR on the shifted five-point Laplacian ``A_0 + c I`` of an n x n grid.

The matrix is consistently ordered with the Jacobi radius ``beta``, and Young's theory gives the spectral radius of SOR
for every omega, and the omega that minimises it.

References:
    [1] Young, "Iterative Solution of Large Linear Systems", Academic Press (1971), Chapter 6.
    [2] Khodak, Chow, Balcan and Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear
        System Instances", ICLR 2024.
"""

from __future__ import annotations

import numpy as np

from bandits.protocol import FloatArray

__all__ = ["best_omega", "iteration_bound", "jacobi_radius", "sor_radius"]


def jacobi_radius(shift: FloatArray | float, points: int = 10) -> FloatArray:
    """Spectral radius of Jacobi's iteration, ``4 cos(pi / (n + 1)) / (4 + shift)``: the shape of ``shift``."""
    return np.asarray(4.0 * np.cos(np.pi / (points + 1)) / (4.0 + np.asarray(shift, dtype=np.float64)))


def best_omega(beta: FloatArray) -> FloatArray:
    """Young's ``1 + (beta / (1 + sqrt(1 - beta^2)))^2``, for a Jacobi radius below 1 [1]."""
    ratio = beta / (1.0 + np.sqrt(1.0 - beta * beta))
    return np.asarray(1.0 + ratio * ratio)


def sor_radius(omega: FloatArray | float, beta: FloatArray | float) -> FloatArray:
    """Spectral radius of SOR from Young's theory [1].

    It is omega - 1 from `best_omega` on, and ``((omega beta + sqrt(omega^2 beta^2 - 4 (omega - 1))) / 2)^2`` below.
    """
    omega, beta = np.asarray(omega, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    product = omega * beta
    root = (product + np.sqrt(np.maximum(product * product - 4.0 * (omega - 1.0), 0.0))) / 2.0
    return np.where(omega < best_omega(beta), root * root, omega - 1.0)


def iteration_bound(
    omega: FloatArray | float, beta: FloatArray | float, tolerance: float = 1e-8, tau: float = 0.0
) -> FloatArray:
    """Near-asymptotic bound on the iterations, ``1 + log(tolerance) / log(rho + tau (1 - rho))`` [2].

    Here rho is `sor_radius`, and tau in [0, 1) says how far the iteration is from its asymptotic regime.
    """
    rho = sor_radius(omega, beta)
    return np.asarray(1.0 + np.log(tolerance) / np.log(rho + tau * (1.0 - rho)))
