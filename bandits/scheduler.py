"""From jobs to finished log parts: what is missing, how it is cut into tasks, where it runs, and what went wrong.

The scheduler knows jobs only by `bandits.protocol.Job`: a simulated cell is one kind. Tasks are cut by predicted
seconds; how they are cut, where they run and in what order never changes a result.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .backends import Backend, PoolBackend, RayBackend, Result, SerialBackend, Task
from .errors import UsageError
from .progress import Progress
from .protocol import Estimate, Job
from .ray_address import reach_ray
from .registry import plugins
from .store import RunFolder, missing_ranges

__all__ = ["BackendName", "Failure", "Outcome", "Settings", "choose_backend", "cut", "run_jobs"]

BackendName = Literal["auto", "serial", "pool", "ray"]

TASK_SECONDS = 2.0  # aim of a task; Ray's overhead is below 2 % from 0.2 s on
MAX_ROWS = 2_000_000  # log rows per task: bounds the memory of a worker
POOL_SECONDS = 6.0  # predicted wall seconds from which starting a pool pays
RAY_SECONDS = 600.0  # predicted wall seconds from which Ray's start, 6-8 s, is about 1 %


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        backend: "auto" stays in this process for short work, takes a pool for longer, and Ray where its start does
            not matter.
        workers: Number of processes; None means all cores that this process may use.
        ray_address: Address of a running Ray cluster.
        device: Where neural jobs compute: "auto" is a GPU where there is one.
        gpus_per_job: Share of a GPU that a neural job takes; None leaves it to the trial.
    """

    backend: BackendName = "auto"
    workers: int | None = None
    ray_address: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpus_per_job: float | None = None

    def __post_init__(self) -> None:
        if self.backend not in ("auto", "serial", "pool", "ray"):
            raise UsageError(f"backend must be auto, serial, pool or ray, got '{self.backend}'")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"workers must be at least 1, got {self.workers}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"device must be auto, cpu or cuda, got '{self.device}'")
        if self.gpus_per_job is not None and not (0 < self.gpus_per_job < 1 or self.gpus_per_job == 1):
            raise UsageError(f"--gpus-per-job is a share of a GPU, above 0 and at most 1, got {self.gpus_per_job:g}")
        if self.ray_address is not None and self.backend not in ("auto", "ray"):
            raise UsageError(f"--ray-address goes with the ray backend, not with {self.backend}")
        if self.ray_address is not None:
            reach_ray(self.ray_address)

    @property
    def worker_count(self) -> int:
        """Number of processes to use."""
        return self.workers or len(
            os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        )


@dataclass(frozen=True)
class Failure:
    """A task that failed: which cell, which replications, and why (the cause names replications and round)."""

    cell: str
    label: str
    first: int
    count: int
    cause: str
    details: str | None = None

    def __str__(self) -> str:
        return f"cell {self.cell} ({self.label}) failed in {self.cause}"


@dataclass
class Outcome:
    """What a call of `run_jobs` did.

    Attributes:
        failures: Tasks that failed.
        seconds: Worker seconds spent on each job, by key.
        done: Replications finished in this call, by key.
        notes: Lines that jobs wanted to be read.
        devices: Devices and versions of torch that were used, as words.
        interrupted: Whether Ctrl-C (or a termination signal) ended it early.
        backend: Backend that ran the tasks.
    """

    failures: list[Failure] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    interrupted: bool = False
    backend: str = "none"

    def followed_by(self, later: Outcome) -> Outcome:
        """Both together: of two stages of a run, which have no job in common."""
        return Outcome(
            self.failures + later.failures,
            self.seconds | later.seconds,
            self.done | later.done,
            self.notes + later.notes,
            sorted({*self.devices, *later.devices}),
            self.interrupted or later.interrupted,
            self.backend if later.backend == "none" else later.backend,
        )


