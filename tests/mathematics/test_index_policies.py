"""Index policies against the obvious formula: at test point A, along replays, and in the regret they lead to."""

import math

import numpy as np
import pytest
from scipy import special, stats

from bandits import Experiment, Feedback, Problem, Streams, agent, environment
from bandits.errors import UnsupportedProblem
from bandits.jobs import SimulationJob
from bandits.registry import lookup

HORIZON, N_ARMS = 1000, 5


def kl(p, q):
    first = p * math.log(p / q) if p > 0 else 0.0
    second = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return first + second


def upper_root(p, bound):
    """Largest q in [p, 1] with kl(p, q) <= bound, by bisection."""
    low, high = p, 1.0
    for _ in range(45):
        q = (low + high) / 2
        low, high = (q, high) if q < 1 and kl(p, q) <= bound else (low, q)
    return low


def log_plus(x):
    return math.log(x) if x > 1 else 0.0


class Record:
    """What an obvious implementation keeps of one arm. ``scale`` is the noise level, None for rewards in [0, 1]."""

    def __init__(self, rewards, t, n_arms, horizon, best, sd):
        self.n, self.mean, self.variance = len(rewards), float(np.mean(rewards)), float(np.var(rewards))
        self.t, self.n_arms, self.horizon, self.best, self.sd = t, n_arms, horizon, best, sd

    @property
    def rate(self):
        return math.log(self.t) / self.n

    def optimistic(self, budget):
        budget = max(budget, 0.0)
        if self.sd is not None:
            return self.mean + self.sd * math.sqrt(2 * budget / self.n)
        return upper_root(self.mean, budget / self.n)

    def divergence(self):
        return kl(self.mean, min(self.best, 1 - 1e-300)) if self.sd is None and self.best < 1 else self._edge()

    def _edge(self):
        if self.sd is not None:
            return (self.best - self.mean) ** 2 / (2 * self.sd**2)
        return 0.0 if self.mean == 1 else 1e6

    def posterior_quantile(self):
        if self.sd is not None:
            return self.mean + self.sd / math.sqrt(self.n) * stats.norm.isf(1 / self.t)
        s = self.mean * self.n
        return float(special.betainccinv(1 + s, 1 + self.n - s, 1 / self.t))


def ucb(factor):
    return lambda r: r.mean + (1 if r.sd is None else r.sd) * math.sqrt(factor * r.rate)


def tuned(r):
    return r.mean + math.sqrt(r.rate * min(0.25, r.variance + math.sqrt(2 * r.rate)))


def moss(r):
    scale = 1 if r.sd is None else 2 * r.sd
    return r.mean + scale * math.sqrt(log_plus(r.horizon / (r.n_arms * r.n)) / r.n)


def moss_anytime(r):
    scale = 1 if r.sd is None else 2 * r.sd
    return r.mean + scale * math.sqrt((1 + 1.35) / 2 * log_plus(r.t / (r.n_arms * r.n)) / r.n)


def kl_plus_plus(r):
    y = r.horizon / (r.n_arms * r.n)
    return r.optimistic(log_plus(y * (1 + log_plus(y) ** 2)))


# agent, parameters, obvious index (the largest is played), plays Gaussian rewards
POLICIES = [
    ("ucb_alpha", {"alpha": 0.7}, ucb(0.7), True),
    ("ucb_tuned", {}, tuned, False),
    ("ucb_v", {}, lambda r: r.mean + math.sqrt(2 * r.variance * r.rate) + 3 * r.rate, False),
    ("moss", {}, moss, True),
    ("moss", {"anytime": True}, moss_anytime, True),
    ("kl_ucb", {}, lambda r: r.optimistic(math.log(r.t)), True),
    ("kl_ucb", {"c": 3.0}, lambda r: r.optimistic(math.log(r.t) + 3 * math.log(math.log(r.t))), True),
    ("kl_ucb_plus", {}, lambda r: r.optimistic(math.log(r.t / r.n)), True),
    ("kl_ucb_plus_plus", {}, kl_plus_plus, True),
    ("imed", {}, lambda r: -(r.n * r.divergence() + math.log(r.n)), True),
    ("bayes_ucb", {}, Record.posterior_quantile, True),
]
NAMES = [name + "".join(f"-{k}" for k in parameters) for name, parameters, _, _ in POLICIES]

