"""STSL on digits, every ingredient by itself (Rout et al., CVPR 2024, in small).

The start (Gaussian, or forward from the measurement), the inner steps, and the second-order trace with its mode, weight
and size, on random and box inpainting; eta = 0 has the inner steps alone, PSLD with 1000 steps spends more than all.
These have the measurement's weight omega = 1; beside them stand PSLD, the first-order control from either start, the
inner steps alone, and STSL with weights chosen on validation images (`restoration_tuning`: twelve candidates each).
The reference is the inner steps alone, so tuned: what STSL adds to it is the trace.

Three networks for every arm, each on 200 test images with three masks and starts; intervals and differences are over
images and networks (`bandits.crossed`).

What came out (PSNR in dB with 95 % intervals over images and networks, random and box inpainting), with tuned weights:

    PSLD, 1000 steps                      17.32 [16.89, 17.74]    16.60 [16.16, 17.07]
    one inner step, Gaussian start        15.29 [14.89, 15.75]    14.56 [14.25, 14.89]
    one inner step, forward start         18.04 [17.72, 18.38]    16.76 [16.06, 17.41]
    five inner steps, forward, eta = 0    18.03 [17.71, 18.38]    16.85 [16.29, 17.41]
    the same with the trace (kappa)       18.00 [17.68, 18.34]    16.74 [16.07, 17.45]

So the start from the measurement is what helps, and with it 50 steps reach what PSLD reaches with 1000 (the
difference of 0.7 [0.2, 1.3] dB on random masks, with five inner steps, is not separated after Holm's correction, p =
0.07). Tuned, five inner steps are worth nothing against one (-0.01 [-0.11, 0.08] and 0.09 [-0.09, 0.28]), and the
trace takes 0.03 and 0.11 away, not separated from none. With the default omega = 1 and the forward start a constant
weight harms (eta = 0: 16.07 and 15.40; 0.02: 15.54 and 14.85, in the paper's mode 15.65 and 15.09; 0.1: 11.87 and
11.64; 0.5: 3.5 and 3.6); weighted by kappa it harms later (0.02: 15.98 and 15.49; 0.1: 15.12 and 14.61; 0.5: 11.46
and 11.78). The paper reports a gain from the trace on photographs; nothing here speaks for or against it there.

The smoke size tries the machinery, not the methods: one network of a quarter of the training, 64 images, 10 steps of
STSL and 50 of PSLD; a minute of CPU time with training.

``--model FOLDER`` restores photographs with a pre-trained pipeline of the Stable Diffusion family instead: 8-fold
pooling and two blurs, the tasks of the paper, with omega at its default, for the paper's is not known. It has not been
run on real weights here.
"""

from __future__ import annotations

from typing import Any

from bandits.experiments.diffusion.photographs import on_photographs
from bandits.experiments.diffusion.tuned_weights import digits, tuned

from bandits import NeuralExperiment, register_experiment
from bandits.specs import Spec

__all__ = ["EXPERIMENT"]

OPERATORS, STARTS = ("random", "box"), ("gaussian", "ddim_forward")
METHODS = ("psld", "stsl_biased", "stsl")  # whose weights were tuned
INNER_ALONE: dict[str, Any] = {"method": "stsl", "options": {"start_from": "ddim_forward", "eta": 0.0}}
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


def every(operator: str) -> list[dict[str, Any]]:
    """All arms of the full size: PSLD tuned with 1000 steps only."""
    return arms(50, 1000) + [arm for arm in tuned(operator, *METHODS) if (arm["method"], arm["steps"]) != ("psld", 200)]


def reference(operator: str) -> dict[str, Any]:
    """The inner steps without the trace, tuned."""
    return next(arm for arm in tuned(operator, "stsl") if arm["options"].get("eta") == 0.0)


def on_a_pipeline(steps: int, long: int) -> list[Spec]:
    """The arms of photographs on the tasks of the paper: STSL with so many steps, and PSLD with more."""
    traces: dict[str, dict[str, Any]] = {
        "eta 0": {"eta": 0.0},
        "eta 0, from noise": {"eta": 0.0, "start_from": "gaussian"},
        "eta 0.02, kappa": {"eta": 0.02, **SMALL, "trace_weight": "kappa"},
        "eta 0.02, paper": {"eta": 0.02, "trace_mode": "paper", "trace_weight": "const"},
    }
    return [
        arm
        for operator in ("pool", "gaussian_blur", "motion_blur")
        for arm in (
            on_photographs("codec_ceiling", operator, steps, factor=8),
            on_photographs("psld", operator, long, factor=8),
            on_photographs("stsl_biased", operator, steps, factor=8),
            *(
                on_photographs("stsl", operator, steps, title=f"stsl {title}", factor=8, options=trace)
                for title, trace in traces.items()
            ),
        )
    ]


PHOTOGRAPHS = NeuralExperiment(
    name="stsl",
    summary="STSL, its ingredients and PSLD on photographs by a pre-trained pipeline: the paper's three tasks.",
    trials=on_a_pipeline(steps=50, long=1000),
    replications=10,  # each photograph once
    seed=6,
    keep=4,
    smoke={"replications": 2, "trials": on_a_pipeline(steps=2, long=3)},
)

EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="stsl",
        pretrained=PHOTOGRAPHS,
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
