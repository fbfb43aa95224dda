"""Agents that explore as the lower bound says: against their rules on recorded plays, and published simulations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits import Problem, Streams, agent, simulate
from bandits.errors import BadParameter
from bandits.experiments import WORKED_INSTANCES as INSTANCES
from bandits.information_lp import lower_bound

INF = math.inf

# --- a play recorded, and the rules applied anew to the whole record


class Record:
    """What one replication has seen, and the rules written the obvious way, each program solved from the start."""

    def __init__(self, sigma: np.ndarray) -> None:
        self.sigma, self.precision = sigma, sigma**-2.0
        self.n_arms = len(sigma)
        self.pulls = [0] * self.n_arms
        self.seen: list[list[tuple[float, float]]] = [[] for _ in sigma]
        self.explored = 0

    def absorb(self, action: int, values: np.ndarray) -> None:
        self.pulls[action] += 1
        for j in range(self.n_arms):
            if self.precision[action, j] > 0:
                self.seen[j].append((values[j], self.precision[action, j]))

    def estimate(self) -> tuple[np.ndarray, np.ndarray]:
        means = [np.average([v for v, _ in s], weights=[w for _, w in s]) for s in self.seen]
        return np.array(means), np.array([sum(w for _, w in s) for s in self.seen])

    def best_observer(self, j: int) -> int:
        return int(np.argmax(self.precision[:, j]))

    def track(self, budget: float, certain: bool, a: float = 0.5, b: float = 0.5) -> int:
        mean, information = self.estimate()
        leader, arms = int(np.argmax(mean)), range(self.n_arms)
        if certain:
            return leader
        self.explored += 1
        looks = information / self.precision.max(axis=0)
        if looks.min() < a * self.explored**b / self.n_arms:
            return self.best_observer(int(np.argmin(looks)))
        wanted = lower_bound(mean, self.sigma, kind="graves_lai").allocation * budget
        short = [i for i in arms if i != leader and wanted[i] > 1e-12 * budget and self.pulls[i] < wanted[i]]
        candidates = short if self.precision[leader, leader] == 0 else [leader, *short]
        if candidates:
            return min(candidates, key=lambda i: (self.pulls[i], i != leader, i))
        rival = min((j for j in arms if j != leader), key=lambda j: evidence(mean, information, leader, j))
        return self.best_observer(rival if information[rival] < information[leader] else leader)

    def lp_tracking(self, t: int, c: float) -> int:
        mean, information = self.estimate()
        leader = int(np.argmax(mean))
        budget = math.log(t) + c * math.log(max(math.log(t), 1.0))
        rivals = [j for j in range(self.n_arms) if j != leader]
        return self.track(budget, all(evidence(mean, information, leader, j) >= budget for j in rivals))

    def wgs(self, t: int) -> int:
        mean, information = self.estimate()
        leader, budget = int(np.argmax(mean)), 4 * 2.01 * math.log(t)
        gaps = np.delete(mean[leader] - mean, leader)
        enough = np.delete(information, leader) / budget >= 2 / gaps**2
        return self.track(budget, bool(enough.all() and information[leader] / budget >= 2 / gaps.min() ** 2))

    def ossb(self, t: int) -> int:
        mean, _ = self.estimate()
        wanted = lower_bound(mean, self.sigma, kind="graves_lai").allocation
        leader, arms = int(np.argmax(mean)), range(self.n_arms)
        if all(self.pulls[i] >= wanted[i] * math.log(t) for i in arms if i != leader):
            return leader
        self.explored += 1
        fewest = min(arms, key=lambda i: self.pulls[i])
        if self.pulls[fewest] <= 0.01 * self.explored:
            return fewest
        return min((i for i in arms if wanted[i] > 0 and i != leader), key=lambda i: self.pulls[i] / wanted[i])


def evidence(mean: np.ndarray, information: np.ndarray, i: int, j: int) -> float:
    """Log-likelihood ratio of the best explanation where arm j is at least as good as arm i."""
    return (mean[i] - mean[j]) ** 2 / 2 * information[i] * information[j] / (information[i] + information[j])


RULES = {
    "lp_tracking": (agent("lp_tracking"), lambda record, t: record.lp_tracking(t, 0.0)),
    "lp_tracking c=3": (agent("lp_tracking", c=3.0), lambda record, t: record.lp_tracking(t, 3.0)),
    "wgs": (agent("wgs"), lambda record, t: record.wgs(t)),
    "ossb": (agent("ossb"), lambda record, t: record.ossb(t)),
}


@pytest.mark.parametrize("instance", ["E1", "E5", "E10", "E11", "E7c"])
@pytest.mark.parametrize("rule", RULES)
def test_it_plays_what_the_rule_says_of_the_whole_record(rule, instance):
    spec, decide = RULES[rule]
    env = INSTANCES[instance].build(Streams(5, 4))
    player, sigma = spec.build(env.problem, Streams(5, 4)), env.problem.observation_sd
    records = [Record(sigma) for _ in range(4)]
    for t in range(1, 151):
        action = player.act(t).copy()
        feedback = env.step(t, action)
        for lane, record in enumerate(records):
            unseen = [j for j, seen in enumerate(record.seen) if not seen]
            due = record.best_observer(unseen[0]) if unseen else decide(record, t)
            assert action[lane] == due, f"round {t}"
            record.absorb(due, feedback.observations[:, lane])
        player.update(t, action, feedback)
    assert [record.explored for record in records] == player.explored.tolist()


@pytest.mark.parametrize("instance", ["E1", "E9", "E12"])
def test_solving_in_every_round_plays_the_same(instance):
    """Every optimum of these instances is unique, so it does not matter from which basis a program starts."""
    lazy, eager = (
        simulate(INSTANCES[instance], agent("lp_tracking", always_solve=flag), horizon=2000, replications=8)
        for flag in (False, True)
    )
    assert lazy.to_pandas()["regret"].equals(eager.to_pandas()["regret"])


@pytest.mark.parametrize("instance", ["E1", "E3", "E5", "E10", "E11", "E7c", "E5d"])
def test_lp_thompson_resolves_the_doubt_that_a_sample_raises(instance):
    """The samples are pooled Thompson's; what is played in their place follows from the whole record."""
    env = INSTANCES[instance].build(Streams(5, 4))
    player, sampler = (agent(name).build(env.problem, Streams(5, 4)) for name in ("lp_thompson", "pooled_thompson"))
    sigma = env.problem.observation_sd
    sees, records, asked = np.isfinite(sigma), [Record(sigma) for _ in range(4)], 0
    for t in range(1, 301):
        action, sampled = player.act(t).copy(), sampler.act(t)
        feedback = env.step(t, action)
        for lane, record in enumerate(records):
            due = int(sampled[lane])
            if all(record.seen):
                mean, information = record.estimate()
                leader = int(np.argmax(mean))
                doubt = leader if not sees[leader, leader] and information[leader] < information[due] else due
                if due != leader:
                    asked += 1
                    plays = lower_bound(mean, sigma, kind="graves_lai").allocation
                    if sees[leader, doubt]:
                        due = due if plays[due] > 0 else leader
                    else:
                        observers = [i for i in range(record.n_arms) if plays[i] > 0 and sees[i, doubt]]
                        due = min(observers, key=lambda i: record.pulls[i] / plays[i])
            assert action[lane] == due, f"round {t}"
            record.absorb(due, feedback.observations[:, lane])
        player.update(t, action, feedback)
        sampler.update(t, action, feedback)
    assert asked > 30


