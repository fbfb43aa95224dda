"""Linear agents on four kinds of contexts: what modelling the features is worth, and what each way to explore costs.

Ten arms with ten fresh features each; a hundred arms with five features that stay, where agents that ignore the context
play a Gaussian bandit and must try every arm; one vector of features for five arms with a parameter each; and rewards 0
and 1 whose log odds are linear. Regret is against the best arm of the round; no lower bound is drawn, because none is
known instance by instance. Optimism with a fixed weight (LinUCB) and Thompson sampling do best, OFUL pays for its
guarantee where there are many arms, and epsilon-greedy, like SquareCB with the rate of its theorem, goes on exploring:
its regret is straight. A minute on two cores.

References:
    Li, Chu, Langford and Schapire (2010); Abbasi-Yadkori, Pal and Szepesvari (2011); Agrawal and Goyal (2013); Foster
    and Rakhlin (2020).
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="linear_contextual",
        summary="Linear agents on fresh, fixed and shared features, and on logistic rewards.",
        environments=[
            environment("linear", n_arms=10, n_features=10),
            environment("linear", n_arms=100, n_features=5, fixed=True),
            environment("linear", n_arms=5, n_features=5, shared=True),
            environment("linear", n_arms=10, n_features=5, link="logistic", parameter_norm=4.0),
        ],
        agents=[
            agent("linucb"),
            agent("linucb_disjoint"),
            agent("oful"),
            agent("lin_ts"),
            agent("epsilon_greedy_linear"),
            agent("squarecb"),
            agent("squarecb", gamma=1000.0),
            agent("bootstrapped_linear"),
            agent("logistic_thompson"),
            agent("ucb1"),
            agent("uniform"),
        ],
        horizon=10_000,
        replications=100,
        seed=2011,
        checkpoints=tuple(range(50, 10_001, 50)),
        smoke={"horizon": 300, "replications": 8, "checkpoints": 50},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
