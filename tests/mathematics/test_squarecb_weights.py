"""Inverse gap weighting against the printed value and its invariants."""

from __future__ import annotations

import numpy as np
import pytest
from bandits.agents._squarecb import inverse_gap_weights


def weights(loss, gamma):
    """Probabilities (K, B) and best arms of losses (K, B)."""
    loss = np.array(loss, dtype=np.float64).reshape(len(loss), -1)
    size = loss.shape[1]
    best, scratch, p = np.empty(size, dtype=np.int64), np.empty(size), np.empty_like(loss)
    inverse_gap_weights(loss, np.full(size, float(gamma)), best, scratch, p)
    return p, best


def test_probabilities_equal_the_printed_values():
    p, best = weights([0.2, 0.5, 0.3], 10)
    assert p[:, 0] == pytest.approx([0.58333333, 0.16666667, 0.25], abs=5e-9)
    assert best == [0]


def test_gamma_0_is_uniform_and_ties_go_to_the_lowest_arm():
    p, best = weights([0.3, 0.1, 0.1, 0.7], 0)
    assert p[:, 0] == pytest.approx([0.25] * 4, abs=1e-15)
    assert best == [1]


def test_probabilities_sum_to_1_and_the_best_arm_has_its_share():
    rng = np.random.default_rng(0)
    loss = rng.normal(size=(7, 500)) * 10.0 ** rng.integers(-3, 3, 500)
    p, best = weights(loss, 37.5)
    assert (best == loss.argmin(axis=0)).all()
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=0), 1.0, atol=1e-14)
    assert (p[best, np.arange(500)] >= 1 / 7 - 1e-15).all()
    others = 1 / (7 + 37.5 * (loss - loss.min(axis=0)))
    others[best, np.arange(500)] = p[best, np.arange(500)]
    np.testing.assert_array_equal(p, others)