@pytest.mark.parametrize(("instance", "same_as"), [("E1", "pooled_thompson"), ("E2", "greedy")])
def test_lp_thompson_at_the_two_ends(instance, same_as):
    """Where arms see only themselves it is Thompson sampling, under full feedback greedy: the same bits."""
    logs = [
        simulate(INSTANCES[instance], agent(name), horizon=500, replications=40).to_pandas()["regret"]
        for name in ("lp_thompson", same_as)
    ]
    assert logs[0].equals(logs[1])


@pytest.mark.parametrize(
    ("instance", "replications"), [("E4", 200), ("E5", 200), ("E10", 400), ("E11", 200), ("E12", 40)]
)
def test_lp_thompson_is_at_most_a_tenth_above_the_better_of_its_parents(instance, replications):
    """At T = 1e3 and 1e4, with two standard errors to spare; all instances up to 1e5 are an experiment."""
    regret = {}
    for name in ("lp_thompson", "lp_tracking", "pooled_thompson"):
        log = simulate(
            INSTANCES[instance], agent(name), horizon=10_000, replications=replications, checkpoints=[1000, 10_000]
        ).to_pandas()
        regret[name] = [at(log, t) for t in (1000, 10_000)]
    for ours, lp, thompson in zip(*regret.values(), strict=True):
        better = min(lp, thompson, key=np.mean)
        mean, error = mean_and_error(ours - 1.1 * better)
        assert mean < 2 * error


