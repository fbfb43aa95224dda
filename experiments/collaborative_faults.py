"""Gossip on a bad network: lost and late messages, learners that leave and come back, a split that heals.

24 learners on 4 bandits, K = 40. How regret degrades with the probability of loss (0 to 0.5), with a delay of 1000 and
5000 rounds, with a quarter of the learners away from round 100 to 8000, with the network split in halves until then,
and with a budget of 10 messages for each learner. A minute on two cores.
"""

from typing import Any

from bandits import Experiment, agent, environment, register_experiment

FAULTS: dict[str, dict[str, Any]] = {
    "no fault": {},
    **{f"loss {loss}": {"loss": loss} for loss in (0.1, 0.25, 0.5)},
    **{f"delay {delay}": {"delay": delay} for delay in (1000, 5000)},
    "6 learners away until 8000": {"away": [[learner, 100, 8000] for learner in range(6)]},
    "split until 8000": {"splits": [[1, 8000, 12]]},
    "10 messages each": {"budget": 10},
}

EXPERIMENT = register_experiment(
    Experiment(
        name="collaborative_faults",
        summary="Gossip with lost and late messages, learners that leave and return, and a split network.",
        environments=[environment("collaborative", **fault).named(name) for name, fault in FAULTS.items()],
        agents=[
            agent("gosine_context_unaware"),
            agent("gosine_context_aware", r=2),
            agent("gosine_context_aware", r=6),
            agent("same_bandit_gosine"),
        ],
        horizon=27_000,
        replications=64,
        seed=2023,
        checkpoints=100,
        smoke={"horizon": 300, "replications": 4, "checkpoints": 20},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
