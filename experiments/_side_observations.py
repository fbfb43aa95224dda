"""What the experiments on Gaussian arms that show others share: instances and agents.

The worked instances are those of this project's specification, under their names there.
"""

from bandits import agent, environment
from bandits.specs import Spec

__all__ = ["AGENTS", "RANDOM_FAMILY", "WORKED_INSTANCES"]


def instance(title: str, means: list[float], **who_sees_whom: object) -> Spec:
    """An instance under a title that is shorter than its matrix."""
    return environment("gaussian_side_observations", means=means, **who_sees_whom).named(title)


STEPS = [0.9, 0.7, 0.5, 0.3]
CLOSE = [0.9, 0.85, 0.8]
MIXED = [  # row: arm played, column: arm seen; null: not seen
    [1.0, None, None, None, 2.0],
    [None, 1.0, 2.0, 1.0, None],
    [None, 0.5, 1.0, None, 1.0],
    [1.0, None, 0.8, 0.5, None],
    [None, 1.5, None, 1.0, 1.0],
]
DIRECTED = [
    [1.0, 2.0, None, None, 3.0],
    [2.0, 0.5, 1.5, None, None],
    [None, 1.0, 1.0, 2.0, None],
    [4.0, None, 1.0, 1.0, 0.8],
    [None, None, 2.0, 1.0, 1.2],
]
UNEQUAL = [[0.5, None, None, None], [None, 1.0, None, None], [None, None, 2.0, None], [None, None, None, 1.5]]
BLIND_3 = [[None] * 3, [1.0] * 3, [1.0] * 3]
BLIND_3_MIXED = [[None] * 3, [1.0, 0.5, 2.0], [2.0, 1.0, 0.5]]
BLIND_4 = [[None] * 4, [1.0] * 4, [0.5**0.5] * 4, [2.0**0.5] * 4]

WORKED_INSTANCES = {
    "E1": instance("E1: arms see only themselves", STEPS, graph="standard"),
    "E1b": instance("E1b: the same, unequal noise", STEPS, sigma=UNEQUAL),
    "E2": instance("E2: all arms see all", STEPS, graph="full"),
    "E3": instance("E3: cycle of 6", [1.0, 0.8, 0.5, 0.6, 0.3, 0.7], graph="cycle"),
    "E4": instance("E4: three pairs", [1.0, 0.9, 0.8, 0.7, 0.5, 0.2], graph=[[0, 1], [2, 4], [3, 5]]),
    "E5": instance("E5: arm 0 shows all, arm 1 is best", [0.2, 1.0, 0.8, 0.6, 0.4], graph="revealing"),
    "E5b": instance("E5b: arm 0 shows all, arm 1 is best", [0.2, 1.0, *CLOSE], graph="revealing"),
    "E5c": instance("E5c: star, a leaf is best", [0.2, 1.0, *CLOSE], graph="star"),
    "E5d": instance("E5d: star, the centre is best", [1.0, 0.2, *CLOSE], graph="star"),
    "E6": instance("E6: five arms, directed", [1.0, 0.8, 0.7, 0.4, 0.55], sigma=DIRECTED),
    "E6b": instance("E6b: the same, arm 3 is best", [0.5, 0.8, 0.7, 1.0, 0.55], sigma=DIRECTED),
    "E7b": instance("E7b: the best arm is blind", [1.0, 0.7, 0.5], sigma=BLIND_3),
    "E7c": instance("E7c: two arms that see each other", [1.0, 0.6], sigma=[[None, 1.0], [1.0, None]]),
    "E8": instance("E8: the best arm is blind, 4 arms", [1.0, 0.8, 0.5, 0.6], sigma=BLIND_4),
    "E9": instance("E9: best arm isolated, cycle of 5", [1.0] + [0.5] * 5, graph=[[i, i % 5 + 1] for i in range(1, 6)]),
    "E10": instance("E10: five arms, mixed noise", [1.0, 0.8, 0.7, 0.5, 0.6], sigma=MIXED),
    "E11": instance("E11: the best arm is blind, mixed noise", [1.0, 0.7, 0.5], sigma=BLIND_3_MIXED),
    "E12": instance("E12: 32 arms, arm 0 shows all", [0.5, 1.0] + [0.8] * 30, graph="revealing"),
}

RANDOM_FAMILY = [
    environment(
        "gaussian_side_observations", graph="random", n_arms=10, density=0.3, sigma=[0.5, 2.0], draw=draw
    ).named(f"random {draw}")
    for draw in range(20)
]

AGENTS = [
    agent("lp_tracking"),
    agent("lp_thompson"),
    agent("ossb"),
    agent("wgs"),
    agent("pooled_ucb"),
    agent("pooled_thompson"),
    agent("ucb_n"),
    agent("ucb_max_n"),
    agent("ucb_lp"),
    agent("epsilon_greedy_lp", d=0.1),
    agent("greedy"),
    agent("ucb1").named("ucb1: own rewards only"),
]
