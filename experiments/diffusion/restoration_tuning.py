"""Weights for the methods on digits, chosen on the validation images: twelve candidates for every method.

Every method that `psld` and `stsl` compare gets as many candidates, with network 0: those with one weight a finer grid,
those with two a coarser one. The candidate of the best PSNR is what these studies call tuned. Test images are not
looked at:

    bandits run restoration_tuning --full --out results/tuning
    bandits show results/tuning --best psnr --by method,steps,start_from,trace_mode

What was chosen stands in `tuned_weights`. The full size takes about ten minutes of one idle core, training included.
The smoke size tries the machinery: two candidates each, a network of a tenth of the training, 8 images, a 25th of the
steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from bandits import NeuralExperiment, register_experiment, trial
from bandits.specs import Spec

__all__ = ["CANDIDATES", "EXPERIMENT"]

ONE = [{"omega": omega} for omega in (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0)]
GLUED = [{"omega": omega, "gamma": gamma} for omega, gamma in product((0.15, 0.5, 1.0), (0.1, 0.3, 1.0, 3.0))]
TRACED = [{"omega": omega, "eta": eta} for omega, eta in product((0.05, 0.15, 0.5, 1.0), (0.002, 0.005, 0.02))]

CANDIDATES: Sequence[tuple[str, int, Mapping[str, Any], Sequence[Mapping[str, float]]]] = [
    # method, steps, what is not tuned, what is
    *((method, 200, {}, ONE) for method in ("dps", "latent_dps")),
    *((method, 200, {}, GLUED) for method in ("gml_dps", "psld")),
    ("latent_dps", 1000, {}, ONE),
    ("psld", 1000, {}, GLUED),
    *(("stsl_biased", 50, {"start_from": start}, ONE) for start in ("gaussian", "ddim_forward")),
    ("stsl", 50, {"start_from": "ddim_forward", "eta": 0.0}, ONE),
    ("stsl", 50, {"start_from": "ddim_forward", "trace_mode": "small_delta", "trace_weight": "kappa"}, TRACED),
]


def trials(few: int | None = None, shorter: int = 1, training: float = 1.0) -> list[Spec]:
    """Every candidate, or a few and with steps that are shorter by a factor, on both tasks."""
    return [
        trial(
            "restore_digits",
            method=method,
            operator=operator,
            steps=steps // shorter,
            options={**fixed, **candidate},
            part="validation",
            training=training,
        )
        for operator in ("random", "box")
        for method, steps, fixed, grid in CANDIDATES
        for candidate in (grid[-few:] if few else grid)
    ]


EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="restoration_tuning",
        summary="Weights for the methods of psld and stsl, chosen on validation images: twelve candidates each.",
        trials=trials(),
        replications=97,  # each validation image once
        seed=7,
        keep=0,
        smoke={"replications": 8, "trials": trials(few=2, shorter=25, training=0.1)},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
