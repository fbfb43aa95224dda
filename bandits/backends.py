"""Where tasks run: in this process, in a pool of processes, or on Ray.

Each backend takes tasks from an iterator, keeps a bounded number in flight, and yields their results in any order. A
result is encoded log rows or a failure in words; no exception object crosses a process border. A worker that dies is
replaced and its tasks are tried again.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import BanditsError, UsageError, in_one_line
from .protocol import Job, Output
from .registry import Plugin, load_plugin
from .store import encode

__all__ = ["Backend", "PoolBackend", "RayBackend", "Result", "SerialBackend", "Task", "execute"]

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Task:
    """Replications ``first .. first + count - 1`` of a job."""

    job: Job
    first: int
    count: int


@dataclass(frozen=True)
class Result:
    """What became of a task.

    Attributes:
        task: The task.
        data: Encoded log rows; None if it failed.
        seconds: Wall seconds in the worker.
        cause: Why it failed, one line; None if it did not.
        details: The traceback, for the record.
        tensors: Encoded tensors that were kept; None if there are none.
        facts: What the job said about how it was run.
    """

    task: Task
    data: bytes | None
    seconds: float = 0.0
    cause: str | None = None
    details: str | None = None
    tensors: bytes | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """Runs tasks somewhere."""

    name: str

    def run(self, tasks: Iterator[Task]) -> Iterator[Result]:
        """Run every task and yield its result."""


_prepared: set[str] = set()  # jobs that this process has made ready


def execute(task: Task, plugins: tuple[Plugin, ...] = ()) -> Result:
    """Run one task in this process; whatever it raises becomes a failure in words."""
    try:
        for plugin in plugins:
            load_plugin(plugin)
        if task.job.key not in _prepared:
            task.job.prepare()
            _prepared.add(task.job.key)
    except (Exception, SystemExit):
        _prepared.discard(task.job.key)  # what is broken here breaks in `run` too, which says where
    start = time.perf_counter()
    try:
        output = task.job.run(task.first, task.count)
        if not isinstance(output, Output):
            output = Output(output)
        data = encode(output.rows, output.facts)
        tensors = None if output.tensors is None else encode(output.tensors)
    except BanditsError as error:
        return Result(task, None, cause=str(error), details=traceback.format_exc())
    except (Exception, SystemExit) as error:
        cause = f"{_replications(task)}: {in_one_line(error)}"
        return Result(task, None, cause=cause, details=traceback.format_exc())
    return Result(task, data, seconds=time.perf_counter() - start, tensors=tensors, facts=output.facts)


class SerialBackend:
    """Runs tasks one after another in this process."""

    name = "serial"

    def run(self, tasks: Iterator[Task]) -> Iterator[Result]:
        """Run every task and yield its result."""
        for task in tasks:
            yield execute(task)


def _end_with(sentinel: int) -> None:
    """End this process as soon as the driver is gone, however it went: nobody wants the results any more."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _start_worker(plugins: tuple[Plugin, ...], turn: Any = None, gpus: Sequence[str] = ()) -> None:
    if gpus:  # before anything of CUDA is loaded
        with turn.get_lock():
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[turn.value % len(gpus)]
            turn.value += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business
    driver = multiprocessing.parent_process()
    if driver is not None:
        threading.Thread(target=_end_with, args=(driver.sentinel,), daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for plugin in plugins:
        load_plugin(plugin)


@dataclass
class _Suspect:
    """A task that was running when a worker died, and how often one has died with it alone."""

    task: Task
    deaths: int = 0


class PoolBackend:
    """Runs tasks in worker processes on this machine.

    Args:
        workers: Number of processes.
        plugins: Plug-in files that each worker loads first.
        gpus: ``CUDA_VISIBLE_DEVICES`` of each worker; nothing where jobs need no GPU.
    """

    name = "pool"

    def __init__(self, workers: int, plugins: tuple[Plugin, ...] = (), gpus: Sequence[str] = ()) -> None:
        self._workers, self._plugins, self._gpus = workers, plugins, tuple(gpus)

    def run(self, tasks: Iterator[Task]) -> Iterator[Result]:
        """Run every task and yield its result.

        When a worker dies, every task in flight is a suspect: each is tried again alone, so that the guilty one is
        found and the others are not blamed for it.
        """
        suspects: list[_Suspect] = []
        finished = False
        while not finished:
            pool = self._new_pool()
            in_flight: dict[Future[Result], Task] = {}
            try:
                yield from self._alone(pool, suspects)
                yield from self._together(pool, tasks, in_flight)
                finished = True
            except BrokenProcessPool:
                if suspects:
                    suspects[-1].deaths += 1
                    if suspects[-1].deaths == MAX_ATTEMPTS:
                        guilty = suspects.pop().task
                        yield Result(guilty, None, cause=_died(guilty))
                suspects.extend(_Suspect(task) for task in in_flight.values())
            finally:
                _stop(pool)

    def _alone(self, pool: ProcessPoolExecutor, suspects: list[_Suspect]) -> Iterator[Result]:
        while suspects:
            result = pool.submit(execute, suspects[-1].task, self._plugins).result()
            suspects.pop()
            yield result

    def _together(
        self, pool: ProcessPoolExecutor, tasks: Iterator[Task], in_flight: dict[Future[Result], Task]
    ) -> Iterator[Result]:
        while True:
            while len(in_flight) < 2 * self._workers and (task := next(tasks, None)) is not None:
                in_flight[pool.submit(execute, task, self._plugins)] = task
            if not in_flight:
                return
            done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                del in_flight[future]
                yield result

    def _new_pool(self) -> ProcessPoolExecutor:
        if sys.platform == "win32":
            context: Any = multiprocessing.get_context("spawn")
        else:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["bandits.jobs"])
        return ProcessPoolExecutor(
            self._workers,
            mp_context=context,
            initializer=_start_worker,
            initargs=(self._plugins, context.Value("i", 0), self._gpus),
        )


