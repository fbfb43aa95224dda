"""N learners on M bandits who gossip: regret with and without contexts, by size, network and number of arms.

The reference instance of `collaborative`: K = 40 with (N, M) = (24, 4), (40, 8) and (20, 2) and K = 100 with (24, 4) on
the complete network, and (24, 4) on the ring, which does not connect the learners of a bandit, and on a random graph
that does. Groups of r = 6 have 5 learners where N = 40. The algorithms for several bandits are derived from GosInE.
Some minutes on two cores.

References:
    Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023.
"""

from bandits import Experiment, agent, environment, register_experiment
from bandits.specs import Spec


def _population(n_learners: int, n_bandits: int, n_arms: int, network: str = "complete") -> Spec:
    spec = environment("collaborative", n_learners=n_learners, n_bandits=n_bandits, n_arms=n_arms, network=network)
    return spec.named(f"{n_learners} learners, {n_bandits} bandits, {n_arms} arms, {network.replace('_', '-')}")


EXPERIMENT = register_experiment(
    Experiment(
        name="collaborative",
        summary="N learners on M bandits: gossip with and without contexts, no communication, full sharing.",
        environments=[
            _population(24, 4, 40),
            _population(24, 4, 40, "ring"),
            _population(24, 4, 40, "erdos_renyi"),
            _population(24, 4, 100),
            _population(40, 8, 40),
            _population(20, 2, 40),
        ],
        agents=[
            agent("isolated_ucb"),
            agent("gosine_context_unaware"),
            *(agent("gosine_context_aware", r=r) for r in (1, 2, 3, 6)),
            agent("same_bandit_gosine"),
            agent("centralised_ucb", stagger=True),
        ],
        horizon=64_000,
        replications=100,
        seed=2023,
        checkpoints=tuple(sorted({*(round(64_000 ** (j / 120)) for j in range(121)), 1000, 8000, 27_000})),
        smoke={"horizon": 300, "replications": 4, "checkpoints": 20},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
