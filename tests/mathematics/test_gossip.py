"""Gossiping agents: against a slow obvious simulation, and who can know what when."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from bandits import Streams, agent, environment
from bandits.agents import Gosine
from bandits.experiment import Cell
from bandits.jobs import SimulationJob
from bandits.network import Design, Network
from bandits.registry import entries
from bandits.specs import Spec

SEED, SIZE, HORIZON = 3, 3, 400
TWO = environment("collaborative", n_learners=6, n_bandits=2, n_arms=12)
ONE = environment("collaborative", n_learners=5, n_bandits=1, n_arms=15)
RING = environment("collaborative", n_learners=6, n_bandits=3, n_arms=12, network="ring", rewards="gaussian", sd=0.4)

POPULATION_AGENTS = [e.name for e in entries("agent") if getattr(e.target, "plays_population", False)]
CENTRALISED = ["centralised_ucb", "full_sharing"]
DECENTRALISED = [name for name in POPULATION_AGENTS if name not in CENTRALISED]
GOSSIP = [name for name in DECENTRALISED if name != "isolated_ucb"]


def build(env_spec: Spec, spec: Spec, size: int = SIZE):
    cell = Cell(env_spec, spec, SEED, (HORIZON,), size)
    env = cell.build_environment(Streams(SEED, size))
    return env, cell.build_agent(env, Streams(SEED, size))


def play(env, player, horizon: int = HORIZON, change=lambda t, reward: None):
    """Actions, int64 (T, N, B); ``change`` may alter what the agent is told it earned."""
    actions = []
    for t in range(1, horizon + 1):
        action = player.act(t, None)
        actions.append(action.copy())
        feedback = env.step(t, action)
        change(t, feedback.reward)
        player.update(t, action, feedback)
    return np.array(actions)


# --- a slow simulation of one replication, with dictionaries and lists, as the papers' pseudo-code reads


class Learner:
    def __init__(self, arms: list[int], n_sticky: int) -> None:
        self.arms, self.n_sticky = list(arms), n_sticky
        self.count: dict[int, int] = {}
        self.sum: dict[int, float] = {}
        self.plays: dict[int, int] = {}  # in this phase
        self.offer = arms[0]

    def choose(self, t: int, scale: float) -> int:
        def index(arm: int) -> float:
            n = self.count.get(arm, 0)
            return self.sum[arm] / n + scale * math.sqrt(4.0 * math.log(t) / n) if n else math.inf

        return max(self.arms, key=index)  # the first of equals

    def learn(self, arm: int, reward: float) -> None:
        self.count[arm] = self.count.get(arm, 0) + 1
        self.sum[arm] = self.sum.get(arm, 0.0) + reward
        self.plays[arm] = self.plays.get(arm, 0) + 1

    def end_phase(self) -> None:
        self.offer = max(self.arms, key=lambda arm: self.plays.get(arm, 0))
        dynamic = self.arms[self.n_sticky :]
        winner = max(dynamic, key=lambda arm: self.plays.get(arm, 0))
        at = self.arms.index(winner)
        self.arms[self.n_sticky], self.arms[at] = self.arms[at], self.arms[self.n_sticky]
        self.plays = {}

    def adopt(self, arm: int, slot: int) -> None:
        if arm not in self.arms:
            self.arms[slot] = arm
            self.plays.pop(arm, None)


class Slow:
    """One replication of a gossiping population; subclasses say who asks whom."""

    def __init__(self, env, lane: int, n_sticky: int, dynamic: int = 2) -> None:
        self.env, self.lane, self.bandit = env, lane, env.bandit
        self.n_learners, self.n_arms = len(env.bandit), env.means.shape[1]
        self.streams = Streams(SEED, SIZE)
        self.scale = 2.0 * env.problem.noise_sd[0] if env.problem.noise_sd is not None else 1.0
        self.learners = [
            Learner([(q * n_sticky + s) % self.n_arms for s in range(n_sticky + dynamic)], n_sticky)
            for q in self.ranks()
        ]

    def ranks(self) -> list[int]:
        return [int((self.bandit[:i] == m).sum()) for i, m in enumerate(self.bandit)]

    def network_uniforms(self, t: int) -> np.ndarray:
        return self.streams.network.uniforms(t, 4 * self.n_learners)[:, self.lane]

    def partner(self, weights: np.ndarray, uniform: float) -> int:
        return int(np.searchsorted(np.cumsum(weights), uniform * weights.sum(), side="right"))

    def play(self, horizon: int) -> np.ndarray:
        actions = []
        for t in range(1, horizon + 1):
            if self.scale == 1.0:
                noise = self.streams.reward.uniforms(t, self.n_learners)[:, self.lane]
            else:
                noise = self.streams.reward.normals(t, self.n_learners)[:, self.lane]
            row = []
            for i, learner in enumerate(self.learners):
                arm = learner.choose(t, self.scale)
                mean = self.env.means[self.bandit[i], arm]
                sd = 0.5 * self.scale
                learner.learn(arm, float(noise[i] < mean) if self.scale == 1.0 else mean + sd * noise[i])
                row.append(arm)
            self.after(t)
            actions.append(row)
        return np.array(actions)

    def after(self, t: int) -> None:
        if round(t ** (1 / 3)) ** 3 == t:
            self.end_phases(t)

    def end_phases(self, t: int) -> None:
        for learner in self.learners:
            learner.end_phase()
        u = self.network_uniforms(t)
        for i, learner in enumerate(self.learners):
            learner.adopt(self.learners[self.partner(self.weights(i), u[i])].offer, -1)

    def weights(self, i: int) -> np.ndarray:
        return self.env.gossip[i]


class SlowGlobal(Slow):
    def ranks(self):
        return list(range(self.n_learners))


class SlowSequential(SlowGlobal):
    """As the authors' code: one after the other; the partner's list is that of the moment, its plays the phase's."""

    def end_phases(self, t):
        plays = [dict(learner.plays) for learner in self.learners]
        u = self.network_uniforms(t)
        for i, learner in enumerate(self.learners):
            a, b = learner.arms[-2:]
            if plays[i].get(a, 0) < plays[i].get(b, 0):
                learner.arms[-2:] = [b, a]
            q = self.partner(self.weights(i), u[i])
            learner.adopt(max(self.learners[q].arms, key=lambda arm: plays[q].get(arm, 0)), -1)
        for learner in self.learners:
            learner.plays = {}


