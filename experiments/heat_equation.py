"""Tuning SSOR for conjugate gradients along the heat equation (Khodak, Chow, Balcan and Talwalkar, ICLR 2024).

5000 Crank-Nicolson steps on 25 x 25 and 50 x 50 points, 20 values of omega, the cost of a step the iterations of
conjugate gradients; learners (Tsallis-INF, its copy in six bins of the diffusion, and ChebCB) against fixed values and
the best of every step. Three trials, as in the paper, which differ by the learners' draws alone. A minute or two on a
core, nearly all of it for solving every system with every omega once (each worker process does so for itself); the
paper goes on to 400 x 400 points, and ``--set heat_equation.points=100`` takes five times as long. Cost against time,
with conjugate gradients without preconditioner and what a golden-section search finds for every step beside it:
``bandits plot RUN --kind cost``.
"""

from bandits import Experiment, agent, environment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="heat_equation",
        summary="Tuning SSOR for conjugate gradients along the heat equation: learners against fixed omegas.",
        environments=[environment("heat_equation", points=points) for points in (25, 50)],
        agents=[
            *(agent("fixed_omega", omega=omega) for omega in (1.0, 1.4, 1.5, 1.6)),
            agent("tsallis_inf_binned", bins=1),
            agent("tsallis_inf_binned", bins=6),
            agent("chebcb"),
            agent("oracle"),
        ],
        horizon=5000,
        replications=3,
        seed=2024,
        smoke={"environments": [environment("heat_equation", points=12)], "horizon": 600, "replications": 3},
    ),
    source="Khodak, Chow, Balcan and Talwalkar (2024)",
)

if __name__ == "__main__":
    EXPERIMENT.main()