AT_POINT_A = [
    ("ucb_alpha", {"alpha": 2.0}, 1.25970518),
    ("ucb_tuned", {}, 0.63930702),
    ("ucb_v", {}, 2.12134322),
    ("moss", {}, 0.84733283),
    ("kl_ucb", {}, 0.75602274),
    ("kl_ucb", {"c": 3.0}, 0.88126740),
    ("kl_ucb_plus", {}, 0.63457287),
    ("kl_ucb_plus_plus", {}, 0.78213701),
    ("imed", {}, -4.14045407),
    ("bayes_ucb", {}, 0.66041676),
]


def build(name, parameters, problem, size=2):
    return lookup("agent", name).target(problem, Streams(0, size), **parameters)


def feed(policy, arm, rewards, size=2):
    for reward in rewards:
        policy.update(1, np.full(size, arm), Feedback(np.full(size, float(reward)), np.zeros(size)))


@pytest.mark.parametrize(("name", "parameters", "value"), AT_POINT_A)
def test_index_at_point_a_is_the_printed_one(name, parameters, value):
    """Specification, section 5: mean .3 of 10 pulls, t = 100, K = 5, T = 1000, best mean .6."""
    policy = build(name, parameters, Problem(n_arms=N_ARMS, reward_range=(0.0, 1.0), horizon=HORIZON))
    feed(policy, 0, [1, 1, 1] + [0] * 7)
    feed(policy, 1, [1, 1, 1, 0, 0])
    index = np.empty((N_ARMS, 2))
    policy.index(100, index)
    assert index[0] == pytest.approx(value, abs=6e-9)


def test_gaussian_bayes_ucb_at_point_a_is_the_printed_one():
    policy = build("bayes_ucb", {}, Problem(n_arms=N_ARMS, noise_sd=np.ones(N_ARMS), horizon=HORIZON))
    feed(policy, 0, [0.3] * 10)
    index = np.empty((N_ARMS, 2))
    policy.index(100, index)
    assert index[0] == pytest.approx(1.03565579, abs=6e-9)


def rewards_of(family, rng, action):
    means = np.array([0.5, 0.3, 0.6, 0.55])[action]
    if family == "gaussian":
        return means + np.array([1.0, 0.5, 1.0, 0.2])[action] * rng.standard_normal(action.size)
    return (rng.random(action.size) < means).astype(float) if family == "binary" else rng.beta(2 * means, 2 - 2 * means)


@pytest.mark.parametrize("family", ["binary", "fractional", "gaussian"])
@pytest.mark.parametrize(("name", "parameters", "formula", "gaussian"), POLICIES, ids=NAMES)
def test_every_action_is_the_argmax_of_the_obvious_formula(name, parameters, formula, gaussian, family):
    n_arms, size, rounds = 4, 6, 130
    sd = np.array([1.0, 0.5, 1.0, 0.2]) if family == "gaussian" else None
    problem = Problem(
        n_arms=n_arms, noise_sd=sd, reward_range=None if family == "gaussian" else (0.0, 1.0), horizon=rounds
    )
    if family == "gaussian" and not gaussian:
        with pytest.raises(UnsupportedProblem, match="needs bounded rewards, got Gaussian rewards"):
            build(name, parameters, problem)
        return
    policy, rng = build(name, parameters, problem, size), np.random.default_rng(3)
    seen = [[[] for _ in range(n_arms)] for _ in range(size)]
    for t in range(1, rounds + 1):
        action = policy.act(t).copy()
        for lane, arms in enumerate(seen):
            chosen = action[lane]
            if t <= n_arms:
                assert chosen == t - 1, "an arm that was never played comes first, in arm order"
                continue
            best = max(np.mean(r) for r in arms)
            index = [
                formula(Record(r, t, n_arms, rounds, best, None if sd is None else sd[k])) for k, r in enumerate(arms)
            ]
            assert index[chosen] >= max(index) - 1e-9
            for k in range(chosen):
                same = len(arms[k]) == len(arms[chosen]) and sum(arms[k]) == sum(arms[chosen])
                assert family != "binary" or not same, "the lowest of equal arms is played"
        reward = rewards_of(family, rng, action)
        for lane, arms in enumerate(seen):
            arms[action[lane]].append(reward[lane])
        policy.update(t, action, Feedback(reward, np.zeros(size)))


