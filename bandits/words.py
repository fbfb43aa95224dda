"""Numbers with their nouns, for people."""

from __future__ import annotations

__all__ = ["count"]


def count(n: int, noun: str) -> str:
    """A whole number and its noun: "1 replication", "1,000 replications", "2 paired replications"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
