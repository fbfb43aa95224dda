"""Agents, environments and trials as data: a registered name with its parameters, checked, defaults filled in.

    agent("ucb1", c=2.0)
    environment("bernoulli", means=[0.9, 0.8]).named("easy")

A parameter is a keyword-only argument of the constructor; its annotation says which values it takes. A declaration is
plain data (numbers, words, lists): it is written to run.json, hashed into the keys of cells and sent to workers.
A class that also takes files or foreign objects says so with a static method ``resolve``, which replaces them by what
they hold where the declaration is made: neither a later change to the file nor its absence matters to a run.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from .errors import BadParameter, BanditsError, UsageError, did_you_mean, in_one_line
from .registry import lookup

__all__ = ["Spec", "agent", "environment", "plain", "written"]

SpecKind = Literal["agent", "environment", "trial"]


@dataclass(frozen=True)
class Spec:
    """A registered name with its parameters, every default filled in: agent, environment or trial, as data.

    Attributes:
        kind, name: What is registered.
        given: Parameters that were given.
        title: What tables and figures call it in place of name and parameters; see `named`.
    """

    kind: SpecKind
    name: str
    given: Mapping[str, Any]
    title: str | None = None

    def __post_init__(self) -> None:
        """Put what files and foreign objects hold in their place, now, whatever becomes of them.

        What fails is said once the parameters are needed: a worker, or ``resume``, loads an experiment's file without
        the files that it names, and has its parameters from elsewhere.
        """
        with suppress(UsageError):
            vars(self)["given"] = _without_files(self)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """All parameters, checked against the constructor, defaults filled in.

        Raises:
            UnknownName, BadParameter: There is no such agent or environment, or it has no such parameter.
        """
        vars(self)["given"] = _without_files(self)
        return _resolve(self)

    @property
    def label(self) -> str:
        """The title, or else the name with the parameters that were given: ``ucb1(c=4)``."""
        if self.title is not None:
            return self.title
        return f"{self.name}({_inside(self.given)})" if self.given else self.name

    @property
    def full_label(self) -> str:
        """Like `label`, with every number of every list."""
        if self.title is not None:
            return self.title
        inside = ", ".join(f"{name}={json.dumps(written(value))}" for name, value in self.given.items())
        return f"{self.name}({inside})" if inside else self.name

    def named(self, title: str) -> Spec:
        """Return a copy that tables, figures and reports call by this title: ``environment(...).named("E12")``.

        The title is no part of what the cell is: it changes no key and no number.

        Raises:
            BadParameter: The title is empty or takes more than a line.
        """
        if not isinstance(title, str) or not title.strip() or not title.isprintable():
            raise BadParameter(f"a title is one line of text, got {title!r}")
        return dataclasses.replace(self, title=title.strip())

    def with_parameters(self, **changes: Any) -> Spec:
        """Return a copy with some parameters changed; a title then says so, as in ``E12(sigma=2)``."""
        title = self.title and f"{self.title}({_inside(changes)})"
        return Spec(self.kind, self.name, {**self.given, **changes}, title)

    def build(self, *arguments: Any) -> Any:
        """Construct the agent ``(problem, streams)``, the environment ``(streams)`` or the trial ``()``.

        Raises:
            BadParameter: The constructor refused a parameter's value.
            UnsupportedProblem: The agent cannot play the environment.
        """
        target = lookup(self.kind, self.name).target
        parameters = {name: tuple(v) if isinstance(v, list) else v for name, v in self.parameters.items()}
        try:
            return target(*arguments, **parameters)
        except BanditsError as error:
            raise type(error)(f"{self.kind} {self.label}: {error}") from error
        except (ValueError, TypeError) as error:
            raise BadParameter(f"{self.kind} {self.label}: {error}") from error
        except (Exception, SystemExit) as error:
            if self.kind == "agent":
                raise  # costs its own cells only, and is reported with them
            raise BadParameter(f"{self.kind} {self.label}: {in_one_line(error)}") from error

    def as_json(self) -> dict[str, Any]:
        """The declaration as plain data, which `from_json` reads back: name, given parameters, title if it has one."""
        declared = {"name": self.name, "parameters": written(self.given)}
        return declared if self.title is None else declared | {"title": self.title}

    @staticmethod
    def from_json(kind: SpecKind, data: Mapping[str, Any]) -> Spec:
        """Read back what `as_json` wrote."""
        spec = Spec(kind, data["name"], data["parameters"])
        return spec if data.get("title") is None else spec.named(data["title"])


def agent(name: str, **parameters: Any) -> Spec:
    """Declare an agent: ``agent("ucb1", c=2.0)``."""
    return Spec("agent", name, parameters)


def environment(name: str, **parameters: Any) -> Spec:
    """Declare an environment: ``environment("bernoulli", means=[0.9, 0.8])``."""
    return Spec("environment", name, parameters)


def _without_files(spec: Spec) -> dict[str, Any]:
    """Apply the class's ``resolve``, if it has one, to what was given.

    Raises:
        UnknownName: There is no such agent or environment, yet.
        BadParameter: A file cannot be read, or an object is not what it should be.
    """
    resolve = getattr(lookup(spec.kind, spec.name).target, "resolve", dict)
    try:
        return dict(resolve(spec.given))
    except (ValueError, TypeError) as error:
        raise BadParameter(f"{spec.kind} '{spec.name}': {error}") from error


def _resolve(spec: Spec) -> dict[str, Any]:
    """Check given parameters against the constructor's keyword-only ones and fill in the defaults."""
    target = lookup(spec.kind, spec.name).target
    signature = inspect.signature(target)
    accepted = {p.name: p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}
    for name in spec.given:
        if name not in accepted:
            known = ", ".join(accepted) or "none"
            raise BadParameter(
                f"{spec.kind} '{spec.name}' has no parameter '{name}'.{did_you_mean(name, accepted)} It has: {known}."
            )
    hints = _type_hints(target)
    resolved = {}
    for name, parameter in accepted.items():
        if name in spec.given:
            where = f"{spec.kind} '{spec.name}': {name}"
            resolved[name] = _coerce(plain(spec.given[name]), hints.get(name, Any), where)
        elif parameter.default is parameter.empty:
            raise BadParameter(f"{spec.kind} '{spec.name}' needs the parameter '{name}'")
        else:
            resolved[name] = plain(parameter.default)
    try:
        json.dumps(written(resolved))
    except (TypeError, ValueError) as error:
        raise BadParameter(
            f"{spec.kind} '{spec.name}': parameters are numbers, words, true, false, null and lists of them ({error})"
        ) from error
    return resolved