def regrets(name, parameters, env, horizon, replications, seed=5):
    experiment = Experiment(
        name="test",
        environments=[env],
        agents=[agent(name, **parameters)],
        horizon=horizon,
        replications=replications,
        seed=seed,
        checkpoints=1,
    )
    (cell,) = experiment.cells()
    return SimulationJob(cell).run(0, replications)["regret"].to_numpy()


def slow_regret(formula, means, horizon, rng):
    """One replication, as a textbook would write it."""
    arms, regret = [[] for _ in means], 0.0
    for t in range(1, horizon + 1):
        if t <= len(means):
            chosen = t - 1
        else:
            best = max(sum(r) / len(r) for r in arms)
            chosen = int(np.argmax([formula(Record(r, t, len(means), horizon, best, None)) for r in arms]))
        arms[chosen].append(float(rng.random() < means[chosen]))
        regret += max(means) - means[chosen]
    return regret


@pytest.mark.parametrize(("name", "parameters", "formula", "gaussian"), POLICIES, ids=NAMES)
def test_mean_regret_agrees_with_a_slow_loop(name, parameters, formula, gaussian):
    means, horizon = [0.9, 0.3], 100
    rng = np.random.default_rng(11)
    slow = np.array([slow_regret(formula, means, horizon, rng) for _ in range(60)])
    fast = regrets(name, parameters, environment("bernoulli", means=means), horizon, 1000)
    tolerance = 4 * math.hypot(slow.std() / math.sqrt(slow.size), fast.std() / math.sqrt(fast.size))
    uniform = 0.5 * (means[0] - means[1]) * horizon
    assert slow.mean() + tolerance < uniform, "vacuous: uniform play would pass"
    assert abs(fast.mean() - slow.mean()) < tolerance


@pytest.mark.parametrize(("name", "parameters", "formula", "gaussian"), POLICIES, ids=NAMES)
@pytest.mark.parametrize("tie", ["first", "random"])
def test_results_do_not_depend_on_the_batch(name, parameters, formula, gaussian, tie):
    families = ["bernoulli"] + ["gaussian"] * gaussian
    for family in families:
        (cell,) = Experiment(
            name="test",
            environments=[environment(family, means=[0.4, 0.6, 0.6])],
            agents=[agent(name, **parameters, tie=tie)],
            horizon=120,
            replications=15,
            checkpoints=20,
        ).cells()
        whole = SimulationJob(cell, 15).run(0, 15).combine_chunks()
        assert SimulationJob(cell, 7).run(0, 15).combine_chunks().equals(whole)
        assert SimulationJob(cell, 1).run(0, 15).combine_chunks().equals(whole)


def test_random_ties_are_uniform_among_equal_arms():
    for name in ("kl_ucb", "bayes_ucb", "imed", "moss", "ucb_tuned"):
        size, n_arms = 3000, 3
        problem = Problem(n_arms=n_arms, reward_range=(0.0, 1.0), horizon=100)
        policy = build(name, {"tie": "random"}, problem, size)
        for arm in range(n_arms):
            feed(policy, arm, [1, 0], size)
        counts = np.bincount(policy.act(10), minlength=n_arms)
        assert np.abs(counts - size / n_arms).max() < 4 * math.sqrt(size * 2 / 9), name


