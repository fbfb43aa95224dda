"""Thompson sampling against UCB on K Bernoulli arms (Chapelle and Li 2011, Figure 1).

The best arm has mean 0.5, the others lie a gap below it: K in {10, 100}, gap in {0.02, 0.1}. The paper draws Thompson
sampling and a UCB for Bernoulli rewards against the Lai-Robbins bound up to T = 10^7 over 100 repetitions; here T =
10^6, and KL-UCB stands for its UCB, which inverts a Chernoff bound in the same way. Some minutes on two cores,
seconds with --smoke.

References:
    Chapelle and Li, "An Empirical Evaluation of Thompson Sampling", NeurIPS 2011, Figure 1.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="chapelle_li",
        summary="Thompson sampling against UCB on K Bernoulli arms (Chapelle and Li 2011, Figure 1).",
        environments=[
            environment("bernoulli", best=0.5, gap=gap, n_arms=n_arms) for n_arms in (10, 100) for gap in (0.1, 0.02)
        ],
        agents=[agent("thompson_beta"), agent("kl_ucb"), agent("ucb1")],
        horizon=1_000_000,
        replications=100,
        seed=2011,
        smoke={"horizon": 2000, "replications": 16},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
