"""Weights chosen on validation images, for the studies on digits; where they come from is said in `restoration_tuning`.

From ``bandits run restoration_tuning --full`` on a CPU (float32, torch 2.13), seed 7, 97 validation images, network 0.
The best PSNR there, in dB, stands beside each: the best of twelve, and so too good by a little. Its 95 % intervals
over images are about 0.8 wide to either side, so near candidates are not told apart. The trace of STSL was best at its
least weight, at the edge of the grid: nothing speaks for it here.
"""

from __future__ import annotations

from typing import Any

from bandits import trial
from bandits.specs import Spec

__all__ = ["TUNED", "digits", "tuned"]

FORWARD = {"start_from": "ddim_forward"}
TRACED = FORWARD | {"trace_mode": "small_delta", "trace_weight": "kappa"}
DEFAULTS = {"omega": 1.0, "gamma": 0.1, "eta": 0.02}

TUNED: dict[str, list[tuple[str, int, dict[str, Any], dict[str, float]]]] = {
    # method, steps, what was not tuned, what was
    "random": [
        ("dps", 200, {}, {"omega": 0.1}),  # 15.20
        ("latent_dps", 200, {}, {"omega": 0.07}),  # 15.02
        ("gml_dps", 200, {}, {"omega": 1.0, "gamma": 1.0}),  # 16.17
        ("psld", 200, {}, {"omega": 1.0, "gamma": 1.0}),  # 15.60
        ("latent_dps", 1000, {}, {"omega": 1.0}),  # 15.14
        ("psld", 1000, {}, {"omega": 0.5, "gamma": 0.3}),  # 17.08
        ("stsl_biased", 50, {"start_from": "gaussian"}, {"omega": 0.3}),  # 15.59
        ("stsl_biased", 50, FORWARD, {"omega": 0.3}),  # 18.06
        ("stsl", 50, FORWARD | {"eta": 0.0}, {"omega": 0.07}),  # 18.00
        ("stsl", 50, TRACED, {"omega": 0.05, "eta": 0.002}),  # 18.02
    ],
    "box": [
        ("dps", 200, {}, {"omega": 0.15}),  # 14.91
        ("latent_dps", 200, {}, {"omega": 0.1}),  # 14.18
        ("gml_dps", 200, {}, {"omega": 1.0, "gamma": 0.3}),  # 15.12
        ("psld", 200, {}, {"omega": 0.5, "gamma": 1.0}),  # 14.99
        ("latent_dps", 1000, {}, {"omega": 1.0}),  # 15.28
        ("psld", 1000, {}, {"omega": 0.5, "gamma": 0.3}),  # 16.58
        ("stsl_biased", 50, {"start_from": "gaussian"}, {"omega": 0.5}),  # 14.60
        ("stsl_biased", 50, FORWARD, {"omega": 0.5}),  # 16.81
        ("stsl", 50, FORWARD | {"eta": 0.0}, {"omega": 0.07}),  # 16.72
        ("stsl", 50, TRACED, {"omega": 0.05, "eta": 0.002}),  # 16.66
    ],
}


def tuned(operator: str, *methods: str) -> list[dict[str, Any]]:
    """The tuned arms of these methods, but for those whose best weights are the defaults."""
    return [
        {"method": method, "steps": steps, "options": {**fixed, **weights}}
        for method, steps, fixed, weights in TUNED[operator]
        if method in methods and any(DEFAULTS[name] != value for name, value in weights.items())
    ]


def digits(arms: list[dict[str, Any]], operator: str, seeds: int, training: float = 1.0) -> list[Spec]:
    """Arms as trials on digits, each with so many networks."""
    return [
        trial("restore_digits", operator=operator, model_seed=seed, training=training, **arm)
        for seed in range(seeds)
        for arm in arms
    ]
