"""A simulated cell as a job for the scheduler: replications in, log rows out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .declarations import CellJob
from .errors import PlayError, in_one_line
from .experiment import Cell
from .loop import MIN_LANES, batch_size, play
from .protocol import Estimate, Problem, Resources
from .replay import Replayed, compare_rows
from .streams import Streams

if TYPE_CHECKING:
    from .protocol import Environment

__all__ = ["SimulationJob"]

_PILOT_ROUNDS = 64
_PULLS_BYTES = 64 * 2**20
_OVERHEAD = 0.25  # a task has lanes enough that what a round costs anyway is at most this share of their own cost


@dataclass(frozen=True)
class SimulationJob(CellJob):
    """Plays one cell.

    Attributes:
        cell: What to play.
        batch: Lanes per batch; None chooses by the number of arms. Never changes a result.
    """

    cell: Cell
    batch: int | None = None

    @property
    def resources(self) -> Resources:
        """One core."""
        return Resources()

    @cached_property
    def _batch(self) -> int:
        if self.batch is not None:
            return max(1, min(self.batch, self.replications))
        batch = batch_size(self._problem, self.replications)
        if "pulls" in self.cell.extras:  # the log of one batch has an entry per checkpoint, arm and lane
            entries = self._problem.n_arms * len(self.cell.checkpoints) * self._rows_per_checkpoint
            batch = min(batch, _PULLS_BYTES // (4 * entries))
        return max(MIN_LANES, batch)

    @cached_property
    def _problem(self) -> Problem:
        problem: Problem = self.cell.build_environment(Streams(self.cell.seed, MIN_LANES)).problem
        return problem

    @property
    def _rows_per_checkpoint(self) -> int:
        return (self._problem.n_learners or 1) if "learners" in self.cell.extras else 1

    def prepare(self) -> None:
        """Play some rounds of the least batch, which compiles the kernels or loads them from disk."""
        self._play(0, MIN_LANES, (min(_PILOT_ROUNDS, self.cell.horizon),))

    def estimate(self) -> Estimate:
        """Time a few rounds of a full batch and of the least one: what a lane costs, and what a round costs anyway."""
        self.prepare()
        lanes, rounds = self._batch, min(_PILOT_ROUNDS, self.cell.horizon)
        full = self._seconds_per_round(lanes, rounds)
        small = self._seconds_per_round(MIN_LANES, rounds)
        per_lane = max(full - small, 0.02 * full) / max(lanes - MIN_LANES, 1)
        per_round = max(full - per_lane * lanes, 0.0)
        return Estimate(
            seconds=full * self.cell.horizon / lanes,
            rows=len(self.cell.checkpoints)
            * self._rows_per_checkpoint
            * (1 + self._problem.n_arms // 6 if "pulls" in self.cell.extras else 1),
            chunk=lanes,
            least=max(1, min(lanes, math.ceil(per_round / (_OVERHEAD * per_lane)))),
        )

    def _seconds_per_round(self, lanes: int, rounds: int) -> float:
        start = time.perf_counter()
        self._play(0, lanes, (rounds,))
        return max(time.perf_counter() - start, 1e-9) / rounds

    def run(self, first: int, count: int) -> pa.Table:
        """Play replications ``first .. first + count - 1``, batch by batch.

        Returns:
            Rows sorted by (replication, t), or (replication, t, learner): see `bandits.store` for the columns.

        Raises:
            PlayError: With the replications and the round.
        """
        parts = []
        for start in range(first, first + count, self._batch):
            size = min(self._batch, first + count - start)
            try:
                log = self._play(start, size, self.cell.checkpoints)
            except PlayError as error:
                place = f"replications {start}-{start + size - 1}, round {error.t}"
                raise PlayError(f"{place}: {error}", t=error.t) from error
            except (Exception, SystemExit) as error:
                place = f"replications {start}-{start + size - 1}, at construction"
                raise PlayError(f"{place}: {in_one_line(error)}") from error
            parts.append(_rows(log, start, self.cell.checkpoints))
        return pa.concat_tables(parts)

    def replay(self, logged: pa.Table, replication: int) -> Replayed:
        """Play a replication alone and compare it with its log, to the bit."""
        rows = logged.filter(pc.equal(logged["replication"], replication))
        return compare_rows(rows, replace(self, batch=1).run(replication, 1))

    def _play(self, first: int, count: int, checkpoints: tuple[int, ...]) -> dict[str, Any]:
        """Play one batch; lanes that only fill it up to the least size are dropped again."""
        size = max(count, MIN_LANES)
        seed = self.cell.seed
        environment: Environment = self.cell.build_environment(Streams(seed, size, first))
        agent = self.cell.build_agent(environment, Streams(seed, size, first))
        log = play(environment, agent, size=size, checkpoints=checkpoints, extras=self.cell.extras)
        return {name: values[..., :count] for name, values in log.items()}


def _rows(log: dict[str, Any], first: int, checkpoints: tuple[int, ...]) -> pa.Table:
    """Long table, one row per (replication, checkpoint) or (replication, checkpoint, learner).

    From arrays of shape (C, B), or (C, N, B) with learners; what is counted per arm has K before the last axis.
    """
    n_learners, size = log["regret"].shape[1:] if log["regret"].ndim == 3 else (1, log["regret"].shape[1])
    columns: dict[str, Any] = {
        "replication": np.repeat(np.arange(first, first + size, dtype=np.int32), len(checkpoints) * n_learners),
        "t": np.tile(np.repeat(np.asarray(checkpoints, dtype=np.int64), n_learners), size),
    }
    if log["regret"].ndim == 3:
        columns["learner"] = np.tile(np.arange(n_learners, dtype=np.int32), len(checkpoints) * size)
    for name, values in log.items():
        by_replication = np.ascontiguousarray(np.moveaxis(values, -1, 0))
        if values.ndim > log["regret"].ndim:
            flat, width = by_replication.reshape(-1), by_replication.shape[-1]
            # a list of no fixed size: one dataset then holds environments with different numbers of arms
            columns[name] = pa.ListArray.from_arrays(np.arange(0, flat.size + 1, width, dtype=np.int32), pa.array(flat))
        else:
            columns[name] = by_replication.reshape(-1)
    return pa.table(columns)
