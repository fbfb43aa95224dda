"""Run somebody else's per-replication agent: one Python object for each replication.

    foreign_agent("their_ucb", lambda n_arms, seed: TheirUCB(n_arms, seed=seed))

The object has ``select_arm()`` and ``update(arm, reward)``. One Python call per run-step makes this a hundred times
slower than an agent on arrays: it is a way in, and a check on a rewrite.
"""

from __future__ import annotations

import hashlib
import inspect
import operator
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .protocol import Feedback, IntArray, Problem
from .registry import register_agent
from .streams import Streams

__all__ = ["ForeignPolicy", "foreign_agent"]


class ForeignPolicy(Protocol):
    """What the wrapped object must have."""

    def select_arm(self) -> int:
        """Choose an arm, 0..K-1."""

    def update(self, arm: int, reward: float) -> Any:
        """Absorb the reward of the arm just chosen."""


class _ForeignAgent:
    make: Callable[..., ForeignPolicy]

    def __init__(self, problem: Problem, streams: Streams, **parameters: Any) -> None:
        offset = int.from_bytes(hashlib.blake2b(str(streams.seed).encode(), digest_size=4).digest(), "little")
        self._policies = [
            type(self).make(problem.n_arms, (offset + int(r)) % 2**32, **parameters) for r in streams.replications
        ]

    def act(self, t: int, context: Any = None) -> IntArray:
        return np.array([operator.index(policy.select_arm()) for policy in self._policies], dtype=np.int64)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        for policy, arm, reward in zip(self._policies, action.tolist(), feedback.reward.tolist(), strict=True):
            policy.update(arm, reward)


def foreign_agent(name: str, make: Callable[..., ForeignPolicy], *, source: str = "") -> type:
    """Register a per-replication policy as an agent.

    Args:
        name: Name to register.
        make: ``make(n_arms, seed, **parameters)`` builds the policy of one replication; the seed is a whole number
            below 2^32, different for every replication. Its keyword-only arguments become the agent's parameters.
        source: Paper or package it comes from.

    Returns:
        The agent class that was registered.
    """
    summary = (inspect.getdoc(make) or f"{name}, a foreign policy").split("\n")[0]
    keywords = [p for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY]
    leading = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in ("problem", "streams")]
    cls = type(
        name,
        (_ForeignAgent,),
        {
            "__doc__": f"{summary} (foreign: one Python object per replication, slow).",
            "__module__": make.__module__,
            "__signature__": inspect.Signature([*leading, *keywords]),
            "make": staticmethod(make),
        },
    )
    return register_agent(name, source=source)(cls)
