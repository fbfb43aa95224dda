"""Eight and more agents on ten arms, Gaussian and Bernoulli: a first look.

Under a minute on two cores, most of it simulation: 2 environments x 12 agents x 1000 replications x 10,000 rounds.
"""

from bandits import Experiment, agent, environment, register_experiment

MEANS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6]

EXPERIMENT = register_experiment(
    Experiment(
        name="quickstart",
        summary="Twelve agents on ten arms, Bernoulli and Gaussian: a first look.",
        environments=[environment("bernoulli", means=MEANS), environment("gaussian", means=MEANS, sd=0.5)],
        agents=[
            agent("ucb1"),
            agent("ucb_tuned"),
            agent("moss"),
            agent("kl_ucb"),
            agent("imed"),
            agent("bayes_ucb"),
            agent("thompson_beta"),
            agent("thompson_gaussian"),
            agent("exp3_ix"),
            agent("tsallis_inf"),
            agent("epsilon_greedy", epsilon=0.1),
            agent("uniform"),
        ],
        horizon=10_000,
        replications=1000,
        seed=1,
        smoke={"horizon": 500, "replications": 20},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