def _type_hints(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__)
    except (NameError, TypeError, AttributeError):
        return {}


def plain(value: Any) -> Any:
    """JSON-ready copy: arrays and tuples to lists, NumPy scalars to Python's."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(v) for v in value), key=repr)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(v) for v in value]
    return value


def written(value: Any) -> Any:
    """Like `plain`, with the word "inf" for infinity, which JSON has no number for."""
    value = plain(value)
    if isinstance(value, dict):
        return {k: written(v) for k, v in value.items()}
    if isinstance(value, list):
        return [written(v) for v in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """Check a value against a type hint, turning whole numbers into floats where a float is meant."""
    options = _options(hint)
    not_a_number = isinstance(value, float) and value != value
    for option in () if not_a_number else options:
        matches, converted = _match(value, option)
        if matches:
            return converted
    wanted = " or ".join(_describe(option) for option in options)
    raise BadParameter(f"{where} must be {wanted}, got {value!r}")


def _options(hint: Any) -> tuple[Any, ...]:
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _match(value: Any, hint: Any) -> tuple[bool, Any]:
    if len(options := _options(hint)) > 1:
        return next((m for option in options if (m := _match(value, option))[0]), (False, value))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is Any or hint is inspect.Parameter.empty:
        return True, value
    if hint is None or hint is type(None):
        return value is None, None
    if hint is float:
        number = number and not (isinstance(value, int) and abs(value) > sys.float_info.max)
        return number, float(value) if number else value
    if hint is int:
        whole = number and (isinstance(value, int) or value.is_integer())
        return whole, int(value) if whole else value
    if hint in (bool, str):
        return isinstance(value, hint), value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments, value
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, Sequence)):
        if not isinstance(value, list):
            return False, value
        matched = [_match(item, arguments[0] if arguments else Any) for item in value]
        return all(ok for ok, _ in matched), [item for _, item in matched]
    return True, value


def _describe(hint: Any) -> str:
    names = {
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        str: "a word",
        type(None): "null",
    }
    if hint in names:
        return names[hint]
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is None:
        return str(hint)
    depth = 1
    while (inner := next((o for a in typing.get_args(hint) for o in _options(a) if _is_list(o)), None)) is not None:
        hint, depth = inner, depth + 1
    return f"a list of {'lists of ' * (depth - 1)}numbers"


def _is_list(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, Sequence))


def _inside(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in parameters.items())


def _short(value: Any) -> str:
    """A value as a label shows it: numbers without trailing zeros, long lists by their ends, matrices by shape."""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list | tuple | np.ndarray):
        widths = {len(row) if isinstance(row, list | tuple | np.ndarray) else 0 for row in value}
        if len(widths) == 1 and max(widths) > 4:
            return f"[{len(value)} x {max(widths)}]"
        items = [_short(v) for v in value]
        if len(items) > 4:
            items = [*items[:2], "...", items[-1]]
        return "[" + ", ".join(items) + "]"
    return str(value)
