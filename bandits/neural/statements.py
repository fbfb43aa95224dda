"""What a trial's class says of itself, for arms and intervals (`bandits.neural.trials.Trial`), checked."""

from __future__ import annotations

from typing import Any

from ..errors import BadParameter, did_you_mean, in_one_line
from ..registry import lookup
from ..specs import Spec
from . import checks

__all__ = ["LISTS", "statements"]

LISTS = ("larger_is_better", "smaller_is_better", "counts", "pooled", "task")
_OWN = ("items", "networks", "control")  # attributes of the class, or properties that depend on parameters


def statements(trial: Spec) -> dict[str, Any]:
    """Everything that the class of a trial says of it, with "control"; "items" and "networks" where it says so.

    Raises:
        BadParameter: Something is not of its kind, or names a parameter that there is not.
    """
    target, where = lookup("trial", trial.name).target, f"the class of trial '{trial.name}':"
    said: dict[str, Any] = {name: _names(where, name, getattr(target, name, ())) for name in LISTS}
    for name in ("pooled", "task"):
        if unknown := [one for one in said[name] if one not in trial.parameters]:
            hint = did_you_mean(unknown[0], trial.parameters)
            raise BadParameter(f"{where} {name} names '{unknown[0]}', which is no parameter of it.{hint}")
    for one, other in (("pooled", "task"), ("larger_is_better", "smaller_is_better")):
        if both := set(said[one]) & set(said[other]):
            raise BadParameter(f"{where} '{min(both)}' stands in {one} and in {other}: leave it in one of them")
    built = trial.build()
    try:
        own = {name: getattr(built, name) for name in _OWN if hasattr(target, name)}
    except Exception as error:
        raise BadParameter(f"{where} what it says of itself breaks: {in_one_line(error)}") from error
    for name in ("items", "networks"):
        if own.get(name) is not None:
            checks.at_least(f"{where} {name}", own[name], 1)
    checks.yes_or_no(f"{where} control", own.setdefault("control", False))
    return said | own


def _names(where: str, field: str, names: Any) -> list[str]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise BadParameter(f"{where} {field} must be a tuple of names, such as ('seed',), got {names!r:.60}")
    return list(names)
