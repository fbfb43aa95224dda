"""Classification with the answer "right" or "wrong" alone: three labelled data sets as contextual bandits.

Digits (10 classes), breast cancer (2), and a synthetic set with the shape of Covertype (7 unbalanced classes). Regret
counts errors, so it grows for ever where no linear rule is right on all rows. `ucb1` ignores the features and finds
the most frequent class: the control. SquareCB with the rate of its theorem explores nearly all the time over so few
rounds; with a greater one it keeps up with the others, whose parameters were tried on these data, too. Needs
scikit-learn, which `pip install 'bandits[data]'` brings. Some two minutes on two cores, seconds with --smoke.

References:
    Bietti, Agarwal and Langford, "A Contextual Bandit Bake-off", JMLR 22 (2021), for the setting; the data sets, agents
    and sizes are this project's.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="classification",
        summary="Labelled data as contextual bandits: digits, breast cancer and a synthetic Covertype.",
        environments=[
            environment("classification", data=data) for data in ("digits", "breast_cancer", "covertype_like")
        ],
        agents=[
            agent("linucb_disjoint", alpha=0.5),
            agent("lin_ts", scale=0.25),
            agent("epsilon_greedy_linear", epsilon=0.05),
            agent("squarecb"),
            agent("squarecb", gamma=1000.0),
            agent("bootstrapped_linear", replicates=5, prior_sd=0.1),
            agent("logistic_thompson", v=0.3),
            agent("ucb1"),
        ],
        horizon=4000,
        replications=20,
        seed=2021,
        checkpoints=tuple(range(40, 4001, 40)),
        smoke={"horizon": 60, "replications": 4, "checkpoints": 20},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
