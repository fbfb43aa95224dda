"""Names and settings of the recipes of `bandits.neural.recipes`. Nothing here needs torch.

A trial says which models it needs before anything runs; what it says is checked against this table where the
experiment is declared, and not when a job finds out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import BadParameter, UnknownName, did_you_mean
from . import checks

__all__ = ["SERIES", "SETTINGS", "changed", "settings_of"]

SERIES = (
    "stocks", "temperatures", "weather", "water_flow", "stock_returns", "co2", "el_nino", "power_demand",
)  # fmt: skip  # a list of names


def _eps(steps: int, width: int, **more: Any) -> dict[str, Any]:
    """Settings of a noise predictor."""
    return {
        "steps": steps, "batch": 256, "rate": 1e-3, "average": 0.999, "width": width, "depth": 3, "times": 1000,
        "schedule": "linear",
    } | more  # fmt: skip  # a table of settings


_CODEC = {
    "steps": 3000, "batch": 128, "rate": 1e-3, "average": 0.0, "latent": 16, "width": 256, "depth": 3,
}  # fmt: skip  # a table of settings

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "ae16": _CODEC | {"blur": 0.05, "l2": 1e-3},
    "vae16": _CODEC | {"beta": 1e-3},
    "lat_eps": _eps(6000, 384, schedule="scaled_linear", codec="ae16", codec_steps=3000),
    "pix_eps": _eps(6000, 384, schedule="scaled_linear"),
    "unet_eps": _eps(3000, 16, network="unet", batch=128),
    "ts_eps": _eps(4000, 512, series="stocks"),
    "ts_conv": _eps(1500, 32, network="conv", schedule="scaled_linear", series="stocks"),
    "digit_classifier": {
        "steps": 1000, "batch": 128, "rate": 2e-3, "average": 0.99, "width": 128, "depth": 1, "blur": 0.2,
    },
}  # fmt: skip  # a table of settings


def settings_of(recipe: str) -> Mapping[str, Any]:
    """Every setting of a recipe with its value.

    Raises:
        UnknownName: There is no such recipe.
    """
    added = getattr(sys.modules.get("bandits.neural.recipes"), "RECIPES", {})  # a plug-in may have brought its own
    if isinstance(recipe, str) and recipe in SETTINGS:
        return SETTINGS[recipe]
    if recipe in added:
        found: Mapping[str, Any] = added[recipe].settings
        return found
    known = {**SETTINGS, **added}
    raise UnknownName(f"no recipe is called '{recipe}'.{did_you_mean(str(recipe), known)} There are {', '.join(known)}")


def changed(recipe: str, settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a recipe, some changed.

    Raises:
        BadParameter: The recipe has no such setting, or one that cannot have this value.
    """
    for name, value in changes.items():
        if name not in settings:
            raise BadParameter(
                f"recipe '{recipe}' has no setting '{name}'.{did_you_mean(str(name), settings)} "
                f"It has: {', '.join(settings)}"
            )
        if name in _CHECKS:
            _CHECKS[name](f"the setting '{name}' of recipe '{recipe}'", value)
    if changes.get("network", settings.get("network")) in ("unet", "conv") and changes.get("width", 8) % 8:
        raise BadParameter(
            f"the setting 'width' of recipe '{recipe}' must be a multiple of 8, got {changes['width']}: "
            "its channels are normalised in 8 groups"
        )
    return {**settings, **changes}


def _at_least(least: int) -> Callable[[str, Any], None]:
    return lambda field, value: checks.at_least(field, value, least)


def _one_of(*known: str) -> Callable[[str, Any], None]:
    return lambda field, value: checks.choice(field, value, known)


def _decay(field: str, value: Any) -> None:
    checks.probability(field, value)
    if value == 1:
        raise BadParameter(f"{field} must lie below 1, got {value!r}: the average would never leave the start")


_CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    **{name: _at_least(1) for name in ("steps", "codec_steps", "batch", "latent", "width", "times")},
    **dict.fromkeys(("blur", "l2", "beta"), checks.not_negative),
    "depth": _at_least(0),
    "rate": checks.positive,
    "average": _decay,
    "schedule": _one_of("linear", "scaled_linear"),
    "codec": _one_of("ae16", "vae16"),
    "network": _one_of("unet", "conv"),
    "series": _one_of(*SERIES),
}
