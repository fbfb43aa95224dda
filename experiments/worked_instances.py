"""LP-Thompson beside its two parents, on every worked instance of this project's specification.

`lp_thompson` is this project's own agent; it was to be kept only if its regret is within 10 % of the better of LP
tracking and pooled Thompson sampling at T = 1e3, 1e4 and 1e5 on every instance. The log records these rounds:

    bandits show RUN, and bandits.load(RUN).summary(at=1000)

Some four minutes on two cores, seconds with --smoke.
"""

from bandits.experiments._side_observations import WORKED_INSTANCES

from bandits import Experiment, agent, register_experiment

__all__ = ["WORKED_INSTANCES"]


EXPERIMENT = register_experiment(
    Experiment(
        name="worked_instances",
        summary="LP-Thompson beside LP tracking and pooled Thompson sampling on 18 worked instances.",
        environments=list(WORKED_INSTANCES.values()),
        agents=[agent("lp_thompson"), agent("lp_tracking"), agent("pooled_thompson")],
        horizon=100_000,
        replications=200,
        seed=2022,
        checkpoints=(10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000),
        smoke={"horizon": 1000, "replications": 8, "checkpoints": 20},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