def run_jobs(
    jobs: Sequence[Job],
    folder: RunFolder,
    settings: Settings,
    progress: Progress,
    on_part: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Run what the folder still lacks of the jobs, and write each finished part at once.

    Args:
        jobs: The jobs.
        folder: Where finished parts are, and go.
        settings: Where to run.
        progress: What to tell the user meanwhile.
        on_part: Called after every part that was written.
    """
    outcome = Outcome()
    missing = {job.key: missing_ranges(job.replications, folder.parts(job.key)) for job in jobs}
    todo = [job for job in jobs if missing[job.key]]
    for job in jobs:
        left = sum(count for _, count in missing[job.key])
        progress.add(job.key, job.label, job.replications, job.replications - left)
    if not todo:
        return outcome
    failed: set[str] = set()
    try:
        with _terminate_as_interrupt():
            progress.say("measuring the cost of each cell")
            estimates = {job.key: _estimate(job) for job in todo}
            seconds = sum(estimates[job.key].seconds * count for job in todo for _, count in missing[job.key])
            share = max(job.resources.gpus for job in todo)
            backend = choose_backend(settings, seconds, share)
            outcome.backend = backend.name
            workers = 1 if backend.name == "serial" else _worker_count(settings, _slots(share))
            target = min(TASK_SECONDS, max(0.25, seconds / (4 * workers))) if workers > 1 else TASK_SECONDS
            progress.say(f"{backend.name} backend, about {seconds / workers:.0f} s")

            def tasks() -> Iterator[Task]:
                for job in todo:
                    for first, count in missing[job.key]:
                        for task in cut(job, first, count, estimates[job.key], target):
                            if job.key not in failed:  # one report per broken cell is enough
                                yield task

            with _telling_news(todo, progress):
                for result in backend.run(tasks()):
                    _settle(result, folder, outcome, failed, progress)
                    on_part(outcome)
    except KeyboardInterrupt:
        outcome.interrupted = True
    return outcome


def choose_backend(settings: Settings, seconds: float, share: float = 0.0) -> Backend:
    """Pick the backend for work of so many predicted core seconds, whose jobs take a share of a GPU each.

    In a pool there is at most one process for each share.
    """
    slots = _slots(share)
    workers, name = _worker_count(settings, slots), settings.backend
    if name == "auto":
        wall = seconds / workers
        if settings.ray_address is not None or wall > RAY_SECONDS:
            name = "ray"
        else:
            name = "pool" if workers > 1 and seconds > POOL_SECONDS else "serial"
    if name == "ray":
        return RayBackend(workers, settings.ray_address, plugins())
    return PoolBackend(workers, plugins(), slots) if name == "pool" else SerialBackend()


def _worker_count(settings: Settings, slots: Sequence[str]) -> int:
    """Processes to use: of a cluster we know no limit, on this machine one for each share of a GPU."""
    limited = bool(slots) and settings.ray_address is None
    return min(settings.worker_count, len(slots)) if limited else settings.worker_count


def _slots(share: float) -> list[str]:
    """The GPU of each process that fits, as ``CUDA_VISIBLE_DEVICES`` names it; none where no GPU is asked for."""
    if share <= 0:
        return []
    from .neural.devices import processes_per_gpu, visible_gpus

    return [gpu for gpu in visible_gpus() for _ in range(processes_per_gpu(share))]


def cut(job: Job, first: int, count: int, estimate: Estimate, target: float) -> Iterator[Task]:
    """Cut a range of replications into tasks of about ``target`` seconds and at most `MAX_ROWS` rows.

    Tasks are not cut finer than ``estimate.least``: for a long horizon they may take longer than the target. Nor do
    they cut into what ``estimate.grain`` keeps together.
    """
    if estimate.grain > 1:
        yield from _cut_between_grains(job, first, count, estimate, target)
        return
    most = max(1, min(MAX_ROWS // max(estimate.rows, 1), count))
    size = min(max(1, int(target / estimate.seconds), estimate.least), most)
    if size > estimate.chunk:
        size -= size % estimate.chunk
    pieces = -(-count // size)
    while pieces > 1 and count // pieces < estimate.least and -(-count // (pieces - 1)) <= most:
        pieces -= 1
    for i in range(pieces):  # even pieces, so that none is a small remainder
        start, stop = first + i * count // pieces, first + (i + 1) * count // pieces
        yield Task(job, start, stop - start)


def _cut_between_grains(job: Job, first: int, count: int, estimate: Estimate, target: float) -> Iterator[Task]:
    grain, stop = estimate.grain, first + count
    most = min(target / estimate.seconds, MAX_ROWS / max(estimate.rows, 1))
    grains = max(1, int(most / grain))
    while first < stop:
        following = min(stop, (first // grain + grains) * grain)
        yield Task(job, first, following - first)
        first = following


def _estimate(job: Job) -> Estimate:
    """Ask the job; one that breaks while it is measured gets a guess, and the run reports how it breaks."""
    try:
        return job.estimate()
    except (Exception, SystemExit):
        return Estimate(seconds=1e-3, rows=200)


def _settle(result: Result, folder: RunFolder, outcome: Outcome, failed: set[str], progress: Progress) -> None:
    task, key = result.task, result.task.job.key
    if result.data is None:
        failed.add(key)
        failure = Failure(key, task.job.label, task.first, task.count, result.cause or "unknown", result.details)
        outcome.failures.append(failure)
        progress.fail(key, str(failure))
        return
    for note in result.facts.get("notes", ()):
        if note not in outcome.notes:  # several workers may find out the same
            progress.say(note)
            outcome.notes.append(note)
    if "device" in result.facts and (used := f"{result.facts['device']}, torch {result.facts['torch']}"):
        outcome.devices = sorted({*outcome.devices, used})
    if result.tensors is not None:
        folder.write_tensors(key, task.first, task.count, result.tensors)
    folder.write_part(key, task.first, task.count, result.data)
    outcome.seconds[key] = outcome.seconds.get(key, 0.0) + result.seconds
    outcome.done[key] = outcome.done.get(key, 0) + task.count
    progress.advance(key, task.count, result.seconds)


@contextmanager
def _telling_news(jobs: Sequence[Job], progress: Progress) -> Iterator[None]:
    """Pass on what long tasks say meanwhile: those of jobs that have ``news(since) -> line or None``."""
    telling = [job for job in jobs if hasattr(job, "news")]
    over, since = threading.Event(), time.time()

    def look() -> None:
        told: dict[str, str] = {}
        while not over.wait(2.0):
            for job in telling:
                line = job.news(since)
                if line is not None and told.get(job.key) != line:
                    told[job.key] = line
                    progress.say(f"  {job.label}: {line}")

    if telling:
        threading.Thread(target=look, daemon=True).start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Treat a termination signal like Ctrl-C, so that a job manager's stop leaves a run that can be resumed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
