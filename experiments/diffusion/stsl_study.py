"""STSL on digits, every ingredient by itself (Rout et al., CVPR 2024, in small).

The start (Gaussian, or forward from the measurement), the inner steps, and the second-order trace with its mode, weight
and size, on random and box inpainting; eta = 0 has the inner steps alone, PSLD with 1000 steps spends more than all.
These have the measurement's weight omega = 1; beside them stand PSLD, the first-order control from either start, the
inner steps alone, and STSL with weights chosen on validation images (`restoration_tuning`: twelve candidates each).
The reference is the inner steps alone, so tuned: what STSL adds to it is the trace.

Three networks for every arm, each on 200 test images with three masks and starts; intervals and differences are over
images and networks (`bandits.crossed`).

The smoke size tries the machinery, not the methods: one network of a quarter of the training, 64 images, 10 steps of
STSL and 50 of PSLD; a minute of CPU time with training.
"""

from __future__ import annotations

from typing import Any

from bandits.experiments.diffusion.tuned_weights import digits, tuned

from bandits import NeuralExperiment, register_experiment

__all__ = ["EXPERIMENT"]

OPERATORS, STARTS = ("random", "box"), ("gaussian", "ddim_forward")
SMALL = {"trace_mode": "small_delta"}
TRACES: list[dict[str, Any]] = [
    {"eta": 0.0},
    {"eta": 0.02, "trace_mode": "paper", "trace_weight": "const"},
    *({"eta": eta, **SMALL, "trace_weight": weight} for weight in ("const", "kappa") for eta in (0.02, 0.1, 0.5)),
]


def arms(steps: int, long: int) -> list[dict[str, Any]]:
    """What is compared: STSL with so many steps, and PSLD with more."""
    return [
        {"method": "psld", "steps": long},
        *({"method": "stsl_biased", "steps": steps, "options": {"start_from": start}} for start in STARTS),
        *(
            {"method": "stsl", "steps": steps, "options": {"start_from": start, **trace}}
            for start in STARTS
            for trace in TRACES
        ),
    ]


METHODS = ("psld", "stsl_biased", "stsl")


INNER_ALONE: dict[str, Any] = {"method": "stsl", "options": {"start_from": "ddim_forward", "eta": 0.0}}


def every(operator: str) -> list[dict[str, Any]]:
    """All arms of the full size: PSLD tuned with 1000 steps only."""
    return arms(50, 1000) + [arm for arm in tuned(operator, *METHODS) if (arm["method"], arm["steps"]) != ("psld", 200)]


def reference(operator: str) -> dict[str, Any]:
    """The inner steps without the trace, tuned."""
    return next(arm for arm in tuned(operator, "stsl") if arm["options"].get("eta") == 0.0)


EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="stsl",
        summary="STSL on inpainting of digits: the start, the inner steps and the trace, each by itself.",
        trials=[one for op in OPERATORS for one in digits(every(op), op, 3)],
        replications=600,  # each of the 200 test images with three masks and starts
        seed=6,
        against=[digits([reference(op)], op, 1)[0] for op in OPERATORS],
        smoke={
            "replications": 64,
            "trials": [one for op in OPERATORS for one in digits(arms(10, 50), op, 1, training=0.25)],
            "against": [digits([INNER_ALONE | {"steps": 10}], op, 1, training=0.25)[0] for op in OPERATORS],
        },
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
