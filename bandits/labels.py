"""Labels of trials, such as ``psld(steps=50, options={'gamma': 0.1})``, by what tells them from each other."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["split", "tell_apart", "wrapped"]


def split(text: str) -> list[str]:
    """Parts between commas; those inside brackets belong together, as in ``lin_ts(ridge=1, sd=0.5)``."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth <= 0:
            found.append("")
        else:
            found[-1] += letter
    return [part.strip() for part in found]


def tell_apart(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Each label by the parameters that not all of its name share, and lines that say what they share.

    The parameters of a mapping stand for themselves, and what is None or empty is left out. Where all labels have one
    name it stands in the line alone. Labels that would not be told apart so are left as they are.
    """
    taken = [_parts(label) for label in labels]
    own, shared = [], dict[str, list[str]]()
    for name, inside in taken:
        alike = [parts for other, parts in taken if other == name]
        common = [part for part in inside if all(part in parts for parts in alike)] if len(alike) > 1 else []
        shared[name] = common
        own.append([part for part in inside if part not in common])
    one_name = len(shared) == 1 and len(labels) > 1
    short = [
        ", ".join(inside) or name if one_name else f"{name}({', '.join(inside)})" if inside else name
        for (name, _), inside in zip(taken, own, strict=True)
    ]
    if len(set(short)) < len(set(labels)):
        return list(labels), []
    if one_name:
        (name,) = shared
        return short, [f"All are {name}({', '.join(shared[name])})." if shared[name] else f"All are {name}."]
    return short, [f"All of {name}: {', '.join(common)}." for name, common in shared.items() if common]


def wrapped(label: str, width: int) -> str:
    """The label on lines of so many letters, broken between its parameters only; a longer one has its own line."""
    name, inside = label.partition("(")[0], label.partition("(")[2]
    lines = [f"{name}("] if inside else [""]
    for part in split(inside or name):
        start = "" if not lines[-1] or lines[-1].endswith("(") else ", "
        if start and len(lines[-1] + start + part) > width:
            lines[-1] += ","
            lines.append(f"  {part}")
        else:
            lines[-1] += start + part
    return "\n".join(lines)


def _parts(label: str) -> tuple[str, list[str]]:
    """Name and parameters of a label."""
    found = re.fullmatch(r"([^()=]+)\((.*)\)", label, re.DOTALL)
    if found is None:
        return label, []
    parts: list[str] = []
    for part in split(found[2]):
        _, equals, value = part.partition("=")
        if equals and value.startswith("{") and value.endswith("}"):
            parts += [_of_mapping(inner) for inner in split(value[1:-1]) if inner]
        elif not (equals and value == "None"):
            parts.append(part)
    return found[1], parts


def _of_mapping(inner: str) -> str:
    """``'gamma': 0.1`` as ``gamma=0.1``."""
    name, _, value = inner.partition(":")
    return f"{name.strip().strip(chr(39))}={value.strip().strip(chr(39))}"
