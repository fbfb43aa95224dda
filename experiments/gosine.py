"""GosInE: 15 learners of one bandit who gossip, against the same learners alone (Chawla et al., AISTATS 2020).

K = 40 Bernoulli arms, alpha = 4, phases that end in rounds j^3, T = 64,000, 100 replications, as in the authors' code.
Their instance has means 0.95 and 0.85 and the others drawn once from (0, 0.85); the draw here is our own, so curves
compare with theirs in shape only. The even grid of means, on the complete network and on a ring, is this project's
reference instance. A minute on two cores.

References:
    Chawla, Sankararaman, Ganesh and Shakkottai, "The Gossiping Insert-Eliminate Algorithm for Multi-Agent Bandits",
    AISTATS 2020, Section 6.
"""

import random

from bandits import Experiment, agent, environment, register_experiment

draw = random.Random(2020)
DRAWN = [0.95, 0.85, *sorted((0.85 * draw.random() for _ in range(38)), reverse=True)]
EVEN = [0.95, 0.85, *(0.85 * (40 - k) / 39 for k in range(2, 40))]

EXPERIMENT = register_experiment(
    Experiment(
        name="gosine",
        summary="15 learners of one bandit: GosInE against no communication (Chawla et al., AISTATS 2020).",
        environments=[
            environment("collaborative", n_learners=15, means=[DRAWN]).named("drawn means"),
            environment("collaborative", n_learners=15, means=[EVEN]).named("even means"),
            environment("collaborative", n_learners=15, means=[EVEN], network="ring").named("even means, ring"),
        ],
        agents=[
            agent("isolated_ucb"),
            agent("gosine"),
            agent("gosine_async"),
            agent("centralised_ucb", stagger=True),
        ],
        horizon=64_000,
        replications=100,
        seed=2020,
        checkpoints=tuple(sorted({*(round(64_000 ** (j / 120)) for j in range(121)), 1000, 8000, 27_000})),
        smoke={"horizon": 300, "replications": 4, "checkpoints": 20},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
