"""Look at what is installed and what the machine has, and say what to do about what is missing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

__all__ = ["check", "examine"]

_REQUIRED = ("numpy", "scipy", "numba", "cvxpy", "ray", "pandas", "pyarrow", "matplotlib", "typer", "rich")


def examine() -> list[dict[str, Any]]:
    """One record per check: name, found, ok, required, remedy (empty where all is well)."""
    from .neural.doctor import neural_checks

    return [
        _python(),
        *(_package(name) for name in _REQUIRED),
        _cores(),
        _kernels(),
        _solvers(),
        *neural_checks(),
    ]


def check(name: str, found: str, ok: bool, remedy: str = "", *, required: bool = True) -> dict[str, Any]:
    """One record."""
    return {"name": name, "found": found, "ok": ok, "required": required, "remedy": "" if ok else remedy}


def _python() -> dict[str, Any]:
    version = platform.python_version_tuple()
    return check(
        "Python",
        platform.python_version(),
        (int(version[0]), int(version[1])) >= (3, 11),
        "install Python 3.11 or newer",
    )


def _package(name: str) -> dict[str, Any]:
    try:
        return check(name, metadata.version(name), True)
    except metadata.PackageNotFoundError:
        return check(name, "not installed", False, f"pip install {name}")


def _cores() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return check("cores", f"{usable} usable, {platform.machine()}", True)


def _kernels() -> dict[str, Any]:
    try:
        from .streams import Streams

        drawn = float(Streams(0, 2).agent.uniform(1)[0])
    except Exception as error:  # whatever keeps compiled code from running is what the user came to learn
        return check("compiled kernels", f"{type(error).__name__}: {error}", False, "reinstall numba and llvmlite")
    from .kernels import cache_folder

    return check(
        "compiled kernels",
        f"work, kept in {cache_folder()}",
        0.0 < drawn < 1.0,
        "reinstall numba and llvmlite",
    )


def _solvers() -> dict[str, Any]:
    try:
        from cvxpy.reductions.solvers.defines import INSTALLED_SOLVERS

        return check("convex solvers", ", ".join(sorted(INSTALLED_SOLVERS)), True)
    except Exception as error:
        return check("convex solvers", f"{type(error).__name__}: {error}", False, "reinstall cvxpy")