# --- published simulations: the project's specification, 1.6; mean and standard error at T = 1e5

PUBLISHED = {
    "lp_tracking": {
        "E1": (215.7, 3.0),
        "E2": (6.99, 0.53),
        "E3": (73.6, 1.4),
        "E4": (214.5, 3.3),
        "E5": (203.1, 2.9),
        "E9": (117.9, 2.1),
        "E10": (102.5, 1.8),
    },
    "lp_tracking c=3": {"E3": (113.6, 1.7), "E5": (340.6, 4.2), "E10": (165.9, 2.5)},
    "ossb": {"E1": (537, 51), "E3": (91.9, 3.4), "E9": (244, 18), "E10": (278, 22)},
    "wgs": {"E1": (1703, 12), "E3": (488, 5), "E9": (660, 4), "E10": (659, 6)},
}
# Of lp_tracking at T = 1e4, 1e3 and 1e2; the table gives no errors, so the sample's own stand in for them.
EARLIER = {
    "E1": (189.8, 133.0, 26.5),
    "E4": (191.3, 126.5, 20.8),
    "E5": (181.3, 135.2, 33.4),
    "E9": (110.4, 105.4, 36.3),
    "E10": (94.9, 83.0, 19.7),
}


@pytest.fixture(scope="module")
def played():
    """Logs of the LP tracker with its pulls, 200 replications, T = 1e5: each instance is played once."""
    logs: dict[str, pd.DataFrame] = {}

    def play(instance: str) -> pd.DataFrame:
        if instance not in logs:
            logs[instance] = simulate(
                INSTANCES[instance],
                agent("lp_tracking"),
                horizon=100_000,
                replications=200,
                checkpoints=[100, 1000, 10_000, 100_000],
                extras=["pulls"],
            ).to_pandas()
        return logs[instance]

    return play


def at(log: pd.DataFrame, t: int) -> np.ndarray:
    return log[log.t == t]["regret"].to_numpy()


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(stats.sem(values))


def constant(instance: str) -> float:
    return float(INSTANCES[instance].build(Streams(0, 2)).bound().constants[0])


@pytest.mark.parametrize("instance", PUBLISHED["lp_tracking"])
def test_lp_tracking_has_the_published_regret(played, instance):
    published, its_error = PUBLISHED["lp_tracking"][instance]
    mean, error = mean_and_error(at(played(instance), 100_000))
    assert abs(mean - published) < 4 * math.hypot(error, its_error)


@pytest.mark.parametrize("instance", EARLIER)
def test_lp_tracking_has_the_published_regret_on_the_way(played, instance):
    for t, published in zip((10_000, 1000, 100), EARLIER[instance], strict=True):
        mean, error = mean_and_error(at(played(instance), t))
        assert abs(mean - published) < 4 * math.hypot(error, error), f"round {t}"


@pytest.mark.parametrize(
    ("rule", "instance"),
    [(rule, instance) for rule in ("lp_tracking c=3", "ossb", "wgs") for instance in PUBLISHED[rule]],
)
def test_the_others_have_the_published_regret(rule, instance):
    published, its_error = PUBLISHED[rule][instance]
    log = simulate(INSTANCES[instance], RULES[rule][0], horizon=100_000, replications=100, checkpoints=1).to_pandas()
    mean, error = mean_and_error(log["regret"].to_numpy())
    assert abs(mean - published) < 4 * math.hypot(error, its_error)


@pytest.mark.parametrize("instance", ["E1", "E4", "E5", "E10"])
def test_lp_tracking_grows_like_the_bound(played, instance):
    """Ratio in [0.9, 1.6] at T = 1e5, and over the last decade at most 1.3 times the bound's growth."""
    log, bound = played(instance), constant(instance)
    late = at(log, 100_000)
    assert 0.9 <= late.mean() / (bound * math.log(100_000)) <= 1.6
    growth, error = mean_and_error(late - at(log, 10_000))
    assert growth <= 1.3 * bound * math.log(10) + 4 * error


