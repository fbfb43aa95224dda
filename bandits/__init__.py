"""Simulate bandits and sequential decisions: fast, reproducible, with pluggable agents.

Everyday names live here and load on first use, so that ``import bandits`` stays fast:

    from bandits import Experiment, agent, environment, simulate, load

Concrete agents, environments and experiments live in ``bandits.agents``, ``bandits.environments`` and
``bandits.experiments``.
"""

from __future__ import annotations

import importlib
import pathlib
from typing import TYPE_CHECKING, Any

_root = pathlib.Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file():  # a checkout: agents/ and environments/ lie beside us
    __path__.append(str(_root))

if TYPE_CHECKING:
    from .analysis import Log, load
    from .experiment import Experiment
    from .foreign import foreign_agent
    from .loop import simulate
    from .neural.trials import NeuralExperiment, trial
    from .protocol import Bound, Context, Feedback, Problem
    from .registry import register_agent, register_environment, register_experiment, register_trial
    from .scalar import ScalarAgent
    from .specs import agent, environment
    from .streams import Streams

__version__ = "0.1.0"

_HOME = {
    "Bound": "protocol",
    "Context": "protocol",
    "Experiment": "experiment",
    "Feedback": "protocol",
    "Log": "analysis",
    "NeuralExperiment": "neural.trials",
    "Problem": "protocol",
    "ScalarAgent": "scalar",
    "Streams": "streams",
    "agent": "specs",
    "environment": "specs",
    "foreign_agent": "foreign",
    "load": "analysis",
    "register_agent": "registry",
    "register_environment": "registry",
    "register_experiment": "registry",
    "register_trial": "registry",
    "simulate": "loop",
    "trial": "neural.trials",
}

__all__ = [
    "Bound",
    "Context",
    "Experiment",
    "Feedback",
    "Log",
    "NeuralExperiment",
    "Problem",
    "ScalarAgent",
    "Streams",
    "agent",
    "environment",
    "foreign_agent",
    "load",
    "register_agent",
    "register_environment",
    "register_experiment",
    "register_trial",
    "simulate",
    "trial",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it, once."""
    if name not in _HOME:
        raise AttributeError(f"module 'bandits' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
