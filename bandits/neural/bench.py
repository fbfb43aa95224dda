"""Measure neural jobs on this machine: seeds per second of a batch, beside one seed at a time, and how busy a GPU is.

Both are the engine's own job on the digit UNet (`unet_eps`) sampled by DDIM, once with all seeds as one batch and once
with batches of one; they take turns in the same run, and the median of the repeats is reported. On the CPU CPU time
counts, of one thread, as in all jobs; on a GPU wall time. Weights are the initial ones: training changes no time. They
are float32, as those of large networks are, of which this is to tell something.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError, in_one_line
from ..scheduler import Settings
from .devices import device_for, need_torch
from .jobs import TrialJob
from .trials import TrialCell, trial

__all__ = ["BUSY_TARGET", "RATIO_TARGET", "SIZES", "busy_share", "measure_neural"]

RATIO_TARGET, BUSY_TARGET = 5.0, 0.8
SIZES = {"cpu": (64, 20), "cuda": (1024, 200)}  # seeds and steps: the smoke size, and the full one
_NO_GPU = "GPU busy while sampling: not measured, for this ran on the CPU."
_ALONE = 16  # most seeds that run one at a time
_BUSY_S = 5.0  # a driver reports the busy share of its last second or less


def measure_neural(
    *, device: str = "auto", replications: int | None = None, steps: int | None = None, repeats: int = 5
) -> dict[str, Any]:
    """Measure the batched job against one seed at a time.

    Args:
        device: "auto", "cpu" or "cuda".
        replications: Seeds of the batch; None takes those of `SIZES`.
        steps: Steps of the sampler; None takes those of `SIZES`.
        repeats: Repeats; medians count.

    Returns:
        what, device, torch, weights, batch, steps, repeats; seeds_per_s of the batch, alone_seeds_per_s, ratio and
        ratio_target; largest_difference between what the two logged, relative; gpu_busy, a share or None,
        gpu_busy_target and gpu_note, which says why there is none.

    Raises:
        UsageError: Torch is not installed, or there is no GPU and "cuda" is asked for.
    """
    need_torch("bandits bench --neural")
    kind = device_for(Settings(device=device), 1.0)  # type: ignore[arg-type]  # it refuses others
    if device == "cuda" and kind == "cpu":
        raise UsageError("no GPU is visible: --device cpu measures the CPU")
    count, length = (given or usual for given, usual in zip((replications, steps), SIZES[kind], strict=True))
    cell = TrialCell(
        trial("digit_ddim", network="unet_eps", steps=length, training=0.0, precision="float32"),
        seed=1,
        replications=count,
    )
    together = TrialJob(cell, kind, 1.0 if kind == "cuda" else 0.0, batch=count)
    alone, few = replace(together, batch=1), min(count, _ALONE)
    clock = time.process_time if kind == "cpu" else time.perf_counter

    def seconds_per_seed(job: TrialJob, seeds: int) -> float:
        start = clock()
        job.run(0, seeds)  # what it logs is on the CPU: a GPU is done when this returns
        return (clock() - start) / seeds

    batched, single = together.run(0, count), alone.run(0, few)  # also loads and warms up
    taken = [(seconds_per_seed(together, count), seconds_per_seed(alone, few)) for _ in range(repeats)]
    fast, slow = (statistics.median(column) for column in zip(*taken, strict=True))
    busy, note = _gpu_busy(lambda: together.run(0, count)) if kind == "cuda" else (None, _NO_GPU)
    return {
        "what": f"digit UNet in float32, DDIM with {length} steps",
        "device": single.facts["device"],
        "torch": single.facts["torch"],
        "weights": "initial, not trained",
        "batch": max(size for _, size in batched.facts["batches"]),
        "steps": length,
        "repeats": repeats,
        "clock": "CPU time of one thread" if kind == "cpu" else "wall time",
        "seeds_per_s": round(1 / fast, 3),
        "alone_seeds_per_s": round(1 / slow, 3),
        "ratio": round(slow / fast, 3),
        "ratio_target": RATIO_TARGET,
        "largest_difference": _apart(batched.rows, single.rows),
        "gpu_busy": busy,
        "gpu_busy_target": BUSY_TARGET,
        "gpu_note": note,
    }


def _apart(batched: pa.Table, single: pa.Table) -> float:
    """Largest relative difference of the values that both logged; rows are sorted by replication."""
    a, b = (table["value"].to_numpy()[: len(single)] for table in (batched, single))
    return float(np.max(np.abs(a - b) / np.maximum(1.0, np.abs(b))))


def _gpu_busy(work: Callable[[], Any]) -> tuple[float | None, str]:
    """Share of time that the GPU is busy during the work, or None and why it cannot be told."""
    import torch

    try:
        torch.cuda.utilization()
    except ModuleNotFoundError:
        return None, "GPU busy while sampling: not measured: pip install 'bandits[neural]' (nvidia-ml-py is missing)"
    except Exception as error:  # the driver's library has errors of its own
        return None, f"GPU busy while sampling: not measured: {in_one_line(error, 120)}"
    return busy_share(work, lambda: torch.cuda.utilization() / 100, _BUSY_S), ""


def busy_share(work: Callable[[], Any], read: Callable[[], float], seconds: float, every: float = 0.05) -> float:
    """Mean of what ``read`` says while the work is done again and again for so many seconds.

    The first half is not counted: what a driver reports is about the time before.
    """
    seen: list[tuple[float, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every):
            seen.append((time.perf_counter(), read()))

    watcher = threading.Thread(target=watch, daemon=True)
    start = time.perf_counter()
    watcher.start()
    try:
        while time.perf_counter() - start < seconds:
            work()
        stop = time.perf_counter()
    finally:
        done.set()
        watcher.join()
    counted = [share for at, share in seen if (start + stop) / 2 <= at <= stop]
    return statistics.fmean(counted or [read()])