@pytest.mark.parametrize("instance", ["E1", "E4", "E5"])
def test_lp_tracking_plays_as_often_as_the_bound_says(played, instance):
    """Within 25 % where more than 50 plays are due at T = 1e5."""
    log, env = played(instance), INSTANCES[instance].build(Streams(0, 2))
    due = lower_bound(env.means, env.sigma).allocation * math.log(100_000)
    pulls = np.stack(log[log.t == 100_000]["pulls"]).mean(axis=0)
    checked = due > 50
    assert checked.sum() >= 2
    assert pulls[checked] == pytest.approx(due[checked], rel=0.25)


def test_under_full_feedback_lp_tracking_stops_paying(played):
    log = played("E2")
    assert (at(log, 100_000) == at(log, 1000)).all()


def test_a_best_arm_that_does_not_see_itself_costs_the_exact_constant():
    """E7b: C ln T is 153.5 at T = 1e5 and the linear program's value half of that, which nobody attains."""
    log = simulate(
        INSTANCES["E7b"], agent("lp_tracking"), horizon=100_000, replications=200, checkpoints=[1000, 100_000]
    )
    for t, published, its_error in ((1000, 93.1, 3.3), (100_000, 153.6, 4.3)):
        mean, error = mean_and_error(at(log.to_pandas(), t))
        assert abs(mean - published) < 4 * math.hypot(error, its_error)
    env = INSTANCES["E7b"].build(Streams(0, 2))
    assert mean - 4 * error > 1.5 * lower_bound(env.means, env.sigma).value * math.log(100_000)


def test_tracking_the_program_wins_where_one_arm_shows_all():
    """E12, the headline: LP tracking below Thompson sampling below UCB, by far, and growing slower."""
    late, growth = {}, {}
    for name in ("lp_tracking", "pooled_thompson", "pooled_ucb"):
        log = simulate(
            INSTANCES["E12"], agent(name), horizon=100_000, replications=50, checkpoints=[10_000, 100_000]
        ).to_pandas()
        late[name] = at(log, 100_000)
        growth[name] = (late[name] - at(log, 10_000)).mean()
    for better, worse in (("lp_tracking", "pooled_thompson"), ("pooled_thompson", "pooled_ucb")):
        gain, error = mean_and_error(late[worse] - late[better])  # paired: they see the same noise
        assert gain > 5 * error
    assert growth["lp_tracking"] < 0.2 * growth["pooled_thompson"]
    published, its_error = 1014.7, 28.0
    mean, error = mean_and_error(late["lp_tracking"])
    assert abs(mean - published) < 4 * math.hypot(error, its_error)


# --- bad parameters


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("lp_tracking", {"c": -1.0}, "c must be at least 0"),
        ("lp_tracking", {"a": 0.6}, "a must lie in"),
        ("lp_tracking", {"b": 1.0}, "b must lie strictly between"),
        ("lp_tracking", {"gap_floor": 0.0}, "gap_floor must lie strictly between"),
        ("wgs", {"alpha": 0.0}, "alpha must be positive"),
        ("wgs", {"a": 0.0}, "a must lie in"),
        ("ossb", {"epsilon": 0.5}, "epsilon must lie in"),
        ("ossb", {"gamma": INF}, "gamma must be at least 0"),
        ("lp_thompson", {"gap_floor": 1.0}, "gap_floor must lie strictly between"),
    ],
)
def test_a_wrong_parameter_is_refused(name, parameters, says):
    with pytest.raises(BadParameter, match=says):
        agent(name, **parameters).build(Problem(n_arms=2, noise_sd=np.ones(2)), Streams(size=2))


def test_programs_are_counted_and_seldom_solved_afresh():
    """Nothing is silently wrong: what failed its certificate is counted, and on this instance it is next to nothing."""
    world = INSTANCES["E10"].build(Streams(1, 64))
    player = agent("lp_tracking").build(world.problem, Streams(1, 64))
    for t in range(1, 2001):
        action = player.act(t)
        player.update(t, action, world.step(t, action))
    solver = player.solver
    assert player.explored.sum() > 0.5 * solver.solves > 1000
    assert solver.restarts + solver.rescued < 1e-3 * solver.solves
