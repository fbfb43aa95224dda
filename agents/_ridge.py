"""Ridge regressions, M of them in every lane, kept up to date observation by observation.

Each model has seen features x with rewards r and weights w, and holds

    gram    = ridge I + sum w x x'        inverse = gram^-1
    moment  = sum w r x                   theta   = inverse moment
    log_det = log(det(gram) / ridge^d)

An observation changes the inverse by the formula of Sherman and Morrison; every 1000 rounds inverse, theta and log_det
are computed afresh from gram and moment, by Cholesky's factorisation, so that rounding errors do not pile up.

Matrices are packed as in `_packed`: n = d (d + 1) / 2 numbers each.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.arrays import empty, zeros
from bandits.protocol import FloatArray, IntArray

from ._packed import (
    add_observation,
    add_scaled,
    cholesky,
    invert_factor,
    log_determinant,
    multiply,
    put,
    sherman_morrison,
    solve_lower,
    solve_upper,
    take,
    write_squares,
)

__all__ = ["Posterior", "Ridge"]

REFRESH = 1000  # rounds between factorisations


class Ridge:
    """M ridge regressions in each of B lanes.

    Args:
        n_models: M.
        n_features: d.
        size: B.
        ridge: Lambda, positive: the prior's weight.

    Attributes:
        gram, inverse: Packed lower triangles, shape (M, n, B).
        moment, theta: Shape (d, M, B).
        log_det: ``log(det(gram) / ridge^d)``, shape (M, B).
    """

    def __init__(self, n_models: int, n_features: int, size: int, ridge: float) -> None:
        self.ridge, self.d = checked_ridge(ridge), n_features
        n = n_features * (n_features + 1) // 2
        diagonal = [i * (i + 1) // 2 + i for i in range(n_features)]
        self.gram, self.inverse = zeros((n_models, n, size)), zeros((n_models, n, size))
        self.gram[:, diagonal], self.inverse[:, diagonal] = ridge, 1.0 / ridge
        self.moment, self.theta = zeros((n_features, n_models, size)), zeros((n_features, n_models, size))
        self.log_det = zeros((n_models, size))
        self._u, self._row, self._residual = empty((n_features, size)), empty(size), empty(size)
        self._taken = [empty((table.shape[0], size)) for table in self._tables] if n_models > 1 else []

    @property
    def _tables(self) -> list[FloatArray]:
        """State as (n, M, B), in the order in which `add` and `absorb` need it."""
        return [self.gram.swapaxes(0, 1), self.moment, self.inverse.swapaxes(0, 1), self.theta, self.log_det[None]]

    def absorb(self, model: IntArray, x: FloatArray, reward: FloatArray, weight: FloatArray) -> None:
        """Absorb one observation in the model of each lane: x is (d, B), the rest is (B,)."""
        gram, moment, inverse, theta, log_det = self._take(5, model)
        add_observation(gram, moment, x, reward, weight)
        multiply(inverse, x, self._u)
        sherman_morrison(inverse, theta, log_det[0], x, self._u, reward, weight, self._row, self._residual)
        self._put(5, model)

    def _take(self, count: int, model: IntArray) -> list[FloatArray]:
        """State of each lane's model, the first ``count`` tables: a view where there is one model, else a copy."""
        if self.log_det.shape[0] == 1:
            return [table[:, 0] for table in self._tables[:count]]
        for table, taken in zip(self._tables[:count], self._taken, strict=False):
            take(table, model, taken)
        return self._taken[:count]

    def _put(self, count: int, model: IntArray) -> None:
        for table, taken in zip(self._tables[:count], self._taken, strict=False):
            put(taken, model, table)

    def refresh(self, t: int) -> None:
        """Every 1000 rounds, compute inverse, theta and log_det from gram and moment."""
        if t % REFRESH:
            return
        lower = empty(self.gram[0].shape)
        for m, gram in enumerate(self.gram):
            cholesky(gram, self.d, self.ridge, lower)
            theta = self.moment[:, m].copy()
            solve_lower(lower, theta)
            solve_upper(lower, theta)
            self.theta[:, m] = theta
            log_determinant(lower, self.d, self.ridge, self.log_det[m])
            invert_factor(lower, self.d, self.inverse[m])

    def squares(self, x: FloatArray, out: FloatArray) -> None:
        """Write ``x' inverse x`` for every arm: x is (d, K, B) or (d, 1, B), out (K, B)."""
        write_squares(self.inverse, x, self._row, out)


class Posterior(Ridge):
    """Ridge regressions with the Cholesky factors of their grams, to draw parameters from N(theta, v^2 gram^-1).

    Attributes:
        lower: Factors, ``lower lower' = gram``, shape (M, n, B).
    """

    def __init__(self, n_models: int, n_features: int, size: int, ridge: float) -> None:
        super().__init__(n_models, n_features, size, ridge)
        self.lower = np.sqrt(self.gram)
        self._factor = empty(self.gram[0].shape)

    def add(self, model: IntArray, x: FloatArray, reward: FloatArray, weight: FloatArray) -> None:
        """Add one observation to gram and moment alone, in the model of each lane: x is (d, B), the rest (B,)."""
        gram, moment = self._take(2, model)
        add_observation(gram, moment, x, reward, weight)
        self._put(2, model)

    def factorise(self, model: IntArray) -> None:
        """Renew the factor of the model of each lane from its gram."""
        (gram,) = self._take(1, model)
        if len(self.lower) == 1:
            cholesky(gram, self.d, self.ridge, self.lower[0])
            return
        cholesky(gram, self.d, self.ridge, self._factor)
        put(self._factor, model, self.lower.swapaxes(0, 1))

    def draw(self, v: float, normals: FloatArray, out: FloatArray) -> None:
        """Draw every model's parameter, ``lower'^-1 (lower^-1 moment + v z)``: normals are (M d, B), out (d, M, B)."""
        for m, z in enumerate(normals.reshape(-1, self.d, normals.shape[1])):
            sample = self.moment[:, m].copy()
            solve_lower(self.lower[m], sample)
            add_scaled(z, v, sample)
            solve_upper(self.lower[m], sample)
            out[:, m] = sample


def checked_ridge(ridge: float) -> float:
    """Lambda, if it is positive and finite."""
    if not 0 < ridge < math.inf:
        raise ValueError(f"ridge must be positive and finite, got {ridge:g}: without it V has no inverse in round 1")
    return ridge
