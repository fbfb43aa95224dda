"""STSL on digits, every ingredient by itself (Rout et al., CVPR 2024, in small).

The start (Gaussian, or forward from the measurement), the inner steps, and the second-order trace with its mode, weight
and size, on random and box inpainting; eta = 0 has the inner steps alone, PSLD with 1000 steps spends more than all.

The smoke size tries the machinery, not the methods: one network of a quarter of the training, 64 images, 10 steps of
STSL and 50 of PSLD; a minute of CPU time with training.
"""

from __future__ import annotations

from typing import Any

from bandits import NeuralExperiment, register_experiment, trial
from bandits.specs import Spec

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


def trials(seeds: int, steps: int, long: int, training: float = 1.0) -> list[Spec]:
    """Every arm on both tasks, with so many networks."""
    return [
        trial("restore_digits", operator=operator, model_seed=seed, training=training, **arm)
        for operator in OPERATORS
        for seed in range(seeds)
        for arm in arms(steps, long)
    ]


EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="stsl",
        summary="STSL on inpainting of digits: the start, the inner steps and the trace, each by itself.",
        trials=trials(seeds=3, steps=50, long=1000),
        replications=600,  # each of the 200 test images with three masks and starts
        seed=6,
        smoke={"replications": 64, "trials": trials(seeds=1, steps=10, long=50, training=0.25)},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
