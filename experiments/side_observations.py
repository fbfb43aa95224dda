"""Gaussian arms that show others: regret against the information bound, on 27 instances.

Seven are worked examples of this project's specification; twenty are random: 10 arms with means uniform on [0, 1], each
seeing each other one with probability 0.3 at a noise level uniform on [0.5, 2], and itself at level 1. The constants C
come from the linear program of Wu, Gyorgy and Szepesvari (2015). E12 is where the program pays: arm 0 is bad but shows
all others, so C is 25 where a policy that never plays an arm for what it shows pays about 300 ln T. On the small
instances index policies are as good or better at any horizon that can be simulated. UCB-MaxN is linear on E5b and E10,
whose matrices are not symmetric, and greedy play is linear on most; they are here to show it. ucb1 looks at its own
rewards only. Some of the random instances have gaps so small that C ln T is out of reach of any policy at this T.

About an hour on two cores, seconds with --smoke: measured were 11 core minutes at T = 100,000, the random family by three
of its instances; the rest is extrapolated, ten times as long for ten times the rounds.

    bandits plot RUN --kind regret --kind ratio --kind allocation
    bandits plot RUN --kind allocation --environment E10 --agents lp_tracking,pooled_ucb,pooled_thompson

References:
    Wu, Gyorgy and Szepesvari, "Online Learning with Gaussian Payoffs and Side Observations", NeurIPS 2015.
    Atsidakou, Papadigenopoulos, Caramanis, Sanghavi and Shakkottai, "Asymptotically-Optimal Gaussian Bandits with
        Side Observations", ICML 2022.
"""

from bandits import Experiment, agent, environment, register_experiment
from bandits.specs import Spec

MIXED = [  # row: arm played, column: arm seen; null: not seen
    [1.0, None, None, None, 2.0],
    [None, 1.0, 2.0, 1.0, None],
    [None, 0.5, 1.0, None, 1.0],
    [1.0, None, 0.8, 0.5, None],
    [None, 1.5, None, 1.0, 1.0],
]


def instance(title: str, means: list[float] | None = None, **who_sees_whom: object) -> Spec:
    """An instance under a title that is shorter than its matrix."""
    return environment("gaussian_side_observations", means=means, **who_sees_whom).named(title)


EXPERIMENT = register_experiment(
    Experiment(
        name="side_observations",
        summary="Gaussian arms that show others: regret against the information bound, on 27 instances.",
        environments=[
            instance("E1: arms see only themselves", [0.9, 0.7, 0.5, 0.3], graph="standard"),
            instance("E3: cycle of 6", [1.0, 0.8, 0.5, 0.6, 0.3, 0.7], graph="cycle"),
            instance("E4: three pairs", [1.0, 0.9, 0.8, 0.7, 0.5, 0.2], graph=[[0, 1], [2, 4], [3, 5]]),
            instance("E5b: arm 0 shows all, arm 1 is best", [0.2, 1.0, 0.9, 0.85, 0.8], graph="revealing"),
            instance(
                "E9: best arm isolated, cycle of 5", [1.0] + [0.5] * 5, graph=[[i, i % 5 + 1] for i in range(1, 6)]
            ),
            instance("E10: five arms, mixed noise", [1.0, 0.8, 0.7, 0.5, 0.6], sigma=MIXED),
            instance("E12: 32 arms, arm 0 shows all", [0.5, 1.0] + [0.8] * 30, graph="revealing"),
            *(
                instance(f"random {draw}", graph="random", n_arms=10, density=0.3, sigma=[0.5, 2.0], draw=draw)
                for draw in range(20)
            ),
        ],
        agents=[
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
        ],
        horizon=1_000_000,
        replications=100,
        seed=2015,
        extras=("pulls",),
        smoke={"horizon": 2000, "replications": 8},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
