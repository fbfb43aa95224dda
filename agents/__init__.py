"""Agents, one file per algorithm. Import from here, never from a file: ``from bandits.agents import ...``."""

from __future__ import annotations

import sys

if __name__ != "bandits.agents":
    raise ImportError("import bandits.agents: the bare name 'agents' is only a folder of the checkout")

from bandits.registry import export_folder

__all__ = export_folder(sys.modules[__name__])
