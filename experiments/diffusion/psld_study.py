"""PSLD on digits beside its controls: whether gluing helps (Rout et al., NeurIPS 2023, in small).

Random and box inpainting; latent DPS, GML-DPS and PSLD with one network, DPS on pixels with another, zero fill below
and the codec's ceiling above, which no method on latents can pass. Every method stands with its default weights and
with those chosen on validation images, where they differ (`restoration_tuning`: twelve candidates for each method);
the reference is latent DPS so tuned. What PSLD gets in steps latent DPS gets, too.

Three networks for every arm, each on 200 test images with three masks and starts. Intervals and differences are over
images and networks (`bandits.crossed`), not over replications: three networks say little of other networks, and a
difference that they disagree about is not separated.

The smoke size tries the machinery, not the methods: one network of a quarter of the training, 64 images, 20 steps (and
50 for the longer ones), default weights alone; a minute of CPU time with training.

``--model FOLDER`` restores photographs with a pre-trained pipeline of the Stable Diffusion family instead, by the
weights and the 1000 steps of the authors' code (`photographs.weights_of`). It has not been run on real weights here.
"""

from __future__ import annotations

from typing import Any

from bandits.experiments.diffusion.photographs import on_photographs
from bandits.experiments.diffusion.tuned_weights import digits, tuned

from bandits import NeuralExperiment, register_experiment
from bandits.specs import Spec

__all__ = ["EXPERIMENT"]

OPERATORS = ("random", "box")
METHODS = ("dps", "latent_dps", "gml_dps", "psld")  # whose weights were tuned


def arms(steps: int, long: int) -> list[dict[str, Any]]:
    """What is compared with default weights: with so many steps, and PSLD and latent DPS with more."""
    return [
        {"method": "zero_fill", "steps": steps},
        {"method": "codec_ceiling", "steps": steps},
        *({"method": method, "steps": steps} for method in ("dps", "latent_dps", "gml_dps")),
        *({"method": "psld", "steps": steps, "options": {"gamma": gamma}} for gamma in (0.1, 0.5)),
        {"method": "latent_dps", "steps": long},
        {"method": "psld", "steps": long, "options": {"gamma": 0.1}},
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
        trials=[one for op in OPERATORS for one in digits(arms(200, 1000) + tuned(op, *METHODS), op, 3)],
        replications=600,  # each of the 200 test images with three masks and starts
        seed=5,
        against=[digits(tuned(op, "latent_dps")[:1], op, 1)[0] for op in OPERATORS],
        smoke={
            "replications": 64,
            "trials": [one for op in OPERATORS for one in digits(arms(20, 50), op, 1, training=0.25)],
            "against": [digits(arms(20, 50)[3:4], op, 1, training=0.25)[0] for op in OPERATORS],
        },
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
