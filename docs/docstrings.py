"""From docstrings to Markdown: sections, lists, references, and signatures as they are written in the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["anchor", "described", "inline", "items", "parts", "prose", "shown", "signature"]

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|References|Yields):$", flags=re.M)


def parts(text: str) -> dict[str, str]:
    """A docstring's sections by name; the description under ""."""
    cut = SECTION.split(inspect.cleandoc(text))
    return {
        "": cut[0].strip(),
        **{name: inspect.cleandoc("\n" + body) for name, body in zip(cut[1::2], cut[2::2], strict=True)},
    }


def prose(text: str) -> str:
    """Markdown of a description: words escaped, what is indented kept as it is."""
    pieces = re.split(r"((?:^ {4}.*\n?)+)", text, flags=re.M)
    return "".join(piece if piece.startswith("    ") else inline(piece) for piece in pieces)


def inline(text: str) -> str:
    """Markdown of words: code stays code, and no other letter is taken for markup."""
    pieces = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.S)
    return "".join(
        f"`{piece.strip('`')}`" if i % 2 else re.sub(r"([*<])", r"\\\1", piece) for i, piece in enumerate(pieces)
    )


def items(text: str) -> dict[str, str]:
    """The entries ``name: what it is`` of a section, each on one line; "low, high: ..." are two names of one entry."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", text):
        name, _, meaning = entry.partition(": ")
        found[name.strip()] = " ".join(meaning.split())
    return found


def described(text: str) -> Iterator[str]:
    """A docstring as paragraphs and lists."""
    sections = parts(text)
    yield prose(sections.pop(""))
    for name, body in sections.items():
        if name == "References":
            yield references(body)
        elif name == "Returns":
            yield f"Returns: {inline(' '.join(body.split()))}"
        else:
            listed = [f"- `{item}`: {inline(meaning)}" for item, meaning in items(body).items()]
            yield f"{'Arguments' if name == 'Args' else name}:\n\n" + "\n".join(listed)


def references(body: str) -> str:
    """References as a list: one begins with a number in brackets, or after a full stop."""
    listed = re.split(r"(?<=\.)\n(?=\S)|\n(?=\[)", body)
    return "References:\n\n" + "\n".join(f"- {inline(' '.join(one.split()))}" for one in listed)


def anchor(heading: str) -> str:
    """The link to a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def signature(name: str, thing: Any) -> str:
    """A call as it is written in the code."""
    written: list[str] = []
    starred = False
    for p in inspect.signature(thing).parameters.values():
        if p.name in ("self", "cls"):
            continue
        if p.kind is p.KEYWORD_ONLY and not starred:
            starred = True
            written.append("*")
        mark = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        starred = starred or p.kind is p.VAR_POSITIONAL
        has_type = p.annotation is not p.empty
        of_type = f": {p.annotation}" if has_type else ""
        equals = "" if p.default is p.empty else f"{' = ' if has_type else '='}{shown(p.default)}"
        written.append(f"{mark}{p.name}{of_type}{equals}")
    returned = getattr(thing, "__annotations__", {}).get("return") if not inspect.isclass(thing) else None
    return f"{name}({', '.join(written)})" + (f" -> {returned}" if returned else "")


def shown(value: Any) -> str:
    """A default value: classes and functions by their names."""
    return str(getattr(value, "__name__", None) or repr(value))
