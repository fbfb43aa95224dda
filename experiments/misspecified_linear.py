"""Does sparsity help in misspecified linear bandits (Dong and Yang, ICML 2023)?

One of d features matters, means are within epsilon = 0.05 of linear in it, and the errors are chosen to mislead least
squares. The net of sparse parameters commits to an arm within 4 epsilon of the best in every dimension; the error of
least squares on a G-optimal design, which does not know of the sparsity, grows with d, up to 2 epsilon (1 + sqrt(d));
exhaustive search (``etc`` with one round per arm; there is no noise) finds the best arm after K queries. The slope of
the regret after the queries is the error. Under a minute on two cores.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="misspecified_linear",
        summary="Sparse misspecified linear bandits: a net of sparse parameters against least squares.",
        environments=[
            environment(
                "misspecified_linear",
                n_arms=300,
                n_features=n_features,
                sparsity=1,
                epsilon=0.05,
                adversary="least_squares",
            )
            for n_features in (8, 32, 128)
        ],
        agents=[
            agent("net_elimination", sparsity=1, epsilon=0.05),
            agent("g_optimal"),
            agent("etc", m=1),
            agent("uniform"),
        ],
        horizon=2000,
        replications=200,
        seed=2023,
        smoke={"horizon": 400, "replications": 8},
    ),
    source="Dong and Yang (2023)",
)

if __name__ == "__main__":
    EXPERIMENT.main()
