"""PSLD on digits beside its controls: whether gluing helps (Rout et al., NeurIPS 2023, in small).

Random and box inpainting; latent DPS, GML-DPS and PSLD with one network, DPS on pixels with another, zero fill below
and the codec's ceiling above, which no method on latents can pass. Replications are paired by image, mask and start.

The smoke size tries the machinery, not the methods: one network of a quarter of the training, 64 images, 20 steps (and
50 for the longer PSLD); a minute of CPU time with training.

``--model FOLDER`` restores photographs with a pre-trained pipeline of the Stable Diffusion family instead, by the
weights and the 1000 steps of the authors' code (`photographs.weights_of`). It has not been run on real weights here.
"""

from __future__ import annotations

from typing import Any

from bandits import NeuralExperiment, register_experiment, trial
from bandits.specs import Spec

from .photographs import on_photographs

__all__ = ["EXPERIMENT"]

OPERATORS = ("random", "box")


def arms(steps: int, long: int) -> list[dict[str, Any]]:
    """What is compared, with so many steps, and PSLD with more."""
    return [
        {"method": "zero_fill", "steps": steps},
        {"method": "codec_ceiling", "steps": steps},
        *({"method": method, "steps": steps} for method in ("dps", "latent_dps", "gml_dps")),
        *({"method": "psld", "steps": steps, "options": {"gamma": gamma}} for gamma in (0.1, 0.5)),
        {"method": "psld", "steps": long, "options": {"gamma": 0.1}},
    ]


def trials(seeds: int, steps: int, long: int, training: float = 1.0) -> list[Spec]:
    """Every arm on both tasks, with so many networks."""
    return [
        trial("restore_digits", operator=operator, model_seed=seed, training=training, **arm)
        for operator in OPERATORS
        for seed in range(seeds)
        for arm in arms(steps, long)
    ]


def on_a_pipeline(steps: int) -> list[Spec]:
    """The arms of photographs on both tasks."""
    return [
        on_photographs(method, operator, steps)
        for operator in OPERATORS
        for method in ("zero_fill", "codec_ceiling", "latent_dps", "gml_dps", "psld")
    ]


PHOTOGRAPHS = NeuralExperiment(
    name="psld",
    summary="PSLD, its controls and the codec's ceiling on inpainting of photographs by a pre-trained pipeline.",
    trials=on_a_pipeline(steps=1000),
    replications=10,  # each photograph once
    seed=5,
    keep=4,
    smoke={"replications": 2, "trials": on_a_pipeline(steps=3)},
)

EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="psld",
        pretrained=PHOTOGRAPHS,
        summary="PSLD, its controls and the codec's ceiling on random and box inpainting of digits.",
        trials=trials(seeds=3, steps=200, long=1000),
        replications=600,  # each of the 200 test images with three masks and starts
        seed=5,
        smoke={"replications": 64, "trials": trials(seeds=1, steps=20, long=50, training=0.25)},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
