"""UCB-LP and epsilon-greedy-LP: the cover, and the algorithms against slow obvious loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams, agent, environment
from bandits.agents import UCBLP, EpsilonGreedyLP
from bandits.errors import BadParameter
from bandits.specs import Spec

INF = math.inf


def problem(n_arms: int, horizon: int | None = None, **parameters) -> Problem:
    env = environment("gaussian_side_observations", means=[0.0] * n_arms, **parameters).build(Streams(0, 2))
    return Problem(n_arms=n_arms, observation_sd=env.problem.observation_sd, horizon=horizon)


COVERS = {
    "C6": (6, {"graph": "cycle"}, 2.0),
    "C5": (5, {"graph": "cycle"}, 5 / 3),
    "star": (7, {"graph": "star"}, 1.0),
    "revealing": (7, {"graph": "revealing"}, 1.0),
    "cliques": (6, {"graph": [[0, 1], [2, 4, 5]]}, 3.0),
    "standard": (4, {"graph": "standard"}, 4.0),
    "each other only": (2, {"sigma": [[INF, 1], [1, INF]]}, 2.0),
}


@pytest.mark.parametrize("case", COVERS)
def test_the_cover_has_the_known_sum_and_shows_every_arm(case):
    """Specification, 1.4-5: 2 for C6, 5/3 for C5, 1 for a star, the number of cliques for disjoint cliques."""
    n_arms, parameters, total = COVERS[case]
    player = EpsilonGreedyLP(problem(n_arms, **parameters), Streams(size=2), d=0.1)
    assert player.cover_plays.sum() == pytest.approx(total, abs=1e-9)
    assert (player.cover_plays >= 0).all()
    assert (player.side.sees.T @ player.cover_plays >= 1 - 1e-9).all()


def slow_ucb_lp(horizon: int, sigma: np.ndarray, cover: np.ndarray, gaps: bool):
    """One replication as a generator: yields the arm to play, is sent the observations."""
    n_arms = len(sigma)
    values = [[] for _ in range(n_arms)]
    plays = np.zeros(n_arms)
    noise = 2 * sigma[np.isfinite(sigma)].max()

    def take(arm):
        observations = yield arm
        plays[arm] += 1
        for k in np.flatnonzero(np.isfinite(sigma[arm])):
            values[k].append(observations[k])

    left = list(range(n_arms))
    for m in range(math.floor(0.5 * math.log2(horizon / math.e)) + 1):
        if len(left) == 1:
            break
        delta = 2.0**-m
        n = math.ceil(2 * math.log(horizon * delta**2) / delta**2)
        if cover.sum() <= (2 * len(left) * delta if gaps else len(left)) + 1e-9:
            for arm in range(n_arms):
                while plays[arm] < math.ceil(cover[arm] * n - 1e-9):
                    yield from take(arm)
        else:
            for arm in left:
                while len(values[arm]) < n:
                    yield from take(arm)
        r = noise * math.sqrt(math.log(horizon * delta**2) / (2 * n))
        top = max(np.mean(values[k]) for k in left)
        left = [k for k in left if np.mean(values[k]) + r >= top - r]
    while True:
        yield from take(max(left, key=lambda k: np.mean(values[k])))


WORLDS = {
    "cycle": environment("gaussian_side_observations", means=[1.0, 0.2, 0.5, 0.6, 0.1], graph="cycle", sigma=0.3),
    "revealing": environment(
        "gaussian_side_observations", means=[0.2, 1.0, 0.8, 0.6, 0.4], graph="revealing", sigma=0.3
    ),
    "standard": environment("gaussian_side_observations", means=[0.9, 0.1, 0.3], graph="standard", sigma=0.4),
}


@pytest.mark.parametrize("rule", ["arms", "gaps"])
@pytest.mark.parametrize("world", WORLDS)
def test_ucb_lp_plays_what_a_slow_loop_plays(world, rule):
    horizon, size = 1500, 4
    env = WORLDS[world].build(Streams(8, size))
    told = Problem(n_arms=env.problem.n_arms, observation_sd=env.problem.observation_sd, horizon=horizon)
    player = UCBLP(told, Streams(8, size), cover_while=rule)
    slow = [slow_ucb_lp(horizon, env.sigma, player.cover_plays, rule == "gaps") for _ in range(size)]
    due = [next(loop) for loop in slow]
    for t in range(1, horizon):
        action = player.act(t).copy()
        assert action.tolist() == due, f"round {t}"
        feedback = env.step(t, action)
        player.update(t, action, feedback)
        due = [loop.send(feedback.observations[:, lane]) for lane, loop in enumerate(slow)]
    assert player.phase.max() >= 2, "vacuous: no elimination"


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_ucb_lp_plays_horizons_that_are_too_short_for_a_phase(horizon):
    player = UCBLP(problem(3, horizon, graph="cycle"), Streams(size=2))
    for t in range(1, horizon + 1):
        action = player.act(t).copy()
        player.update(t, action, Feedback(np.zeros(2), np.zeros(2), np.zeros((3, 2))))
        assert (action == 0).all()


def played(player: Spec, env: Spec, t: int, size: int, before: int) -> np.ndarray:
    """Actions of round t, after ``before`` rounds."""
    world = env.build(Streams(4, size))
    made = player.build(world.problem, Streams(4, size))
    for s in range(1, before + 1):
        action = made.act(s)
        made.update(s, action, world.step(s, action))
    return made.act(t)


def test_epsilon_greedy_lp_explores_with_its_probability_in_proportion_to_the_cover():
    """Two cliques and a loner without noise: arm 0 leads, Z = 3, and at t = 60 epsilon = 1 * 3 / 60."""
    env = environment("gaussian_side_observations", means=[1.0, 0.1, 0.2, 0.3, 0.4], graph=[[0, 1], [2, 3]], sigma=0.0)
    size, epsilon = 200_000, 3 / 60
    player = agent("epsilon_greedy_lp", d=1.0, c=1.0)
    made = EpsilonGreedyLP(problem(5, graph=[[0, 1], [2, 3]]), Streams(size=2), d=1.0)
    counts = np.bincount(played(player, env, 60, size, 5), minlength=5)
    share = epsilon * made.cover_plays / 3
    share[0] += 1 - epsilon
    error = np.sqrt(share * (1 - share) / size)
    assert (np.abs(counts / size - share) <= 4 * error).all()


def test_epsilon_greedy_lp_only_explores_while_epsilon_is_1():
    env = environment("gaussian_side_observations", means=[0.0, 1.0, 0.9], graph="revealing")
    assert (played(agent("epsilon_greedy_lp", d=0.01), env, 50, 100, 5) == 0).all()


@pytest.mark.parametrize(("name", "parameters"), [("d", {"d": 0.0}), ("c", {"d": 0.1, "c": -1.0})])
def test_epsilon_greedy_lp_refuses_constants_that_are_not_positive(name, parameters):
    with pytest.raises(BadParameter, match=f"{name} must be positive"):
        agent("epsilon_greedy_lp", **parameters).build(problem(2, graph="full"), Streams(size=2))


@pytest.mark.parametrize("name", ["ucb_lp", "ucb_n"])
def test_a_scale_that_is_no_noise_level_is_refused(name):
    with pytest.raises(BadParameter, match="scale must be positive"):
        agent(name, scale=-1.0).build(problem(2, 10, graph="full"), Streams(size=2))


def test_ucb_lp_needs_the_horizon():
    with pytest.raises(BadParameter, match="horizon"):
        agent("ucb_lp").build(problem(2, graph="full"), Streams(size=2))