class SlowSameBandit(Slow):
    def weights(self, i):
        return np.where(self.bandit == self.bandit[i], self.env.gossip[i], 0.0)


class SlowAsync(SlowGlobal):
    def play(self, horizon):
        self.phase, self.end = [0] * self.n_learners, [0] * self.n_learners
        for i in range(self.n_learners):
            self.draw(i)
        return super().play(horizon)

    def draw(self, i: int) -> None:
        self.phase[i] += 1
        j = self.phase[i]
        low = j**3 - (j - 1) ** 3
        uniform = self.streams.agent.uniforms(j, self.n_learners)[i, self.lane]
        self.end[i] += low + int(uniform * (math.ceil(1.5 * low) - low + 1))

    def after(self, t):
        ending = [i for i in range(self.n_learners) if self.end[i] == t]
        for i in ending:
            self.learners[i].end_phase()
            self.draw(i)
        u = self.network_uniforms(t)
        for i in ending:
            self.learners[i].adopt(self.learners[self.partner(self.weights(i), u[i])].offer, -1)


class SlowAware(Slow):
    def __init__(self, env, lane, n_sticky, r):
        super().__init__(env, lane, n_sticky, dynamic=3)
        ranks = self.ranks()
        label = [(self.bandit[i], ranks[i] // r) for i in range(self.n_learners)]
        self.group = [[n for n in range(self.n_learners) if label[n] == label[i]] for i in range(self.n_learners)]

    def end_phases(self, t):
        for learner in self.learners:
            learner.end_phase()
        u = self.network_uniforms(t)
        inbox = [[] for _ in self.learners]
        for i, group in enumerate(self.group):
            q = self.partner(self.weights(i), u[i])
            arm = self.learners[q].offer
            to = i if q in group else group[arm % len(group)]
            inbox[to].append((i, arm))
        for i, group in enumerate(self.group):
            if len(group) > 1:
                among = np.array([float(n in group and n != i) for n in range(self.n_learners)])
                p = self.partner(among, u[2 * self.n_learners + i])
                self.learners[i].adopt(self.learners[p].offer, -1)
        pick = self.streams.agent.uniforms(t, self.n_learners)[:, self.lane]
        for i, messages in enumerate(inbox):
            if messages:
                self.learners[i].adopt(messages[int(pick[i] * len(messages))][1], -2)


SLOW = {
    "gosine": (ONE, agent("gosine"), lambda env, b: SlowGlobal(env, b, 3)),
    "sequential": (ONE, agent("gosine", sequential=True), lambda env, b: SlowSequential(env, b, 3)),
    "async": (ONE, agent("gosine_async"), lambda env, b: SlowAsync(env, b, 3)),
    "several bandits": (TWO, agent("gosine_context_unaware"), lambda env, b: Slow(env, b, 4)),
    "gaussian": (RING, agent("gosine_context_aware", r=2), lambda env, b: SlowAware(env, b, 6, 2)),
    "same bandit": (TWO, agent("same_bandit_gosine"), lambda env, b: SlowSameBandit(env, b, 4)),
    "r = 1": (TWO, agent("gosine_context_aware", r=1), lambda env, b: SlowAware(env, b, 4, 1)),
    "r = 2": (TWO, agent("gosine_context_aware", r=2), lambda env, b: SlowAware(env, b, 4, 2)),
    "r = 3": (TWO, agent("gosine_context_aware", r=3), lambda env, b: SlowAware(env, b, 4, 3)),
}


@pytest.mark.parametrize("which", SLOW)
def test_it_plays_as_the_slow_simulation_does(which):
    """Every action of every learner, 400 rounds or 7 phases, three replications."""
    env_spec, spec, slow = SLOW[which]
    env, player = build(env_spec, spec)
    actions = play(env, player)
    for b in range(SIZE):
        assert (actions[:, :, b] == slow(env, b).play(HORIZON)).all()


def test_the_slow_simulation_depends_on_gossip():
    """So the comparison above is no comparison of silent learners."""
    env, player = build(TWO, agent("gosine_context_unaware"))
    first = player.arms.copy()
    play(env, player)
    assert (player.arms != first).any(axis=(1, 2)).sum() >= 4


# --- identities


@pytest.mark.parametrize("network", ["complete", "ring"])
def test_with_one_bandit_the_context_unaware_agent_is_gosine_to_the_bit(network):
    env = ONE.with_parameters(network=network)
    logs = [
        SimulationJob(Cell(env, agent(name), SEED, (10, 100, 3000), 20)).run(0, 20)
        for name in ("gosine", "gosine_context_unaware", "same_bandit_gosine")
    ]
    assert logs[0].equals(logs[1])
    assert logs[0].equals(logs[2])


def test_gossiping_in_turn_as_in_the_authors_code_changes_nothing():
    """What a learner recommends is never what it drops."""
    logs = [
        SimulationJob(Cell(env, agent("gosine", sequential=s), SEED, (10, 100, 3000), 20)).run(0, 20)
        for s in (False, True)
        for env in (ONE, TWO)
    ]
    assert logs[0].equals(logs[2])
    assert logs[1].equals(logs[3])


def test_lists_of_all_arms_play_like_no_communication():
    """With a full sticky set gossip changes nothing."""
    logs = [
        SimulationJob(Cell(TWO, spec, SEED, (10, 1000), 20)).run(0, 20).select(["regret", "reward"])
        for spec in (agent("isolated_ucb"), agent("gosine_context_unaware", sticky_size=12))
    ]
    assert logs[0].equals(logs[1])


@pytest.mark.parametrize("name", GOSSIP)
def test_sticky_arms_stay_lists_keep_their_length_and_no_arm_twice(name):
    env, player = build(TWO, agent(name))
    first, sticky = player.arms.shape, player.arms[:, : player.n_sticky].copy()
    for t in range(1, 200):
        action = player.act(t)
        assert player.holds(action[:, 0])[:, 0].all(), "what it plays is on its list"
        player.update(t, action, env.step(t, action))
        assert player.arms.shape == first
        assert (player.arms[:, : player.n_sticky] == sticky).all()
        ordered = np.sort(player.arms, axis=1)
        assert (np.diff(ordered, axis=1) > 0).all()


ONE_A_PHASE = [
    agent("gosine"),
    agent("gosine_context_unaware"),
    agent("same_bandit_gosine"),
    agent("gosine_context_aware", r=1),
]


@pytest.mark.parametrize(
    ("spec", "per_phase"), [*((spec, 1) for spec in ONE_A_PHASE), (agent("gosine_context_aware", r=3), 2)]
)
def test_messages_are_one_per_learner_and_phase_and_one_more_with_peers(spec, per_phase):
    env, player = build(TWO, spec)
    play(env, player, 130)  # phases end in rounds 1, 8, 27, 64, 125
    assert (env.log(130)["messages"] == 5 * per_phase).all()
    assert (env.log(130)["bits"] == 5 * per_phase * 4).all(), "12 arms have numbers of 4 bits"


# --- information moves along messages only


def influence(env_spec: Spec, spec: Spec, source: int, change):
    """Play with and without changed rewards of one learner.

    Returns:
        Whether each action differs, and whether a message path from the source may have reached the learner before,
        both (T, N, B).
    """
    runs, heard = [], []
    for altered in (False, True):
        env, player = build(env_spec, spec)
        passed: list[tuple[int, np.ndarray, np.ndarray]] = []
        arrivals = env.network.arrivals

        def spy(t, arrivals=arrivals, passed=passed):
            found = arrivals(t)
            passed.extend((t, m.sender.copy(), m.receiver.copy()) for m in found)
            return found

        env.network.arrivals = spy
        runs.append(play(env, player, change=change if altered else lambda t, reward: None))
        heard.append(passed)
    reached = np.zeros_like(runs[0], dtype=bool)
    for b in range(SIZE):
        knows = {source}
        messages = [
            (t, int(n), int(i))
            for passed in heard
            for t, senders, receivers in passed
            for n, i in zip(senders[:, b], receivers[:, b], strict=True)
        ]
        for t in range(1, HORIZON + 1):
            reached[t - 1, list(knows), b] = True
            now = [(n, i) for at, n, i in messages if at == t and n >= 0]
            for _ in range(2):  # in a round learners may speak one after the other
                knows |= {i for n, i in now if n in knows}
    return runs[0] != runs[1], reached


def flip(source: int):
    def change(t, reward):
        reward[source] = 1.0 - reward[source]

    return change


def assert_moves_along_messages_only(name: str) -> None:
    differs, reached = influence(TWO, agent(name), 2, flip(2))
    assert differs[:, 2].any(), "its own rewards matter to a learner"
    assert not (differs & ~reached).any(), "an action differs that no message path explains"


@pytest.mark.parametrize("name", DECENTRALISED)
def test_a_learner_s_rewards_change_nothing_elsewhere_until_a_message_path_exists(name):
    assert_moves_along_messages_only(name)


@pytest.mark.parametrize("name", GOSSIP)
def test_and_something_after(name):
    differs, reached = influence(TWO, agent(name), 2, flip(2))
    others = np.arange(6) != 2
    assert not differs[0].any()
    assert (reached & differs)[:, others].any()
    assert not reached[:, others].all()


@pytest.mark.parametrize("name", CENTRALISED)
def test_the_check_fails_for_agents_that_share_rewards(name):
    with pytest.raises(AssertionError, match="no message path"):
        assert_moves_along_messages_only(name)


def test_nothing_moves_without_a_path():
    """Two components that never meet, and a learner that is away all the time."""
    apart = TWO.with_parameters(splits=[[1, HORIZON, 3]], away=[[5, 1, HORIZON]])
    for name in GOSSIP:
        differs, reached = influence(apart, agent(name), 2, flip(2))
        assert not differs[:, 3:].any()
        assert not reached[:, 3:].any()
        assert reached[:, :2].any()


# --- the network


def complete(n: int) -> np.ndarray:
    return (np.ones((n, n)) - np.eye(n)) / (n - 1)


def offers(n: int, size: int) -> np.ndarray:
    return np.repeat(np.arange(n)[:, None], size, axis=1)


# a table of cases, which the formatter would spread over a line each
@pytest.mark.parametrize(("n", "group", "phases"), [(24, 6, 17.508527), (40, 5, 32.501412), (20, 10, 10.746780),
                                                    (15, 15, 5.996704), (6, 6, 3.809038)])  # fmt: skip
def test_an_arm_spreads_by_pulls_as_fast_as_its_markov_chain(n, group, phases):
    """One informed of a group; the project's specification, 2.6: expected phases until all are, within 4 errors."""
    size = 1500
    network = Network(Streams(11, size).network, complete(n), 8)
    informed = np.zeros((n, size), dtype=np.int64)
    informed[0] = 1
    took = np.zeros(size)
    for t in range(1, 400):
        if (took > 0).all():
            break
        network.pull(t, informed)
        (answer,) = network.arrivals(t)
        informed[:group] |= answer.arm[:group]
        took[(took == 0) & informed[:group].all(axis=0)] = t
    assert (took > 0).all()
    assert abs(took.mean() - phases) <= 4 * took.std() / math.sqrt(size)


def test_partners_follow_the_gossip_matrix():
    gossip = np.array([[0.0, 0.3, 0.7], [0.5, 0.0, 0.5], [0.0, 0.0, 0.0]])
    size = 20_000
    network = Network(Streams(1, size).network, gossip, 8)
    network.pull(5, offers(3, size))
    (answer,) = network.arrivals(5)
    for i in range(2):
        for n in range(3):
            p = gossip[i, n]
            assert abs((answer.sender[i] == n).mean() - p) <= 4.5 * math.sqrt(p * (1 - p) / size)
    assert (answer.sender[2] == -1).all(), "a row of zeros asks nobody"
    assert (answer.arm == answer.sender).all()
    assert network.messages.tolist() == [[1] * size, [1] * size, [0] * size]


def test_an_answer_is_as_of_the_question_and_arrives_after_the_delay():
    network = Network(Streams(1, 50).network, complete(4), 8, delay=3)
    network.pull(7, offers(4, 50))
    network.pull(8, offers(4, 50) + 4)
    assert [len(network.arrivals(t)) for t in (7, 8, 9)] == [0, 0, 0]
    assert (network.arrivals(10)[0].arm < 4).all()
    assert (network.arrivals(11)[0].arm >= 4).all()
    assert network.arrivals(12) == []


def test_lost_answers_are_counted_and_do_not_arrive():
    size, loss = 5000, 0.3
    network = Network(Streams(1, size).network, complete(4), 8, loss=loss)
    network.pull(7, offers(4, size))
    (answer,) = network.arrivals(7)
    lost = (answer.arm == -1).mean()
    assert abs(lost - loss) <= 4.5 * math.sqrt(loss * (1 - loss) / (4 * size))
    assert (network.messages == 1).all()
    whole = Network(Streams(1, size).network, complete(4), 8)
    whole.pull(7, offers(4, size))
    (other,) = whole.arrivals(7)
    assert (other.arm == answer.arm)[answer.arm >= 0].all(), "loss moves no partner"


def test_nobody_is_sent_more_than_the_budget():
    network = Network(Streams(1, 9).network, complete(4), 8, budget=3)
    arrived = 0
    for t in range(1, 8):
        network.pull(t, offers(4, 9))
        arrived += (network.arrivals(t)[0].arm >= 0).sum()
    assert (network.messages == 3).all()
    assert arrived == 3 * 4 * 9


def test_who_is_away_neither_asks_nor_answers_until_it_returns():
    network = Network(Streams(1, 500).network, complete(4), 8, away=[[1, 5, 6]])
    for t in (4, 5, 6, 7):
        network.pull(t, offers(4, 500))
        (answer,) = network.arrivals(t)
        heard, told = (answer.arm[1] >= 0).any(), (answer.arm == 1).any()
        assert (heard, told) == ((False, False) if t in (5, 6) else (True, True))
        assert (answer.arm[[0, 2, 3]] >= 0).any(axis=1).all()


def test_no_message_passes_between_the_parts_of_a_split_network_until_it_heals():
    network = Network(Streams(1, 500).network, complete(5), 8, splits=[[5, 6, 2]])
    for t in (4, 5, 6, 7):
        network.pull(t, offers(5, 500))
        (answer,) = network.arrivals(t)
        crossed = (answer.arm[:2] >= 2).any() or ((answer.arm[2:] >= 0) & (answer.arm[2:] < 2)).any()
        assert crossed == (t in (4, 7))


def test_groups_are_of_one_bandit_and_the_last_may_be_smaller():
    design = Design(np.array([0, 1, 0, 0, 1, 0, 0]))
    assert design.rank.tolist() == [0, 0, 1, 2, 1, 3, 4]
    assert design.groups(2).tolist() == [[0, 2], [1, 4], [0, 2], [3, 5], [1, 4], [3, 5], [6, -1]]


# --- faults


# a table of cases, which the formatter would spread over a line each
FAULTS = [{"loss": 0.5}, {"loss": 1.0}, {"delay": 100}, {"budget": 2}, {"away": [[0, 1, 150], [3, 100, 300]]},
          {"splits": [[1, 200, 3]]}, {"loss": 0.2, "delay": 5, "budget": 4, "splits": [[1, 100, 2]]}]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("name", GOSSIP)
def test_faults_cost_no_rows_and_no_bits(name, fault):
    cell = Cell(TWO.with_parameters(**fault), agent(name), SEED, (1, 50, HORIZON), 6, ("learners",))
    log = SimulationJob(cell, 6).run(0, 6)
    assert log.num_rows == 6 * 3 * 6
    assert log.equals(SimulationJob(cell, 2).run(0, 6).combine_chunks())
    assert (np.diff(log["regret"].to_numpy().reshape(6, 3, 6), axis=1) >= 0).all()


def test_gosine_without_answers_keeps_its_first_arms():
    env, player = build(ONE.with_parameters(loss=1.0), agent("gosine"))
    assert isinstance(player, Gosine)
    arms = np.sort(player.arms, axis=1)
    play(env, player)
    assert (np.sort(player.arms, axis=1) == arms).all()


def test_a_population_that_cannot_spread_an_arm_is_told_so():
    from bandits import Experiment

    ring = environment("collaborative", n_learners=8, n_bandits=4, n_arms=16, network="ring")
    with pytest.warns(UserWarning, match=r"bandit 0: learners 4 \(no path of gossip\); bandit 1: learners 5"):
        Experiment(
            name="x", environments=[ring], agents=[agent("gosine_context_unaware")], horizon=9, replications=2
        ).cells()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # peers reach each other without the ring, and no communication needs no path
        Experiment(
            name="x",
            environments=[ring],
            agents=[agent("gosine_context_aware", r=2), agent("isolated_ucb"), agent("centralised_ucb")],
            horizon=9,
            replications=2,
        ).cells()


def test_a_best_arm_that_nobody_keeps_is_named():
    from bandits import Experiment

    means = [[0.1, 0.2, 0.3, 0.9, 0.1, 0.1, 0.1, 0.1], [0.9, 0.1, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1]]
    spec = agent("gosine_context_unaware", sticky_size=1)
    env = environment("collaborative", n_learners=4, means=means)
    with pytest.warns(UserWarning, match=r"bandit 0: learners 0, 2 \(nobody keeps arm 3\)"):
        Experiment(name="x", environments=[env], agents=[spec], horizon=9, replications=2).cells()


@pytest.mark.parametrize("name", GOSSIP)
def test_phases_that_outgrow_every_number_end_never(name):
    cells = [
        SimulationJob(Cell(TWO, agent(name, beta=beta), SEED, (60,), 2)).run(0, 2).to_pandas()
        for beta in (11.0, 40.0, 1e6)
    ]
    for column in ("regret", "messages"):  # phase 1 ends in round 1, phase 2 in round 2^beta, and so none before 60
        assert (cells[0][column] == cells[1][column]).all()
        assert (cells[0][column] == cells[2][column]).all()


def test_an_asynchronous_phase_may_be_as_long_as_one_likes():
    table = SimulationJob(Cell(TWO, agent("gosine_async", slack=1e300), SEED, (60,), 2)).run(0, 2).to_pandas()
    assert (table["messages"] == 0).all()
