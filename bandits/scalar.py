"""Write an agent as three scalar functions for ONE replication; the engine compiles and composes them.

    @register_agent("my_ucb")
    class MyUCB(ScalarAgent):
        rows = 2                                              # numbers kept per arm

        def __init__(self, problem, streams, *, c: float = 2.0):
            super().__init__(problem, streams, c=c)

        @staticmethod
        def init(state, p):                                   # state: float64 (rows, K), zeros
            state[1, :] = 0.0

        @staticmethod
        def act(state, t, p, draw):                           # returns an arm
            ...

        @staticmethod
        def update(state, t, arm, reward, p):
            ...

They use the subset of Python that numba compiles. ``p`` has ``n_arms``, ``horizon`` (0 where unknown) and what the
constructor passed on. Randomness comes from ``uniform(draw, slot)`` and its companions below: the same numbers as
``streams.agent.uniforms(t, n)[slot]``, so a NumPy agent and a scalar one can be the same to the bit. The logarithm
to use is `bandits.kernels.log`.
"""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import njit

from .errors import BadParameter
from .kernels import inline
from .philox import Key, Word, beta_at, normal_pair, uniform_at
from .protocol import Feedback, IntArray, Problem
from .streams import Streams

__all__ = ["ScalarAgent", "beta", "integer", "normal", "uniform"]


class Draw(NamedTuple):
    """Where a scalar agent's random numbers come from: one lane of the agent stream, at one round."""

    key: Key
    lane: int
    t: int


@inline
def uniform(draw: Draw, slot: Word) -> Word:
    """Uniform on (0, 1): ``streams.agent.uniforms(t, n)[slot]``."""
    return uniform_at(draw.key, draw.lane, draw.t, slot)


@inline
def normal(draw: Draw, slot: Word) -> Word:
    """Standard normal: ``streams.agent.normals(t, n)[slot]``."""
    even, odd = normal_pair(draw.key, draw.lane, draw.t, slot >> 1)
    return odd if slot & 1 else even


@inline
def integer(draw: Draw, slot: Word, n: Word) -> Word:
    """Uniform on 0..n-1, from the uniform at the same slot."""
    return int(uniform(draw, slot) * n)


@inline
def beta(draw: Draw, slot: Word, a: Word, b: Word) -> Word:
    """Beta(a, b): ``streams.agent.betas(t, ...)[slot]``."""
    return beta_at(draw.key, draw.lane, draw.t, slot, a, b)


@cache
def _parameter_type(names: tuple[str, ...]) -> Any:
    """One type per set of names: numba compiles afresh for every new type."""
    return namedtuple("Parameters", names)


_composed: dict[type, tuple[Any, Any, Any]] = {}


class ScalarAgent:
    """Base of agents written for one replication; see the module's text for the three functions.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch.
        **parameters: Numbers (or arrays) that the three functions find in ``p``.
    """

    rows: ClassVar[int] = 1

    def __init__(self, problem: Problem, streams: Streams, **parameters: Any) -> None:
        self._parameters = {"n_arms": problem.n_arms, "horizon": problem.horizon or 0, **parameters}
        self._key = streams.agent.key
        self._action = np.empty(streams.size, dtype=np.int64)
        self._state = np.zeros((streams.size, self.rows, problem.n_arms))
        self._compile()
        self._init(self._state, self._p)

    def _compile(self) -> None:
        self._p = _parameter_type(tuple(self._parameters))(*self._parameters.values())
        self._init, self._act, self._update = _compose(type(self))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_p", "_init", "_act", "_update")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._compile()

    def __init_subclass__(cls, **options: Any) -> None:
        """Keep the three functions apart from the batched ``act`` and ``update`` that the engine calls."""
        super().__init_subclass__(**options)
        functions = dict(cls._functions)
        for name in ("init", "act", "update"):
            function = vars(cls).get(name)
            if isinstance(function, staticmethod):
                functions[name] = function.__func__
                delattr(cls, name)
            elif function is not None or name not in functions:
                raise BadParameter(f"{cls.__name__} needs a @staticmethod '{name}' for one replication")
        cls._functions = functions

    _functions: ClassVar[dict[str, Any]] = {}

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        self._act(self._state, t, self._p, self._key, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        self._update(self._state, t, action, feedback.reward, self._p)


def _compose(cls: type[ScalarAgent]) -> tuple[Any, Any, Any]:
    """Compile loops over lanes around the class's three functions, once per process (about two seconds).

    Not cached on disk: numba would not notice that a captured function has changed.
    """
    if cls not in _composed:
        init, act, update = (njit(error_model="numpy")(cls._functions[name]) for name in ("init", "act", "update"))

        @njit(error_model="numpy")
        def init_all(state: Any, p: Any) -> None:
            for b in range(state.shape[0]):
                init(state[b], p)

        @njit(error_model="numpy")
        def act_all(state: Any, t: Any, p: Any, key: Any, action: Any) -> None:
            for b in range(state.shape[0]):
                action[b] = act(state[b], t, p, Draw(key, b, t))

        @njit(error_model="numpy")
        def update_all(state: Any, t: Any, action: Any, reward: Any, p: Any) -> None:
            for b in range(state.shape[0]):
                update(state[b], t, action[b], reward[b], p)

        _composed[cls] = (init_all, act_all, update_all)
    return _composed[cls]