def _stop(pool: ProcessPoolExecutor) -> None:
    """Leave at once: nothing that is still running is wanted any more."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


def _died(task: Task) -> str:
    return (
        f"{_replications(task)}: the worker process died {MAX_ATTEMPTS} times "
        "(out of memory, a crash in compiled code, or a script without 'if __name__ == \"__main__\":'); "
        "fewer --workers or a smaller --batch may help"
    )


def _replications(task: Task) -> str:
    return f"replications {task.first}-{task.first + task.count - 1}"


class RayBackend:
    """Runs tasks on Ray: on this machine, or on a cluster whose nodes have bandits installed.

    Args:
        workers: CPUs for a Ray that is started here.
        address: Address of a running cluster; None starts Ray here and stops it afterwards.
        plugins: Plug-in files, sent along with each task.
    """

    name = "ray"

    def __init__(self, workers: int, address: str | None = None, plugins: tuple[Plugin, ...] = ()) -> None:
        self._workers, self._address, self._plugins = workers, address, plugins

    def run(self, tasks: Iterator[Task]) -> Iterator[Result]:
        """Run every task and yield its result; Ray itself retries tasks whose worker or node dies."""
        ray = _import_ray()
        started = not ray.is_initialized()
        if started:
            self._start(ray)
        try:
            yield from self._run(ray, tasks)
        finally:
            if started:
                ray.shutdown()

    def _run(self, ray: Any, tasks: Iterator[Task]) -> Iterator[Result]:
        # a worker lives on after a task on a GPU (max_calls=0), so that it loads its models once
        remote = ray.remote(max_retries=MAX_ATTEMPTS - 1, max_calls=0)(execute)
        limit = 2 * max(self._workers, int(ray.cluster_resources().get("CPU", 1)))
        in_flight: dict[Any, Task] = {}
        try:
            while True:
                while len(in_flight) < limit and (task := next(tasks, None)) is not None:
                    need = task.job.resources
                    if need.gpus > ray.cluster_resources().get("GPU", 0.0):  # it would wait for ever
                        raise UsageError(
                            f"{task.job.label} asks for {need.gpus:g} GPUs, and Ray has fewer: --device cpu"
                        )
                    options = {"num_cpus": need.cpus, "num_gpus": need.gpus}
                    in_flight[remote.options(**options).remote(task, self._plugins)] = task
                if not in_flight:
                    return
                done, _ = ray.wait(list(in_flight), num_returns=1)
                for reference in done:
                    task = in_flight.pop(reference)
                    try:
                        yield ray.get(reference)
                    except ray.exceptions.WorkerCrashedError:
                        yield Result(task, None, cause=_died(task))
                    except ray.exceptions.RayError as error:
                        cause = f"{_replications(task)}: Ray: {str(error).splitlines()[0]}"
                        yield Result(task, None, cause=cause, details=str(error))
        finally:
            for reference in in_flight:
                ray.cancel(reference, force=True)

    def _start(self, ray: Any) -> None:
        common = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        try:
            if self._address is not None:
                ray.init(address=self._address, log_to_driver=False, logging_level="ERROR")
            else:
                ray.init(address="local", num_cpus=self._workers, object_store_memory=512 * 2**20, **common)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            where = f"the Ray cluster at {self._address}" if self._address else "a Ray runtime on this machine"
            raise UsageError(f"cannot reach or start {where}: {str(error).splitlines()[0]}") from error


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    return ray
