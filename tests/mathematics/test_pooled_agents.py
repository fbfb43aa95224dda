"""Agents for side observations: against their formulas on recorded plays, closed forms and published simulations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from bandits import Feedback, Problem, Streams, agent, environment, simulate
from bandits.agents import Greedy, PooledThompson, PooledUCB, UCBMaxN
from bandits.errors import BadParameter
from bandits.experiments import WORKED_INSTANCES as INSTANCES
from bandits.specs import Spec

INF = math.inf

# --- a play recorded, and the formulas evaluated anew from the whole record


@dataclass
class Record:
    """What one replication has seen: for each arm the values and their noise levels."""

    sigma: np.ndarray
    values: list[list[float]]
    levels: list[list[float]]

    @property
    def n_arms(self) -> int:
        return len(self.values)

    def precise(self) -> tuple[np.ndarray, np.ndarray]:
        """Maximum-likelihood estimates and their standard deviations."""
        weights = [np.array(levels) ** -2.0 for levels in self.levels]
        means = [np.average(v, weights=w) for v, w in zip(self.values, weights, strict=True)]
        return np.array(means), np.array([w.sum() ** -0.5 for w in weights])

    def plain(self) -> tuple[np.ndarray, np.ndarray]:
        """Plain averages, and the largest noise level of each arm over the root of its count."""
        scale = np.max(self.sigma, where=np.isfinite(self.sigma), initial=0.0, axis=0)
        return np.array([np.mean(v) for v in self.values]), scale / np.sqrt([len(v) for v in self.values])

    def best_observer(self, arm: int) -> int:
        return int(np.argmin(self.sigma[:, arm]))


def ucb(record: Record, mean, width, t):
    radius = width * math.sqrt(2 * math.log(t))
    chosen = int(np.argmax(mean + radius))
    if record.sigma[chosen, chosen] == INF:
        rivals = [mean[k] + radius[k] for k in range(record.n_arms) if k != chosen]
        if mean[chosen] - radius[chosen] < max(rivals):
            return record.best_observer(chosen)
    return chosen


def max_n(record: Record, t):
    mean, width = record.plain()
    chosen = int(np.argmax(mean + width * math.sqrt(2 * math.log(t))))
    neighbours = [k for k in range(record.n_arms) if record.sigma[chosen, k] < INF]
    return max(neighbours, key=lambda k: (mean[k], k == chosen, -k)) if neighbours else record.best_observer(chosen)


RULES = {
    "pooled_ucb": lambda record, t: ucb(record, *record.precise(), t),
    "ucb_n": lambda record, t: ucb(record, *record.plain(), t),
    "ucb_max_n": max_n,
    "greedy": lambda record, t: int(np.argmax(record.precise()[0])),
}


@pytest.mark.parametrize("instance", ["E3", "E5", "E10", "E11"])
@pytest.mark.parametrize("name", RULES)
def test_it_plays_what_the_formula_says_of_the_whole_record(name, instance):
    """Four replications of 120 rounds; while an arm was not seen, the best observer of the lowest such arm is due."""
    env = INSTANCES[instance].build(Streams(5, 4))
    player, sigma = agent(name).build(env.problem, Streams(5, 4)), env.problem.observation_sd
    records = [Record(sigma, [[] for _ in sigma], [[] for _ in sigma]) for _ in range(4)]
    for t in range(1, 121):
        action = player.act(t).copy()
        feedback = env.step(t, action)
        for lane, record in enumerate(records):
            unseen = [k for k, values in enumerate(record.values) if not values]
            due = record.best_observer(unseen[0]) if unseen else RULES[name](record, t)
            assert action[lane] == due, f"round {t}"
            for k in np.flatnonzero(sigma[due] < INF):
                record.values[k].append(feedback.observations[k, lane])
                record.levels[k].append(sigma[due, k])
        player.update(t, action, feedback)
    for lane, record in enumerate(records):
        mean, width = record.plain() if name in ("ucb_n", "ucb_max_n") else record.precise()
        assert player.mean[:, lane] == pytest.approx(mean, rel=1e-12, abs=1e-12)
        assert player.width[:, lane] == pytest.approx(width, rel=1e-12)


def test_the_index_by_hand():
    """Arm 1 seen as 3 with sd 1 and as 0 with sd 1/2: mean 3/5, information 5; t = 7: 0.6 + sqrt(2 ln 7 / 5)."""
    problem = Problem(n_arms=2, observation_sd=np.array([[1.0, 1.0], [INF, 0.5]]))
    player = PooledUCB(problem, Streams(size=2))
    for arm, values in ((0, (1.0, 3.0)), (1, (0.0, 0.0))):
        observations = np.repeat(np.array(values)[:, None], 2, axis=1)
        player.update(1, np.full(2, arm), Feedback(observations[arm], np.zeros(2), observations))
    index = np.empty((2, 2))
    player.index(7, index)
    assert index[:, 0] == pytest.approx([1 + math.sqrt(2 * math.log(7)), 0.6 + math.sqrt(2 * math.log(7) / 5)])


def test_ucb_max_n_plays_the_chosen_arm_itself_among_equal_means():
    """All zeros seen, arm 0 three times and arm 1 once: arm 1 has the larger index, and sees arm 0, too."""
    player = UCBMaxN(Problem(n_arms=2, observation_sd=np.array([[1.0, INF], [1.0, 1.0]])), Streams(size=2))
    for arm in (0, 1, 0):
        player.update(1, np.full(2, arm), Feedback(np.zeros(2), np.zeros(2), np.zeros((2, 2))))
    assert player.act(4).tolist() == [1, 1]


@pytest.mark.parametrize("instance", ["E1", "E2", "E3", "E5"])
def test_ucb_n_is_pooled_ucb_where_there_is_one_noise_level(instance):
    logs = [
        simulate(INSTANCES[instance], agent(name), horizon=300, replications=20).to_pandas()["regret"]
        for name in ("pooled_ucb", "ucb_n")
    ]
    assert logs[0].equals(logs[1])


@pytest.mark.parametrize("name", ["pooled_ucb", "pooled_thompson", "ucb_n", "ucb_max_n", "greedy"])
def test_a_gaussian_problem_is_one_where_every_arm_sees_only_itself(name):
    """The same actions from rewards alone, with the same noise, as from a diagonal matrix."""
    means, sd = [0.5, 0.3, 0.4], [1.0, 0.5, 2.0]
    matrix = np.where(np.eye(3) == 1, sd, INF)
    env = environment("gaussian_side_observations", means=means, sigma=matrix).build(Streams(2, 8))
    shown = agent(name).build(env.problem, Streams(2, 8))
    told = agent(name).build(Problem(n_arms=3, noise_sd=np.array(sd)), Streams(2, 8))
    for t in range(1, 200):
        action = shown.act(t).copy()
        assert (told.act(t) == action).all()
        feedback = env.step(t, action)
        shown.update(t, action, feedback)
        told.update(t, action, Feedback(feedback.reward, feedback.regret))


def test_pooled_thompson_plays_each_arm_with_its_posterior_probability():
    """Posteriors N(0, 1/2) and N(1, 2): arm 1 is larger with probability Phi(1 / sqrt(2.5)). 200 000 draws."""
    size = 200_000
    problem = Problem(n_arms=2, observation_sd=np.array([[2**-0.5, INF], [INF, 2**0.5]]))
    player = PooledThompson(problem, Streams(3, size))
    for arm in (0, 1):
        observations = np.zeros((2, size))
        observations[arm] = arm
        player.update(arm + 1, np.full(size, arm), Feedback(observations[arm], np.zeros(size), observations))
    p = stats.norm.cdf(1 / math.sqrt(2.5))
    assert abs(player.act(3).mean() - p) < 4 * math.sqrt(p * (1 - p) / size)


# --- closed forms and published numbers


@pytest.mark.parametrize(("gap", "published"), [(0.5, 2.13962323), (1.0, 1.30802998)])
def test_greedy_under_full_feedback_pays_the_closed_form(gap, published):
    """Specification, 1.5: with a random first arm, gap / 2 + gap * sum of Phi(-gap sqrt(n / 2)), for ever."""
    n = np.arange(1, 3000)
    exact = gap / 2 + gap * stats.norm.cdf(-gap * np.sqrt(n / 2)).sum()
    assert exact == pytest.approx(published, abs=1e-8)
    regrets = []
    for means in ([gap, 0.0], [0.0, gap]):  # the first arm played is the best one, and the worst one
        world = environment("gaussian_side_observations", means=means, graph="full")
        log = simulate(world, agent("greedy"), horizon=1000, replications=10_000, checkpoints=1)
        regrets.append(log.to_pandas()["regret"].to_numpy())
    mean = 0.5 * (regrets[0].mean() + regrets[1].mean())
    error = 0.5 * math.sqrt(sum(r.var(ddof=1) / len(r) for r in regrets))
    assert abs(mean - exact) < 4 * error
    assert error < 0.03 * exact, "vacuous: the standard error must be small beside the regret"


# Mean regret at T = 1e5 and its standard error over 200 replications: specification, 1.6.
PUBLISHED = {
    ("E1", "pooled_ucb"): (184.8, 3.6),
    ("E1", "pooled_thompson"): (119.3, 5.3),
    ("E3", "pooled_ucb"): (72.6, 1.5),
    ("E3", "pooled_thompson"): (55.1, 1.3),
    ("E3", "ucb_max_n"): (67.7, 1.4),
    ("E3", "ucb1"): (289.4, 4.5),
    ("E4", "pooled_ucb"): (182.2, 3.9),
    ("E5", "pooled_ucb"): (174.0, 3.5),
    ("E9", "pooled_thompson"): (76.1, 1.4),
    ("E9", "ucb_max_n"): (101.7, 1.7),
    ("E9", "ucb1"): (214.8, 3.1),
    ("E10", "pooled_ucb"): (91.3, 2.3),
    ("E10", "pooled_thompson"): (71.4, 2.5),
    ("E10", "ucb1"): (225.9, 4.0),
}


@pytest.mark.parametrize(("instance", "name"), PUBLISHED, ids=str)
def test_mean_regret_is_the_published_one(instance, name):
    mean, error = PUBLISHED[instance, name]
    log = simulate(INSTANCES[instance], agent(name), horizon=100_000, replications=200, checkpoints=1)
    regret = log.to_pandas()["regret"]
    assert abs(regret.mean() - mean) < 4 * math.hypot(error, regret.std() / math.sqrt(200))


@pytest.mark.parametrize(("name", "mean", "error"), [("pooled_ucb", 8.1, 0.9), ("pooled_thompson", 13.6, 0.7)])
def test_under_full_feedback_regret_stops_growing(name, mean, error):
    """Specification, 1.6, E2: the published mean at T = 1e5, and no growth after round 1000."""
    log = simulate(
        INSTANCES["E2"], agent(name), horizon=20_000, replications=1000, checkpoints=[1000, 20_000]
    ).to_pandas()
    early, late = (log[log.t == t]["regret"].to_numpy() for t in (1000, 20_000))
    assert abs(late.mean() - mean) < 4 * math.hypot(error, late.std(ddof=1) / math.sqrt(1000))
    assert (late - early).mean() < 0.02 * mean


@pytest.mark.parametrize("world", ["E5", "E10"])
def test_ucb_max_n_has_linear_regret_on_asymmetric_matrices(world):
    """In a tenth of the replications at least, half of the rounds cost as much as the other half; never so UCB-SO."""
    gap = 0.2
    share = {}
    for name in ("ucb_max_n", "pooled_ucb"):
        log = simulate(
            INSTANCES[world], agent(name), horizon=20_000, replications=300, checkpoints=[10_000, 20_000]
        ).to_pandas()
        growth = log[log.t == 20_000]["regret"].to_numpy() - log[log.t == 10_000]["regret"].to_numpy()
        share[name] = (growth >= 0.95 * gap * 10_000).mean()
    assert share["ucb_max_n"] > 0.1
    assert share["pooled_ucb"] == 0.0


# --- degenerate instances


EVERYONE = [
    agent(name)
    for name in (
        "pooled_ucb",
        "pooled_thompson",
        "ucb_n",
        "ucb_max_n",
        "greedy",
        "ucb_lp",
        "lp_tracking",
        "lp_thompson",
        "ossb",
        "wgs",
    )
] + [agent("epsilon_greedy_lp", d=0.1)]
everyone = pytest.mark.parametrize("player", EVERYONE, ids=lambda spec: spec.name)


def final(world: Spec, player: Spec, horizon: int = 200) -> np.ndarray:
    regret = simulate(world, player, horizon=horizon, replications=8, seed=3).to_pandas()["regret"].to_numpy()
    assert np.isfinite(regret).all()
    return regret


@everyone
def test_equal_arms_cost_nothing(player):
    assert (final(environment("gaussian_side_observations", means=[0.3] * 4, graph="cycle"), player) == 0).all()


@everyone
def test_a_tie_for_the_best_is_played(player):
    final(environment("gaussian_side_observations", means=[0.9, 0.9, 0.1], graph="star"), player)


@everyone
def test_two_arms_that_see_only_each_other_are_played(player):
    """E7c: what an arm is worth is learned by playing the other one."""
    final(INSTANCES["E7c"], player)


@everyone
@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1e6, 1e200])
def test_noise_of_any_size_gives_no_nan(player, scale):
    sigma = [[scale, 1e-6, INF], [1e6, scale, 1.0], [scale, INF, 1.0]]
    final(environment("gaussian_side_observations", means=[0.5, 0.2, 0.1], sigma=sigma), player)


@everyone
def test_without_noise_the_first_look_tells_all(player):
    """Full feedback with sigma 0: greedy agents never err after the first round."""
    world = environment("gaussian_side_observations", means=[0.1, 0.4, 0.9], sigma=0.0, graph="full")
    if player.name in ("epsilon_greedy_lp", "ucb_lp"):
        final(world, player)  # they go on exploring
    else:
        assert (np.diff(final(world, player).reshape(8, -1), axis=1) == 0).all()


def test_a_noiseless_observation_overrides_all_others():
    """sigma 0 is information 1e150: the value is kept whatever is seen with noise before or after."""
    problem = Problem(n_arms=2, observation_sd=np.array([[1.0, 0.0], [INF, 1.0]]))
    player = Greedy(problem, Streams(size=2))
    for arm, value in ((1, 7.0), (0, 0.25), (1, -9.0), (1, 1e6), (0, 0.25)):
        observations = np.full((2, 2), value)
        player.update(1, np.full(2, arm), Feedback(observations[arm], np.zeros(2), observations))
        if value == 0.25:
            assert player.mean[1] == pytest.approx([0.25, 0.25], rel=1e-12)
    assert np.isfinite([player.mean, player.width, player.information]).all()


def test_fewer_rounds_than_arms_to_see():
    world = environment("gaussian_side_observations", means=[0.1 * k for k in range(9)], graph="standard")
    for player in EVERYONE:
        assert (final(world, player, horizon=4)[-1:] > 0).all()


@pytest.mark.parametrize("c", [-1.0, INF])
def test_pooled_ucb_refuses_a_negative_or_infinite_c(c):
    with pytest.raises(BadParameter, match="c must be"):
        agent("pooled_ucb", c=c).build(Problem(n_arms=1, noise_sd=np.ones(1)), Streams(size=2))


def test_a_larger_c_explores_more():
    few, more = (
        simulate(INSTANCES["E3"], agent("pooled_ucb", c=c), horizon=2000, replications=300)
        .to_pandas(at=2000)["regret"]
        .mean()
        for c in (0.0, 3.0)
    )
    assert more > 1.2 * few
