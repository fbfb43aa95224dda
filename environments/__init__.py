"""Environments, one file per setting. Import from here, never from a file: ``from bandits.environments import ...``."""

from __future__ import annotations

import sys

if __name__ != "bandits.environments":
    raise ImportError("import bandits.environments: the bare name 'environments' is only a folder of the checkout")

from bandits.registry import export_folder

__all__ = export_folder(sys.modules[__name__])