def test_ucb_alpha_2_is_ucb1():
    env = environment("gaussian", means=[0.5, 0.6])
    assert (regrets("ucb_alpha", {"alpha": 2.0}, env, 200, 20) == regrets("ucb1", {}, env, 200, 20)).all()


def test_ucb_v_regret_stays_below_the_proved_bound():
    """Audibert, Munos and Szepesvari (2009): 10 (variance / gap + 2) log T for zeta = 1.2, c = 1."""
    means, horizon = [0.9, 0.3], 2000
    gap = means[0] - means[1]
    bound = 10 * (means[1] * (1 - means[1]) / gap + 2) * math.log(horizon)
    assert bound < 0.5 * gap * horizon, "vacuous: uniform play would pass"
    regret = regrets("ucb_v", {"zeta": 1.2}, environment("bernoulli", means=means), horizon, 100)
    assert regret.mean() < bound


def test_moss_regret_stays_below_the_proved_bound():
    """Audibert and Bubeck (2009): 49 sqrt(K T)."""
    horizon = 25_000
    bound = 49 * math.sqrt(2 * horizon)
    assert bound < 0.5 * horizon, "vacuous: uniform play would pass"
    assert regrets("moss", {}, environment("bernoulli", means=[1.0, 0.0]), horizon, 4).mean() < bound


@pytest.mark.parametrize("name", ["kl_ucb", "kl_ucb_plus", "kl_ucb_plus_plus", "imed", "dmed", "bayes_ucb"])
def test_policies_for_two_families_decline_others(name):
    with pytest.raises(UnsupportedProblem, match=r"needs rewards in \[0, 1\] or Gaussian.* got rewards in \[-1, 1\]"):
        build(name, {}, Problem(n_arms=2, reward_range=(-1.0, 1.0), horizon=10))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("ucb_alpha", {"alpha": 0.0}, "alpha must be positive, got 0.0"),
        ("ucb_v", {"zeta": -1.0}, "zeta must be positive, got -1.0"),
        ("moss", {"scale": 0.0}, "scale must be positive, got 0.0"),
        ("kl_ucb", {"c": -1.0}, "c must be at least 0, got -1.0"),
        ("bayes_ucb", {"c": -1.0}, "c must be at least 0, got -1.0"),
    ],
)
def test_parameters_out_of_range_are_refused(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        build(name, parameters, Problem(n_arms=2, reward_range=(0.0, 1.0), horizon=10))


@pytest.mark.parametrize(("name", "parameters"), [("moss", {}), ("kl_ucb_plus_plus", {}), ("bayes_ucb", {"c": 5.0})])
def test_policies_that_need_the_horizon_say_so(name, parameters):
    with pytest.raises(UnsupportedProblem, match="needs the horizon"):
        build(name, parameters, Problem(n_arms=2, reward_range=(0.0, 1.0)))


@pytest.mark.parametrize(("name", "parameters", "formula", "gaussian"), POLICIES, ids=NAMES)
def test_corner_cases_are_played(name, parameters, formula, gaussian):
    """One arm, one round, an arm without noise, sure arms."""
    environments = [
        environment("bernoulli", means=[0.5]),
        environment("bernoulli", means=[1.0, 0.0, 1.0]),
        environment("bernoulli", means=[0.0, 0.0]),
    ]
    if gaussian:
        environments += [environment("gaussian", means=[0.0, -3.0], sd=[0.0, 1.0])]
    for env in environments:
        for horizon in (1, 40):
            assert np.isfinite(regrets(name, parameters, env, horizon, 3)).all()
    if gaussian:
        assert (regrets(name, parameters, environments[-1], 300, 5) < 100).all()
