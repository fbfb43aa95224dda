"""Tuning SOR across a sequence of linear systems (Khodak, Chow, Balcan and Talwalkar, ICLR 2024).

Every round is a system ``(A_0 + c I) x = b`` on a 10 x 10 grid, every arm one of 20 values of omega, and the cost the
number of iterations; 5000 rounds, 40 trials, contexts c of high and of low variance. Learners (Tsallis-INF, its copy
per bin of c, and ChebCB) against the fixed values 1, 1.2, 1.4, 1.6 and 1.8 and the omega of least spectral radius for
each c. All of them meet the same systems. Some minutes on two cores; seconds with --smoke.

Cost against time for every comparator, as the paper draws it: ``bandits plot RUN --kind cost``.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="learning_to_relax",
        summary="Tuning SOR across a sequence of linear systems: learners, fixed omegas and instance-optimal play.",
        environments=[environment("relaxation", variance="high"), environment("relaxation", variance="low")],
        agents=[
            *(agent("fixed_omega", omega=omega) for omega in (1.0, 1.2, 1.4, 1.6, 1.8)),
            agent("tsallis_inf_binned", bins=1),
            agent("tsallis_inf_binned", bins=5),
            agent("chebcb"),
            agent("instance_optimal"),
        ],
        horizon=5000,
        replications=40,
        seed=2024,
        smoke={"horizon": 200, "replications": 4},
    ),
    source="Khodak, Chow, Balcan and Talwalkar (2024)",
)


if __name__ == "__main__":
    EXPERIMENT.main()
