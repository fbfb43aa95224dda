"""Thompson sampling with Beta posteriors: the law of its action, by quadrature, and its regret, by a slow loop."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from bandits.agents._thinning import log_beta
from scipy import special, stats

from bandits import Feedback, Problem, Streams, agent, environment
from bandits.agents import ThompsonBeta
from bandits.errors import UnsupportedProblem
from bandits.loop import simulate

UNIT = (0.0, 1.0)
POSTERIORS = {
    "flat": ([1] * 10, [1] * 10),
    "early": ([1, 3, 2, 5, 1, 4, 2, 1, 3, 2], [2, 2, 5, 3, 1, 4, 1, 3, 5, 2]),
    "mid": ([5, 12, 30, 22, 8, 39, 17, 26, 11, 35], [16, 30, 31, 39, 11, 35, 29, 22, 14, 33]),
    "late": ([3, 5, 9, 14, 20, 33, 70, 160, 400, 900], [15, 18, 30, 40, 45, 60, 95, 170, 330, 700]),
    "rare events": ([2, 3, 8, 15], [150, 120, 900, 1100]),
    "sure events": ([80, 41, 7, 300], [1, 1.5, 1, 4]),
    "not whole": ([1.25, 3.5, 2.75, 40.5], [1.0, 2.2, 9.1, 33.3]),
}


def posed(name, size, sampler="thinned"):
    """An agent whose posterior is the named one in every lane."""
    a, b = (np.asarray(x, dtype=float)[:, None] for x in POSTERIORS[name])
    it = ThompsonBeta(Problem(n_arms=len(a), reward_range=UNIT), Streams(11, size), sampler=sampler)
    it.shapes[0], it.shapes[1], it.mean[:], it.log_norm[:] = a, b, a / (a + b), special.betaln(a, b)
    return it


@functools.cache
def law(name):
    """Grid x; P(arm k is largest and its sample <= x), shape (K, x): the integral of pdf_k times the other cdfs."""
    a, b = (np.asarray(x, dtype=float)[:, None] for x in POSTERIORS[name])
    quantiles = stats.beta.ppf(np.linspace(0, 1, 200), a, b).ravel()
    edges = np.unique(np.concatenate([quantiles, np.linspace(0, 1, 2001)]))
    nodes, weights = np.polynomial.legendre.leggauss(4)
    half = np.diff(edges)[:, None] / 2
    x = edges[:-1, None] + half * (1 + nodes)
    cdf = stats.beta.cdf(x[None], a[:, None], b[:, None])
    others = np.array([np.prod(np.delete(cdf, k, axis=0), axis=0) for k in range(len(a))])
    pieces = (stats.beta.pdf(x[None], a[:, None], b[:, None]) * others * weights * half).sum(axis=2)
    return edges, np.concatenate([np.zeros((len(a), 1)), np.cumsum(pieces, axis=1)], axis=1)


@pytest.mark.parametrize("sampler", ["thinned", "plain"])
@pytest.mark.parametrize("name", POSTERIORS)
def test_each_arm_is_played_as_often_as_its_sample_is_the_largest(name, sampler):
    size = 400_000
    expected = law(name)[1][:, -1]
    assert expected.sum() == pytest.approx(1, abs=1e-6), "the quadrature is not fine enough"
    action = posed(name, size, sampler).act(3)
    keep = expected * size > 10
    counts = np.append(np.bincount(action, minlength=len(expected))[keep], 0)
    counts[-1] = size - counts.sum()
    rest = 1 - expected[keep].sum()
    if rest * size < 5:
        assert counts[-1] < 25
        counts, rest = counts[:-1], 0
    probabilities = np.append(expected[keep], rest) if rest else expected[keep] / expected[keep].sum()
    assert stats.chisquare(counts, probabilities * counts.sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", POSTERIORS)
def test_the_largest_sample_has_its_law_given_the_arm(name):
    it = posed(name, 400_000)
    action = it.act(4)
    edges, joint = law(name)
    for k in np.flatnonzero(joint[:, -1] > 2e-4):  # arms that never lead among them
        sample = it._race.best[action == k]
        uniform = np.interp(sample, edges, joint[k] / joint[k, -1])
        assert stats.kstest(uniform, "uniform").pvalue > 1e-4, f"arm {k}"


def test_late_posteriors_are_thinned():
    it = posed("late", 10_000)
    n_full, n_candidates = it._race._screen(1, it.shapes, it.mean, it.log_norm)
    assert 0 < n_candidates < 5_000
    assert n_full < 10_000  # of 90 000 pairs


def test_flat_posteriors_give_the_plain_action():
    thinned, plain = (posed("flat", 1000, sampler) for sampler in ("thinned", "plain"))
    np.testing.assert_array_equal(thinned.act(1), plain.act(1))


def test_posteriors_count_successes_and_failures():
    it = ThompsonBeta(Problem(n_arms=2, reward_range=UNIT), Streams(0, 3), a=2.0, b=1.5)
    rng = np.random.default_rng(0)
    successes, pulls = np.zeros((2, 3)), np.zeros((2, 3))
    for t in range(1, 2001):
        action, reward = rng.integers(0, 2, 3), rng.integers(0, 2, 3).astype(float)
        it.update(t, action, Feedback(reward, np.zeros(3)))
        successes[action, np.arange(3)] += reward
        pulls[action, np.arange(3)] += 1
    np.testing.assert_array_equal(it.shapes[0], 2.0 + successes)
    np.testing.assert_array_equal(it.shapes[1], 1.5 + pulls - successes)
    np.testing.assert_allclose(it.mean, (2.0 + successes) / (3.5 + pulls), rtol=1e-15)
    np.testing.assert_allclose(it.log_norm, special.betaln(*it.shapes), rtol=1e-13)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0.5, 0.5), (2.5, 7.25), (1e4, 3.0), (300.0, 1e6)])
def test_log_beta_agrees_with_the_library(a, b):
    assert log_beta(a, b) == pytest.approx(math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b), rel=1e-13, abs=1e-9)
    assert log_beta(a, b) == pytest.approx(special.betaln(a, b), rel=1e-9, abs=1e-13)


def test_a_reward_between_0_and_1_counts_as_a_success_that_often():
    it = ThompsonBeta(Problem(n_arms=1, reward_range=UNIT), Streams(3, 100_000))
    reward = np.full(100_000, 0.3)
    reward[:2] = 0.0, 1.0
    it.update(1, np.zeros(100_000, dtype=np.int64), Feedback(reward, reward))
    success = it.shapes[0, 0] - 1
    assert set(success) == {0.0, 1.0}
    assert success[0] == 0 and success[1] == 1
    assert abs(success[2:].mean() - 0.3) < 4 * math.sqrt(0.21 / 1e5)
    np.testing.assert_array_equal(it.shapes[1, 0] - 1, 1 - success)


def slow_regret(means, horizon, replications, prior):
    """One replication at a time, one arm at a time: final pseudo-regret of each."""
    rng = np.random.default_rng(8)
    regret = np.zeros(replications)
    for r in range(replications):
        wins, losses = [prior] * len(means), [prior] * len(means)
        for _ in range(horizon):
            arm = int(np.argmax(rng.beta(wins, losses)))
            if rng.random() < means[arm]:
                wins[arm] += 1
            else:
                losses[arm] += 1
            regret[r] += max(means) - means[arm]
    return regret


@pytest.mark.parametrize("prior", [1.0, 0.5])
def test_regret_agrees_with_a_slow_loop(prior):
    means, horizon = [0.9, 0.75, 0.5], 300
    slow = slow_regret(means, horizon, 400, prior)
    here = environment("bernoulli", means=means)
    fast = simulate(here, agent("thompson_beta", a=prior, b=prior), horizon=horizon, replications=4000, seed=1)
    regret = fast.to_pandas(at=horizon)["regret"].to_numpy()
    tolerance = 4 * math.hypot(stats.sem(slow), stats.sem(regret))
    assert abs(slow.mean() - regret.mean()) < tolerance
    uniform = horizon * (0.0 + 0.15 + 0.4) / 3
    assert uniform - slow.mean() > 4 * tolerance, "the tolerance would let uniform play pass"


def test_thinned_and_plain_play_agree_in_regret():
    here = environment("bernoulli", means=np.linspace(0.1, 0.6, 10).tolist())
    finals = [
        simulate(here, agent("thompson_beta", sampler=s), horizon=1000, replications=2000, seed=seed, checkpoints=1)
        .to_pandas()["regret"]
        .to_numpy()
        for seed, s in enumerate(("thinned", "plain"))
    ]
    tolerance = 4 * math.hypot(*(stats.sem(f) for f in finals))
    assert abs(finals[0].mean() - finals[1].mean()) < tolerance < 0.05 * finals[1].mean()


@pytest.mark.parametrize("sampler", ["thinned", "plain"])
def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch, sampler):
    same_bits_in_any_batch(agent("thompson_beta", sampler=sampler), "bernoulli", horizon=300)


def test_a_prior_below_one_is_played_plain():
    problem = Problem(n_arms=2, reward_range=UNIT)
    assert ThompsonBeta(problem, Streams(0, 2))._race.thinned
    assert not ThompsonBeta(problem, Streams(0, 2), b=0.5)._race.thinned


def test_wrong_parameters_and_unbounded_rewards_are_refused():
    problem = Problem(n_arms=2, reward_range=UNIT)
    with pytest.raises(ValueError, match="b must be positive, got 0"):
        ThompsonBeta(problem, Streams(0, 2), b=0.0)
    with pytest.raises(ValueError, match="sampler must be 'thinned' or 'plain', got 'fast'"):
        ThompsonBeta(problem, Streams(0, 2), sampler="fast")
    for reward_range in (None, (-1.0, 1.0)):
        with pytest.raises(UnsupportedProblem):
            ThompsonBeta(Problem(n_arms=2, reward_range=reward_range), Streams(0, 2))
