"""Arms that change: discounted and sliding-window UCB against agents for stationary arms.

Three Bernoulli arms; the third jumps from 0.3 to 0.9 in round 3001 and back in round 5001, as in the abruptly changing
example of Garivier and Moulines (2011, Section 4). Regret is measured against the best arm of each round. Under a
minute on two cores.

References:
    Garivier and Moulines, "On Upper-Confidence Bound Policies for Switching Bandit Problems", ALT 2011.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="nonstationary",
        summary="Abruptly changing arms: discounted and sliding-window UCB against stationary agents.",
        environments=[
            environment("piecewise", means=[[0.5, 0.4, 0.3], [0.5, 0.4, 0.9], [0.5, 0.4, 0.3]], starts=[1, 3001, 5001])
        ],
        agents=[
            agent("sw_ucb", changes=2),
            agent("d_ucb", changes=2),
            agent("ucb1"),
            agent("kl_ucb"),
            agent("thompson_beta"),
            agent("exp3_ix"),
            agent("tsallis_inf"),
            agent("oracle"),
            agent("uniform"),
        ],
        horizon=10_000,
        replications=1000,
        seed=2011,
        checkpoints=tuple(range(50, 10_001, 50)),
        smoke={"replications": 16},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
