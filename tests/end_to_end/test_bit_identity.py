"""A replication's log is the same bits however, wherever and with whatever else it was run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from bandits import Experiment, agent, environment
from bandits.jobs import SimulationJob
from bandits.progress import SilentProgress
from bandits.runs import resume, start, verify
from bandits.scheduler import Settings
from bandits.store import RunFolder

EXPERIMENT = Experiment(
    name="identity",
    environments=[
        environment("bernoulli", means=[0.9, 0.8, 0.5]),
        environment("gaussian", prior="normal", n_arms=5, sd=0.7),
        environment("piecewise", means=[[0.9, 0.1], [0.2, 0.8]], starts=[1, 20]),
    ],
    agents=[agent("ucb1"), agent("ucb1_numpy"), agent("ucb1", tie="random")],
    horizon=60,
    replications=1000,
    seed=11,
    checkpoints=20,
)


def rows(place, key: str) -> pa.Table:
    folder = RunFolder.open(place)
    return pa.concat_tables(folder.read_part(part) for part in folder.parts(key)).combine_chunks()


def assert_same_logs(a, b, cells=None):
    for cell in cells or EXPERIMENT.cells():
        assert rows(a, cell.key).equals(rows(b, cell.key)), cell.label


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    place = tmp_path_factory.mktemp("identity") / "reference"
    assert start(EXPERIMENT, place, Settings("serial")).failures == []
    return place


@pytest.mark.parametrize("batch", [1, 7, 256, 1000])
def test_any_batch_size_gives_the_same_bits(reference, tmp_path, batch):
    start(EXPERIMENT, tmp_path / "run", Settings("serial"), batch=batch)
    assert_same_logs(reference, tmp_path / "run")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("backend", ["serial", "pool"])
def test_any_number_of_processes_gives_the_same_bits(reference, tmp_path, backend, workers):
    start(EXPERIMENT, tmp_path / "run", Settings(backend, workers))
    assert_same_logs(reference, tmp_path / "run")


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_gives_the_same_bits(reference, tmp_path, workers):
    """A real Ray runtime, started and stopped by the program."""
    run = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_bit_identity import EXPERIMENT
from bandits.runs import start
from bandits.scheduler import Settings
finished = start(EXPERIMENT, {str(tmp_path / "run")!r}, Settings("ray", {workers}))
assert finished.failures == [], finished.failures
"""
    subprocess.run([sys.executable, "-c", run], check=True, timeout=300)
    assert RunFolder.open(tmp_path / "run").facts()["backend"] == "ray"
    assert_same_logs(reference, tmp_path / "run")


def test_a_longer_run_begins_with_the_shorter_one(reference, tmp_path):
    start(EXPERIMENT.replace(replications=100), tmp_path / "run", Settings("serial"))
    for cell in EXPERIMENT.cells():
        n = 100 * len(cell.checkpoints)
        assert rows(tmp_path / "run", cell.key).equals(rows(reference, cell.key).slice(0, n).combine_chunks())


def test_another_agent_moves_nothing(reference, tmp_path):
    more = EXPERIMENT.replace(agents=[agent("ucb1", c=0.5), *reversed(EXPERIMENT.agents)])
    start(more, tmp_path / "run", Settings("serial"))
    assert_same_logs(reference, tmp_path / "run")


class StopAfter(SilentProgress):
    """Raises after so many parts, as Ctrl-C would."""

    def __init__(self, parts: int) -> None:
        self.parts = parts

    def advance(self, key, count, seconds):
        self.parts -= 1
        if self.parts == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("parts", range(1, 9))
def test_interrupted_after_any_part_and_resumed_gives_the_same_bits(reference, tmp_path, parts):
    first = start(EXPERIMENT, tmp_path / "run", Settings("serial"), StopAfter(parts))
    assert first.interrupted
    assert RunFolder.open(tmp_path / "run").facts()["status"] == "interrupted"
    second = resume(tmp_path / "run", Settings("serial"), batch=33)
    assert not second.interrupted
    assert RunFolder.open(tmp_path / "run").facts()["status"] == "complete"
    assert_same_logs(reference, tmp_path / "run")


def test_killed_at_a_bad_moment_and_resumed_gives_the_same_bits(tmp_path):
    """SIGKILL, so that nothing can tidy up; parts that were finished are not written again."""
    big = EXPERIMENT.replace(replications=60_000)
    run = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_bit_identity import EXPERIMENT
from bandits.runs import start
from bandits.scheduler import Settings
start(EXPERIMENT.replace(replications=60_000), {str(tmp_path / "run")!r}, Settings("pool", 2))
"""
    process = subprocess.Popen([sys.executable, "-c", run], start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list((tmp_path / "run").glob("log/*/*.parquet"))) < 3:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("log/*/rep*.parquet")}
    assert finished, "killed before the first part was written"
    resume(tmp_path / "run", Settings("serial"))
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    cell = big.cells()[-1]
    assert rows(tmp_path / "run", cell.key).equals(SimulationJob(cell).run(0, 60_000).combine_chunks())


def test_two_fresh_processes_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        arguments = ["run", "quickstart", "--smoke", "--only", "ucb1", "--quiet", "--out", str(tmp_path / name)]
        subprocess.run([sys.executable, "-m", "bandits", *arguments], check=True, capture_output=True, timeout=300)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a" / "log").rglob("*.parquet"))
    assert files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_verify_accepts_a_true_log_and_finds_one_changed_bit(tmp_path):
    small = EXPERIMENT.replace(replications=5)
    start(small, tmp_path / "run", Settings("serial"))
    assert all(finding.ok for finding in verify(tmp_path / "run", sample=5))

    import numpy as np
    import pyarrow.parquet as pq

    part = next((tmp_path / "run").glob("log/*/*.parquet"))
    table = pq.read_table(part, partitioning=None)
    regret = table["regret"].to_numpy().copy()
    regret[-1] = np.nextafter(regret[-1], np.inf)
    pq.write_table(table.set_column(2, "regret", pa.array(regret)), part)
    findings = verify(tmp_path / "run", sample=5)
    assert [finding.differing for finding in findings if not finding.ok] == [[4]]
