"""PSLD on digits beside its controls: whether gluing helps (Rout et al., NeurIPS 2023, in small).

Random and box inpainting; latent DPS, GML-DPS and PSLD with one network, DPS on pixels with another, zero fill below
and the codec's ceiling above, which no method on latents can pass. Every method stands with its default weights and
with those chosen on validation images, where they differ (`restoration_tuning`: twelve candidates for each method);
the reference is latent DPS so tuned. What PSLD gets in steps latent DPS gets, too.

Three networks for every arm, each on 200 test images with three masks and starts. Intervals and differences are over
images and networks (`bandits.crossed`), not over replications: three networks say little of other networks, and a
difference that they disagree about is not separated.

What came out (PSNR in dB with 95 % intervals, random and box inpainting; best of twelve weights unless said):

    zero fill                         10.66 [10.57, 10.76]    14.27 [14.17, 14.36]
    DPS on pixels, 200 steps          15.46 [15.15, 15.78]    15.18 [14.91, 15.49]
    latent DPS, 200                   14.86 [14.31, 15.42]    14.02 [13.71, 14.33]
    GML-DPS, 200                      16.09 [15.65, 16.51]    14.60 [13.95, 15.33]
    PSLD, 200                         15.46 [15.22, 15.72]    14.39 [13.98, 14.85]
    latent DPS, 1000                  15.46 [15.13, 15.80]    15.30 [14.65, 15.91]
    PSLD, 1000, gamma = 0.1           16.35 [16.07, 16.63]    16.05 [15.77, 16.33]
    PSLD, 1000                        17.29 [16.97, 17.63]    16.59 [16.22, 16.99]
    the codec's ceiling               22.47 [21.93, 23.03]    22.47 [21.93, 23.03]

So gluing helps where there are steps enough: with 1000, PSLD is better than latent DPS by 1.82 [1.64, 2.00] dB on
random masks, and on the box by 1.3 [0.6, 2.0], which Holm's correction over all pairs does not separate (p = 0.065).
With 200 steps the mean of GML-DPS, whose term knows nothing of the measurement, is above that of PSLD on both tasks.
Tuned weights are worth 2.2 to 3.1 dB to DPS, more than any of this: a comparison with default weights would show
little else. On random masks a classifier knows the digit of zero fill more often (0.77) than that of latent DPS with
200 steps (0.64 [0.57, 0.70]; PSLD with 1000: 0.83 [0.80, 0.85]).

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
