"""Where trained weights are kept, and how a file gets there. Nothing here needs torch."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["cache_folder", "remove_leftovers", "write_whole"]

STALE_S = 86_400.0


def cache_folder() -> Path:
    """``BANDITS_CACHE``, or ``bandits`` in the platform's folder for caches."""
    if given := os.environ.get("BANDITS_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "bandits"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/bandits"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bandits"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and remove what writers that were killed have left beside it."""
    remove_leftovers(path.parent)
    beside = path.with_name(f".{path.name}.{_host()}-{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove half-written files whose writer is gone, or that are older than a day.

    A file's name says which process of which machine writes it. Of other machines, that share the folder, nothing is
    known but the age of the file.
    """
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):  # another process may be as quick, or the folder not ours
            old = time.time() - path.stat().st_mtime > STALE_S
            if old or _writer_is_gone(path.name):
                path.unlink(missing_ok=True)


def _writer_is_gone(name: str) -> bool:
    found = re.search(r"\.([^.]*)-(\d+)\.tmp$", name)
    if found is None or found[1] != _host() or sys.platform == "win32":  # there asking would end the process
        return False
    try:
        os.kill(int(found[2]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives, and is another user's; or no number of a process
        return False
    return False


def _host() -> str:
    return re.sub(r"[^\w-]", "_", socket.gethostname())
