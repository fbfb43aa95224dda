"""Four of the instances of `side_observations`, T = 30,000: under a minute on two cores (26 core seconds measured)."""

from bandits.experiments._side_observations import AGENTS, WORKED_INSTANCES

from bandits import Experiment, register_experiment

EXPERIMENT = register_experiment(
    Experiment(
        name="side_observations_quick",
        summary="Gaussian arms that show others, on four small and large instances: a first look.",
        environments=[WORKED_INSTANCES[name] for name in ("E1", "E3", "E10", "E12")],
        agents=AGENTS,
        horizon=30_000,
        replications=64,
        seed=2015,
        extras=("pulls",),
        smoke={"horizon": 500, "replications": 8},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
