"""DMED against sets and a loop, as the paper writes it."""

import math

import numpy as np
import pytest

from bandits import Experiment, Feedback, Problem, Streams, agent, environment
from bandits.agents import DMED
from bandits.jobs import SimulationJob


def kl(p, q):
    if p == q:
        return 0.0
    if q in (0.0, 1.0):
        return math.inf
    first = p * math.log(p / q) if p > 0 else 0.0
    second = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return first + second


class SlowDMED:
    """One replication with Python sets: current list, arms still waiting in it, next list."""

    def __init__(self, n_arms, plus, divergence):
        self.waiting, self.following = set(range(n_arms)), set()
        self.rewards, self.plus, self.divergence = [[] for _ in range(n_arms)], plus, divergence

    def act(self):
        return min(self.waiting)

    def update(self, t, arm, reward):
        self.waiting.discard(arm)
        self.rewards[arm].append(reward)
        means = [sum(r) / len(r) if r else None for r in self.rewards]
        best = max(m for m in means if m is not None)
        for j, rewards in enumerate(self.rewards):
            if j not in self.waiting:
                limit = math.log(t / len(rewards)) if self.plus else math.log(t)
                if len(rewards) * self.divergence(j, means[j], best) <= limit + 1e-12:
                    self.following.add(j)
        if not self.waiting:
            self.waiting, self.following = self.following, set()


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("plus", [False, True])
def test_actions_equal_those_of_the_slow_loop(plus, gaussian):
    means, sd = np.array([-0.5, 0.1, -0.2]) + (0.0 if gaussian else 0.6), np.array([1.0, 0.5, 0.2])
    n_arms, size, rng = 3, 8, np.random.default_rng(1)
    problem = Problem(n_arms=3, noise_sd=sd) if gaussian else Problem(n_arms=3, reward_range=(0.0, 1.0))
    policy = DMED(problem, Streams(0, size), plus=plus)
    slow = [
        SlowDMED(
            n_arms, plus, (lambda j, p, q: (p - q) ** 2 / (2 * sd[j] ** 2)) if gaussian else lambda j, p, q: kl(p, q)
        )
        for _ in range(size)
    ]
    for t in range(1, 301):
        action = policy.act(t).copy()
        assert action.tolist() == [one.act() for one in slow]
        mean = means[action]
        reward = mean + sd[action] * rng.standard_normal(size) if gaussian else (rng.random(size) < mean).astype(float)
        for b, one in enumerate(slow):
            one.update(t, int(action[b]), float(reward[b]))
        policy.update(t, action, Feedback(reward, np.zeros(size)))


def test_evidence_at_point_a_is_the_printed_one():
    """Specification, section 5: n kl(.3, .6) = 1.83786897 < log 100, so the arm is kept."""
    policy = DMED(Problem(n_arms=2, reward_range=(0.0, 1.0)), Streams(0, 2))
    for arm, rewards in ((1, [1, 1, 1, 0, 0]), (0, [1, 1, 1] + [0] * 7)):
        for reward in rewards:
            policy.update(100, np.full(2, arm), Feedback(np.full(2, float(reward)), np.zeros(2)))
    assert policy._against[0] == pytest.approx(1.83786897, abs=6e-9)
    assert (policy.waiting[0] + policy.following[0]).tolist() == [1.0, 1.0]


def test_one_arm_is_played_for_ever():
    policy = DMED(Problem(n_arms=1, reward_range=(0.0, 1.0)), Streams(0, 2), plus=True)
    for t in range(1, 50):
        assert policy.act(t).tolist() == [0, 0]
        policy.update(t, np.zeros(2, dtype=np.int64), Feedback(np.array([0.0, 1.0]), np.zeros(2)))


@pytest.mark.parametrize("plus", [False, True])
def test_mean_regret_agrees_with_the_slow_loop(plus):
    means, horizon, rng = [0.8, 0.4], 200, np.random.default_rng(2)
    slow = []
    for _ in range(150):
        one, regret = SlowDMED(2, plus, lambda j, p, q: kl(p, q)), 0.0
        for t in range(1, horizon + 1):
            arm = one.act()
            one.update(t, arm, float(rng.random() < means[arm]))
            regret += means[0] - means[arm]
        slow.append(regret)
    (cell,) = Experiment(
        name="test",
        environments=[environment("bernoulli", means=means)],
        agents=[agent("dmed", plus=plus)],
        horizon=horizon,
        replications=1000,
        checkpoints=1,
    ).cells()
    fast = SimulationJob(cell).run(0, 1000)["regret"].to_numpy()
    tolerance = 4 * math.hypot(np.std(slow) / math.sqrt(len(slow)), fast.std() / math.sqrt(fast.size))
    assert np.mean(slow) + tolerance < 0.5 * 0.4 * horizon, "vacuous: uniform play would pass"
    assert abs(fast.mean() - np.mean(slow)) < tolerance


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_results_do_not_depend_on_the_batch(plus, family):
    (cell,) = Experiment(
        name="test",
        environments=[environment(family, means=[0.4, 0.6, 0.6])],
        agents=[agent("dmed", plus=plus)],
        horizon=120,
        replications=15,
        checkpoints=20,
    ).cells()
    whole = SimulationJob(cell, 15).run(0, 15).combine_chunks()
    assert SimulationJob(cell, 7).run(0, 15).combine_chunks().equals(whole)
    assert SimulationJob(cell, 1).run(0, 15).combine_chunks().equals(whole)
