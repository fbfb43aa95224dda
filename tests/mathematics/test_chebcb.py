"""ChebCB, against a slow loop on the data themselves, and in the order of the comparators."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from bandits.agents.chebcb import chebyshev
from scipy.optimize import lsq_linear

from bandits import Context, Feedback, Problem, Streams, agent, environment, simulate
from bandits.agents import ChebCB
from bandits.errors import UnsupportedProblem

LOW, HIGH, K, M = -0.15, 0.65, 4, 6


def problem(**changes):
    facts = {
        "n_arms": K,
        "reward_range": (-1000.0, -1.0),
        "context": Context(n_features=1, per_arm=False, feature_range=(LOW, HIGH)),
    }
    return Problem(**(facts | changes))


def test_features_have_the_printed_values():
    out = np.empty((6, 1))
    chebyshev(np.array([0.1]), LOW, HIGH, out)
    assert out[:, 0] == pytest.approx([1, -0.375, -0.71875, 0.9140625, 0.03320312, -0.93896484], abs=5e-9)


def costs_of(context):
    """Counts with a minimum whose place moves with the context."""
    return np.round(20 + 300 * (np.linspace(0, 1, K) - (context - LOW) / (HIGH - LOW)) ** 2)


class SlowChebCB:
    """The same agent, fitted to the data anew in every round by NumPy and SciPy."""

    def __init__(self, least, residual):
        self.least, self.residual = least, residual
        self.theta, self.eta, self.last = np.zeros((K, M)), 0.0, 0.0
        self.seen, self.costs, self.predictions, self.scale = [[] for _ in range(K)], [], [], None
        self.boxed, self.left = 0, np.zeros(K)

    def features(self, c):
        return np.cos(np.arange(M) * math.acos(2 * (c - LOW) / (HIGH - LOW) - 1))

    def probabilities(self, c):
        y = self.theta @ self.features(c)
        p = 1 / (K + self.eta * (y - y.min()))
        p[y.argmin()] += 1 - p.sum()
        return p

    def update(self, c, arm, cost):
        self.predictions.append(self.theta[arm] @ self.features(c))
        self.costs.append(cost)
        self.seen[arm].append((self.features(c), cost - 1))
        t, width = len(self.costs), HIGH - LOW
        largest = max(self.costs)
        slope = (largest - (0 if self.least == "zero" else min(self.costs))) / width
        n = 2 + 4 * width * slope / largest * (1 + math.log(M))
        scale = largest * n
        bound = np.array([1 / n, *(2 * width * slope / scale / j for j in range(1, M))])
        for k in range(K) if scale != self.scale else [arm]:
            if self.seen[k]:
                x, y = (np.array(z) for z in zip(*self.seen[k], strict=True))
                self.theta[k] = np.linalg.lstsq(x, y / scale, rcond=1e-6)[0]
                self.last = 0.0
                if (np.abs(self.theta[k]) > bound).any():
                    self.boxed += 1
                    fit = lsq_linear(x, y / scale, (-bound - 1e-300, bound + 1e-300), method="bvls", tol=1e-15)
                    self.theta[k], self.last = fit.x, 2 * fit.cost
                self.left[k] = ((x @ self.theta[k] - y / scale) ** 2).sum()
        self.scale = scale
        targets = np.array(self.costs) - (self.residual == "regression")
        rest = ((np.array(self.predictions) - targets / scale) ** 2).sum()
        rest -= self.last if self.residual == "code" else self.left.sum()
        alpha = (math.pi + 2 / math.pi * math.log(2 * M + 1)) / (2 * scale * (M + 1)) * width * slope
        self.eta = 2 * t * math.sqrt(K * t / max(rest + 2 * alpha**2 * t, 1e-12))


@pytest.mark.parametrize("least", ["zero", "observed"])
@pytest.mark.parametrize("residual", ["code", "regression"])
def test_it_plays_and_learns_like_a_slow_loop(least, residual):
    """Arms are dictated, so that each has enough contexts for one solution before it is compared."""
    rng = np.random.default_rng(2)
    it, slow = ChebCB(problem(), Streams(3, 2), least=least, residual=residual), SlowChebCB(least, residual)
    for t in range(1, 161):
        c = rng.uniform(LOW, 0.45)
        it.act(t, np.full((1, 2), c))
        if t > 60:
            assert it.p[:, 0] == pytest.approx(slow.probabilities(c), rel=1e-5, abs=1e-9)
            assert it.theta[:, :, 0] == pytest.approx(slow.theta, abs=1e-7)
            assert it.eta[0] == pytest.approx(slow.eta, rel=1e-6)
        arm = t % K
        cost = costs_of(c)[arm] + rng.integers(0, 30)
        slow.update(c, arm, cost)
        reward = np.full(2, -float(cost))
        it.update(t, np.full(2, arm), Feedback(reward, np.zeros(2)))
    assert 20 < slow.boxed < 155
    assert (it.theta[..., 0] == it.theta[..., 1]).all()


def test_the_first_round_is_uniform():
    it = ChebCB(problem(), Streams(0, 2))
    it.act(1, np.full((1, 2), 0.3))
    assert (it.p == 1 / K).all()


@pytest.mark.parametrize(("variance", "best"), [("high", 1.8), ("low", 1.6)])
def test_costs_are_ordered_as_reported(variance, best):
    """Optimum < ChebCB < best fixed omega < Tsallis-INF, each by 2 standard errors of the paired difference."""
    here = environment("relaxation", variance=variance, omegas=[1.0, 1.2, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9])
    specs = [
        agent("instance_optimal"),
        agent("chebcb"),
        agent("fixed_omega", omega=best),
        agent("tsallis_inf_binned", bins=1),
    ]
    costs = [
        -simulate(here, spec, horizon=1500, replications=4, checkpoints=1).to_pandas()["reward"].to_numpy()
        for spec in specs
    ]
    for less, more in itertools.pairwise(costs):
        difference = more - less
        assert difference.mean() > 2 * difference.std(ddof=1) / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": None}, "needs a context"),
        ({"context": Context(n_features=2, per_arm=False, feature_range=(0.0, 1.0))}, "one number"),
        ({"context": Context(n_features=1, per_arm=False)}, "known interval"),
        ({"reward_range": None}, "needs rewards in a known interval"),
    ],
)
def test_problems_that_it_cannot_play_are_declined(changes, message):
    with pytest.raises(UnsupportedProblem, match=message):
        ChebCB(problem(**changes), Streams(0, 2))


@pytest.mark.parametrize("parameters", [{"features": 0}, {"least": "true"}, {"residual": "none"}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        ChebCB(problem(), Streams(0, 2), **parameters)
