"""Tsallis-INF for costs of unknown scale, per bin of the context: against a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from bandits import Context, Feedback, Problem, Streams
from bandits.agents import TsallisINFBinned
from bandits.errors import UnsupportedProblem

K = 3


def build(size=2, bins=5, seed=4, newton="exact", **changes):
    facts = {
        "n_arms": K,
        "reward_range": (-10_000.0, -1.0),
        "context": Context(n_features=1, per_arm=False, feature_range=(-0.15, 0.65)),
    }
    return TsallisINFBinned(Problem(**(facts | changes)), Streams(seed, size), bins=bins, newton=newton)


def slow_p(loss_sum, scale, eta):
    losses = [v / scale for v in loss_sum]
    total = lambda x: sum(4 / (eta * (v - x)) ** 2 for v in losses)  # noqa: E731 - the equation on one line
    low, high = min(losses) - 2 * math.sqrt(K) / eta, min(losses) - 2 / eta
    x = brentq(lambda x: total(x) - 1, low - 1e-6, high + 1e-6, xtol=1e-14, rtol=1e-15)
    return [4 / (eta * (v - x)) ** 2 for v in losses]


@pytest.mark.parametrize("bins", [1, 5])
@pytest.mark.parametrize("newton", ["exact", "code"])
def test_it_plays_what_a_slow_loop_plays(bins, newton):
    rng = np.random.default_rng(bins)
    it = build(bins=bins, newton=newton)
    uniform = Streams(4, 2).agent.uniform
    centres = [-0.15 + 0.8 * (i + 0.5) / bins for i in range(bins)]
    sums = [[[0.0] * K for _ in range(bins)] for _ in range(2)]
    losses = [[[] for _ in range(bins)] for _ in range(2)]
    for t in range(1, 301):
        context = rng.uniform(-0.15, 0.45, (1, 2))
        action = it.act(t, context)
        reward = np.empty(2)
        for b in range(2):
            i = min(range(bins), key=lambda j, c=context[0, b]: abs(c - centres[j]))
            seen = losses[b][i]
            p = slow_p(sums[b][i], sum(seen) / len(seen) if seen else 1.0, 2 / math.sqrt(len(seen) + 1))
            assert it.p[:, b] == pytest.approx(p, rel=1e-6)
            u, arm = uniform(t)[b] * sum(p), 0
            while u > sum(p[: arm + 1]):
                arm += 1
            assert action[b] == arm
            cost = [20, 100, 600][arm] + rng.integers(0, 50)
            reward[b] = -cost
            sums[b][i][arm] += (cost - 1) / p[arm]
            seen.append(cost - 1)
        it.update(t, action, Feedback(reward, np.zeros(2)))


def test_contexts_go_to_the_nearest_centre_and_the_lower_of_equals():
    it = build(6, bins=5)
    assert it.centres == pytest.approx([-0.07, 0.09, 0.25, 0.41, 0.57])
    it.centres[:] = [0.0, 1.0, 2.0, 3.0, 4.0]
    it.act(1, np.array([[-0.15, 0.5, 0.51, 1.5, 2.5, 0.65]]))
    assert it._place.tolist() == [0, 0, 1, 1, 2, 1]


def test_twenty_steps_that_reach_no_distribution_lead_to_uniform_play():
    """From far left of the root Newton's steps overshoot the pole, as they would from -1 in every round."""
    it = build(2000, bins=1, newton="code")
    it.loss_sum[:] = np.array([5000.0, 5100.0, 5200.0])[None, :, None]
    it.rounds[:], it.total[:] = 5000.0, 5000.0
    action = it.act(1)
    assert abs(it.p.sum(axis=0) - 1).min() > 0.1
    assert np.bincount(action, minlength=K) == pytest.approx([2000 / 3] * 3, rel=0.1)
    it.update(1, action, Feedback(np.full(2000, -50.0), np.zeros(2000)))
    assert np.isfinite(it.loss_sum).all()


def test_losses_of_zero_leave_it_uniform():
    it = build()
    for t in range(1, 20):
        action = it.act(t, np.zeros((1, 2)))
        it.update(t, action, Feedback(np.full(2, -1.0), np.zeros(2)))
    assert it.p == pytest.approx(np.full((K, 2), 1 / K))


def test_one_bin_needs_no_context_and_more_do():
    assert build(bins=1, context=None).act(1) is not None
    with pytest.raises(UnsupportedProblem, match="needs a context"):
        build(context=None)
    with pytest.raises(UnsupportedProblem, match="needs rewards in a known interval"):
        build(reward_range=None)


@pytest.mark.parametrize("parameters", [{"bins": 0}, {"newton": "twenty"}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        build(**parameters)
