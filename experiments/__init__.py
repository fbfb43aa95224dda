"""Declared experiments, one file each. Import from here, never from a file: ``from bandits.experiments import ...``."""

from __future__ import annotations

import sys

if __name__ != "bandits.experiments":
    raise ImportError("import bandits.experiments: the bare name 'experiments' is only a folder of the checkout")

from bandits.registry import export_folder

__all__ = export_folder(sys.modules[__name__])
