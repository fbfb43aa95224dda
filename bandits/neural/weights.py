"""Where trained weights are kept. Nothing here needs torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """``BANDITS_CACHE``, or ``bandits`` in the platform's folder for caches."""
    if given := os.environ.get("BANDITS_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "bandits"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/bandits"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bandits"
