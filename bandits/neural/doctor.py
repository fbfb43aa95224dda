"""What this machine has for neural experiments: packages, GPUs and what fits into them, memory, trained models."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import metadata
from typing import Any

from ..doctor import check
from .devices import gpu_count, has_torch

__all__ = ["neural_checks", "room"]

_PACKAGES = ("torch", "safetensors", "diffusers", "transformers", "peft")
_GIB = 2**30


def neural_checks() -> list[dict[str, Any]]:
    """Records as `bandits.doctor.examine` returns them; none is required."""
    return [*(_package(name) for name in _PACKAGES), *_gpus(), _memory(), _weights()]


def room(free: float) -> str:
    """What fits into so many bytes, in words.

    A model in float32 takes 4 bytes a parameter; a gradient through it, as guided sampling takes, about twice that
    again for activations, which is a rule of thumb.
    """
    return (
        f"fits float32 models of {free / 4 / 1e9:.2g} billion parameters, of about {free / 12 / 1e9:.2g} billion with "
        "gradients through them"
    )


def _package(name: str) -> dict[str, Any]:
    try:
        return check(name, metadata.version(name), True, required=False)
    except metadata.PackageNotFoundError:
        return check(name, "not installed", False, "for neural trials: pip install 'bandits[neural]'", required=False)


def _gpus() -> list[dict[str, Any]]:
    count = gpu_count()
    if count:
        import torch

        found = []
        for i in range(count):
            free, total = torch.cuda.mem_get_info(i)
            name = f"{torch.cuda.get_device_name(i)}, {free / _GIB:.1f} of {total / _GIB:.1f} GiB free"
            found.append(check(f"GPU {i}", f"{name}; {room(free)}", True, required=False))
        return found
    seen = _seen_by_driver()
    if seen and has_torch():
        remedy = "torch does not see it: install a torch built for CUDA, and check CUDA_VISIBLE_DEVICES"
        return [check("GPUs", seen, False, remedy, required=False)]
    remedy = "for neural trials: pip install 'bandits[neural]'" if seen else "not needed: neural trials run on the CPU"
    return [check("GPUs", seen or "none", False, remedy, required=False)]


def _seen_by_driver() -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(answer.split("\n")).strip("; ")


def _memory() -> dict[str, Any]:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on this system
        return check("memory", "unknown", True, required=False)
    return check("memory", f"{free / _GIB:.1f} GiB free; {room(free)}", True, required=False)


def _weights() -> dict[str, Any]:
    from .weights import cache_folder

    kept = [path.stat().st_size for path in (cache_folder() / "weights").glob("*.safetensors")]
    found = f"{len(kept)} kept in {cache_folder()}, {sum(kept) / 2**20:.1f} MiB"
    return check("trained models", found, True, required=False)
