"""All methods for inverse problems on the mixture whose posterior is known, and on digits.

The mixture tells a method's error from the network's: its score is exact, and samples are compared with the posterior
itself. Weights are the methods' defaults except where the declaration says else.

The smoke size tries the machinery, not the methods: networks of 15 % of the training, 16 images, 20 steps, 16 chains on
the mixture; a minute of CPU time with training.

``--model FOLDER`` restores photographs with a pre-trained pipeline of the Stable Diffusion family instead. It has not
been run on real weights here.
"""

from __future__ import annotations

from bandits.experiments.diffusion.photographs import LATENT, on_photographs

from bandits import NeuralExperiment, register_experiment, trial
from bandits.specs import Spec

__all__ = ["EXPERIMENT"]

STEPS = {"ddrm": 50, "stsl": 50, "stsl_biased": 50}
OPERATORS = ("random", "box", "pool", "gaussian_blur", "motion_blur")
METHODS = ("zero_fill", "ddrm", "mcg", "dps", "latent_dps", "gml_dps", "psld", "stsl_biased", "stsl")


def options(method: str, operator: str) -> dict[str, str]:
    """How a measurement is put back: by the pseudo-inverse where A^T A is a projection but for its scale."""
    if operator == "pool" and method in ("zero_fill", "psld", "mcg"):
        return {"projection": "pinv"}
    return {"projection": "adjoint"} if method == "mcg" else {}


def restorations(name: str, control: str) -> list[Spec]:
    """Every method on every operator, and the control."""
    return [
        trial(name, method=method, operator=operator, steps=STEPS.get(method, 200), options=options(method, operator))
        for operator in OPERATORS
        for method in (control, *METHODS)
    ]


def on_a_pipeline(steps: int, fewer: int) -> list[Spec]:
    """Every method on latents on every operator, those of `STEPS` with fewer steps."""
    return [
        on_photographs(method, operator, fewer if method in STEPS else steps, options=options(method, operator))
        for operator in OPERATORS
        for method in LATENT
    ]


PHOTOGRAPHS = NeuralExperiment(
    name="inverse_problems",
    summary="Every method on latents, on five operators, on photographs by a pre-trained pipeline.",
    trials=on_a_pipeline(steps=200, fewer=50),
    replications=10,  # each photograph once
    seed=4,
    keep=4,
    smoke={"replications": 2, "trials": on_a_pipeline(steps=2, fewer=2)},
)

EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="inverse_problems",
        pretrained=PHOTOGRAPHS,
        summary="Nine methods for inverse problems on five operators: distance to the exact posterior, and digits.",
        trials=[*restorations("restore_mixture", "exact"), *restorations("restore_digits", "codec_ceiling")],
        replications=256,
        seed=4,
        smoke={"replications": 16, "*.steps": 20, "*.chains": 16, "*.training": 0.15},
    )
)

if __name__ == "__main__":
    EXPERIMENT.main()
