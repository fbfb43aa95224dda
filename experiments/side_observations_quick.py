"""Four of the instances of `side_observations`, T = 30,000: under a minute on two cores (26 core seconds measured)."""

from bandits import Experiment, register_experiment
from bandits.registry import lookup


def shortened(long: Experiment) -> Experiment:
    """The instances E1, E3, E10 and E12, T = 30,000."""
    chosen = [spec for spec in long.environments if spec.label.partition(":")[0] in ("E1", "E3", "E10", "E12")]
    return long.replace(
        name="side_observations_quick",
        summary="Gaussian arms that show others, on four small and large instances: a first look.",
        environments=chosen,
        horizon=30_000,
        replications=64,
        smoke={"horizon": 500, "replications": 8},
    )


EXPERIMENT = register_experiment(shortened(lookup("experiment", "side_observations").target))

if __name__ == "__main__":
    EXPERIMENT.main()
