"""N = 24 learners on M = 4 bandits, K = 40 arms: gossip beside no communication and full sharing, a first look.

A short version of `collaborative`: 8000 rounds, 40 replications. Half a minute on two cores.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="collaborative_quick",
        summary="24 learners on 4 bandits with 40 arms: gossip, no communication and full sharing, a first look.",
        environments=[environment("collaborative")],
        agents=[
            agent("isolated_ucb"),
            agent("gosine_context_unaware"),
            agent("gosine_context_aware", r=2),
            agent("gosine_context_aware", r=6),
            agent("same_bandit_gosine"),
            agent("centralised_ucb"),
        ],
        horizon=8000,
        replications=40,
        seed=2023,
        smoke={"horizon": 500, "replications": 8},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
