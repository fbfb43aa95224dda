"""A trial as a job for the scheduler: replications in, rows ``replication, step, metric, value`` out.

Replications run in batches whose borders are the multiples of the batch size, however the work is cut into tasks: on
one device the same batches give the same bits. A batch that does not fit into memory is halved, which changes results
by rounding only (and by nothing where sums do not depend on the size of the batch).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..declarations import CellJob
from ..errors import BanditsError, PlayError, in_one_line
from ..protocol import Estimate, Output, Resources
from ..registry import lookup
from ..replay import Replayed, compare_rows
from ..store import facts_of
from .devices import computing, describe, torch_device
from .trials import TrialCell

if TYPE_CHECKING:
    from .batch import Batch
    from .cache import ModelCache

__all__ = ["AT_ONCE", "TOLERANCE", "TrialJob"]

AT_ONCE = 64  # replications per batch of a trial that does not say
TOLERANCE = 1e-5  # of a metric, relative, between devices and versions of torch
_GUESS_S = 1.0  # per replication, where a trial has no pilot

_fits: dict[str, int] = {}  # by job: the size of batch that was left after halving, in this process
_models: dict[str, ModelCache] = {}  # by device


@dataclass(frozen=True)
class TrialJob(CellJob):
    """Runs one trial.

    Attributes:
        cell: What to run.
        device: "cuda" or "cpu".
        gpus: Share of a GPU that a task takes.
        batch: Replications per batch; None leaves it to the trial.
        requires: Keys of the trainings that come before it.
    """

    cell: TrialCell
    device: str = "cpu"
    gpus: float = 0.0
    batch: int | None = None
    requires: tuple[str, ...] = ()

    @property
    def resources(self) -> Resources:
        """One core, and the share of a GPU."""
        return Resources(gpus=self.gpus)

    @cached_property
    def at_once(self) -> int:
        """Replications per batch."""
        declared = getattr(lookup("trial", self.cell.trial.name).target, "at_once", AT_ONCE)
        return max(1, int(declared) if self.batch is None else self.batch)

    def prepare(self) -> None:
        """Import what the trial needs: torch, and a device that works."""
        with computing(torch_device(self.device), self.gpus):
            pass

    def estimate(self) -> Estimate:
        """Time one batch of the trial's pilot, and scale it up."""
        try:
            seconds = self._seconds()
        except (Exception, SystemExit):  # no GPU here but in the cluster, or a trial that breaks: the run says how
            seconds = _GUESS_S
        finally:
            if self.device == "cuda":  # this process may be the driver, and the memory that of its workers
                _models.clear()
                _free(self.device)
        return Estimate(seconds=seconds, rows=256, chunk=self.at_once, grain=self.at_once)

    def _seconds(self) -> float:
        pilot = getattr(lookup("trial", self.cell.trial.name).target, "pilot", None)
        if not pilot:
            return _GUESS_S
        full = self.cell.trial.parameters
        less = {name: min(value, full[name]) for name, value in pilot.items()}
        ratio = float(np.prod([full[name] / value for name, value in less.items()]))
        small = replace(self, cell=replace(self.cell, trial=self.cell.trial.with_parameters(**less), keep=0))
        count = min(self.at_once, self.replications)
        small.run(0, 1)  # loads models and compiles
        start = time.perf_counter()
        small.run(0, count)
        return max(time.perf_counter() - start, 1e-6) * ratio / count

    def run(self, first: int, count: int) -> Output:
        """Run replications ``first .. first + count - 1``, batch by batch.

        Returns:
            Rows sorted by (replication, step, metric), tensors kept, and as facts: device, torch, batches and notes.

        Raises:
            PlayError: With the replications.
        """
        return self._run(_grid(first, count, self.at_once))

    def _run(self, ranges: Iterable[tuple[int, int]]) -> Output:
        """Run batches, given as (first, count)."""
        import torch

        device = torch_device(self.device)
        batches: list[Batch] = []
        notes: list[str] = []
        with computing(device, self.gpus):
            for start, size in ranges:
                batches += self._halving(start, size, notes)
            facts = {
                "device": describe(device),
                "torch": str(torch.__version__),
                "batches": [[batch.replications[0], batch.size] for batch in batches],
                "weights": sorted({weights for batch in batches for weights in batch.weights}),
                "notes": notes,
            }
        return Output(_rows(batches), _kept(batches, self.cell.keep), facts)

    def replay(self, logged: pa.Table, replication: int) -> Replayed:
        """Run the batch that holds a replication again, and compare its rows.

        To the bit on the same device with the same torch; within `TOLERANCE` elsewhere.
        """
        then = facts_of(logged)
        now = self._run([(first, count) for first, count in then["batches"] if first <= replication < first + count])
        used, here = set(then["weights"]), set(now.facts["weights"])
        if not here <= used:  # other batches may have used more
            lacking = ", ".join(sorted(used - here))
            return Replayed(False, why=f"the weights here are others than those used then ({lacking})")
        same_place = all(now.facts[name] == then[name] for name in ("device", "torch"))
        mine = pc.equal(now.rows["replication"], replication)
        rows = logged.filter(pc.equal(logged["replication"], replication)).replace_schema_metadata(None)
        return compare_rows(rows, now.rows.filter(mine), 0.0 if same_place else TOLERANCE)

    def _halving(self, first: int, count: int, notes: list[str]) -> Iterator[Batch]:
        """Run a batch, in halves if it does not fit into memory."""
        place = f"{self.key} {self.device}"
        stop = first + count
        while first < stop:
            size = min(_fits.get(place, count), stop - first)
            done = None
            try:
                done = self._one(first, size)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                if size == 1:
                    raise PlayError(
                        f"replication {first}: one alone is too large: {in_one_line(error, 120)}"
                    ) from error
                _fits[place] = size // 2
                notes.append(f"{self.label}: out of memory with {size} replications at once, goes on with {size // 2}")
            if done is None:
                _free(self.device)  # here the error is gone, and with it what it held
                continue
            yield done
            first += size

    def _one(self, first: int, count: int) -> Batch:
        """Run one batch."""
        from .batch import Batch

        batch = Batch(self.cell.seed, range(first, first + count), torch_device(self.device), _cache(self.device))
        try:
            self.cell.trial.build().run(batch)
        except BanditsError as error:
            raise PlayError(f"replications {first}-{first + count - 1}: {error}") from error
        except (Exception, SystemExit) as error:
            if _out_of_memory(error):
                raise
            raise PlayError(f"replications {first}-{first + count - 1}: {in_one_line(error)}") from error
        return batch


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: torch has an error for it on GPUs, libraries below it and the CPU only words."""
    import torch

    words = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory")
    known = isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(word in str(error) for word in words))


def _grid(first: int, count: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut a range at the multiples of a size."""
    stop = first + count
    while first < stop:
        following = min(stop, (first // size + 1) * size)
        yield first, following - first
        first = following


def _cache(device: str) -> ModelCache:
    """The models of this process: half the GPU's memory, or 2 GiB on the CPU."""
    from .cache import ModelCache

    if device not in _models:
        limit = 2 * 2**30
        if device == "cuda":
            import torch

            limit = torch.cuda.get_device_properties(torch_device(device)).total_memory // 2
        _models[device] = ModelCache(limit)
    return _models[device]


def _free(device: str) -> None:
    import gc

    import torch

    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


SCHEMA = pa.schema(
    [("replication", pa.int32()), ("step", pa.int64()), ("metric", pa.string()), ("value", pa.float64())]
)


def _rows(batches: list[Batch]) -> pa.Table:
    """Long table, one row per (replication, step, metric)."""
    tables = []
    for batch in batches:
        if not batch.rows:
            raise PlayError("the trial logged nothing: call batch.log(step, metric, values)")
        size, n = batch.size, len(batch.rows)
        columns = {
            "replication": np.tile(np.asarray(batch.replications, dtype=np.int32), n),
            "step": np.repeat(np.array([step for step, _, _ in batch.rows], dtype=np.int64), size),
            "metric": [metric for _, metric, _ in batch.rows for _ in range(size)],
            "value": np.concatenate([values for _, _, values in batch.rows]),
        }
        tables.append(pa.table(columns, schema=SCHEMA))
    return pa.concat_tables(tables).sort_by([(name, "ascending") for name in ("replication", "step", "metric")])


_TENSORS = pa.schema(
    [
        ("replication", pa.int32()),
        ("name", pa.string()),
        ("shape", pa.list_(pa.int64())),
        ("values", pa.list_(pa.float64())),
    ]
)


def _kept(batches: list[Batch], keep: int) -> pa.Table | None:
    """One row per (replication, tensor) of the replications below ``keep``."""
    rows: list[dict[str, Any]] = []
    for batch in batches:
        for i, replication in enumerate(batch.replications):
            for name, tensor in batch.tensors.items() if replication < keep else ():
                values = tensor[i].astype(np.float64)
                rows.append({"replication": replication, "name": name, "shape": values.shape, "values": values.ravel()})
    return pa.Table.from_pylist(rows, schema=_TENSORS) if rows else None
