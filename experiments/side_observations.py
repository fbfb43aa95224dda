"""Gaussian arms that show others: regret against the information bound, on 27 instances.

Seven are worked examples of this project's specification; twenty are random: 10 arms with means uniform on [0, 1], each
seeing each other one with probability 0.3 at a noise level uniform on [0.5, 2], and itself at level 1. The constants C
come from the linear program of Wu, Gyorgy and Szepesvari (2015). E12 is where the program pays: arm 0 is bad but shows
all others, so C is 25 where a policy that never plays an arm for what it shows pays about 300 ln T. On the small
instances pooled UCB and Thompson sampling are as good as LP tracking or better up to T = 100,000. UCB-MaxN is linear on
E5b and E10, whose matrices are not symmetric, and greedy play is linear on most; they are here to show it. ucb1 looks
at its own rewards only. Some of the random instances have gaps so small that C ln T is out of reach of any policy at
this T.

About an hour on two cores, seconds with --smoke: measured were 11 core minutes at T = 100,000, the random family by
three of its instances; the rest is extrapolated, ten times as long for ten times the rounds.

    bandits plot RUN --kind regret --kind ratio --kind allocation
    bandits plot RUN --kind allocation --environment E10 --agents lp_tracking,pooled_ucb,pooled_thompson

References:
    Wu, Gyorgy and Szepesvari, "Online Learning with Gaussian Payoffs and Side Observations", NeurIPS 2015.
    Atsidakou, Papadigenopoulos, Caramanis, Sanghavi and Shakkottai, "Asymptotically-Optimal Gaussian Bandits with
        Side Observations", ICML 2022.
"""

from bandits.experiments._side_observations import AGENTS, RANDOM_FAMILY, WORKED_INSTANCES

from bandits import Experiment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="side_observations",
        summary="Gaussian arms that show others: regret against the information bound, on 27 instances.",
        environments=[
            *(WORKED_INSTANCES[name] for name in ("E1", "E3", "E4", "E5b", "E9", "E10", "E12")),
            *RANDOM_FAMILY,
        ],
        agents=AGENTS,
        horizon=1_000_000,
        replications=100,
        seed=2015,
        extras=("pulls",),
        smoke={"horizon": 2000, "replications": 8},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
