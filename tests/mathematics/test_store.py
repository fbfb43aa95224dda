"""Run folders: whole files, missing ranges, other file systems."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandits import Experiment, agent, environment, load
from bandits.errors import RunFolderError
from bandits.jobs import SimulationJob
from bandits.number_files import read_numbers
from bandits.progress import SilentProgress
from bandits.runs import resume, start, verify
from bandits.scheduler import Settings
from bandits.store import Part, RunFolder, encode, missing_ranges

EXPERIMENT = Experiment(
    name="store",
    environments=[environment("bernoulli", means=[0.9, 0.8])],
    agents=[agent("ucb1")],
    horizon=50,
    replications=20,
)


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(0, 70), st.integers(1, 9)), max_size=12))
def test_missing_ranges_are_what_no_part_covers(replications, parts):
    found = [Part(first, first + count - 1, "") for first, count in parts]
    covered = {r for part in found for r in range(part.first, part.last + 1)}
    missing = [r for first, count in missing_ranges(replications, found) for r in range(first, first + count)]
    assert missing == [r for r in range(replications) if r not in covered]


def test_a_truncated_part_is_played_again(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    before = load(tmp_path / "r").to_pandas()
    part = next(tmp_path.glob("r/log/*/*.parquet"))
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(RunFolderError, match=f"{part.name} is damaged"):
        load(tmp_path / "r").to_pandas()
    skipped = load(tmp_path / "r", skip_damaged=True)
    assert skipped.to_pandas().empty
    assert skipped.damaged == [str(part)]
    resume(tmp_path / "r", Settings("serial"))
    assert load(tmp_path / "r").to_pandas().equals(before)
    assert [p.name for p in part.parent.glob("*.damaged")] == [f"{part.name}.damaged"]


def test_a_leftover_of_a_killed_write_is_ignored(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    before = load(tmp_path / "r").to_pandas()
    part = next(tmp_path.glob("r/log/*/*.parquet"))
    part.with_name(f".{part.name}.0123abcd.tmp").write_bytes(b"half")
    assert load(tmp_path / "r").to_pandas().equals(before)
    import pandas as pd

    assert len(pd.read_parquet(tmp_path / "r" / "log")) == len(before)


def test_a_second_writer_is_refused(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    with RunFolder.open(tmp_path / "r").locked(), pytest.raises(RunFolderError, match="another process is writing"):
        resume(tmp_path / "r", Settings("serial"), replications=30)


def test_resuming_a_complete_run_rewrites_nothing(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    before = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    assert resume(tmp_path / "r", Settings("serial")).failures == []
    assert {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()} == before


def test_a_continuation_that_is_killed_at_once_is_not_forgotten(tmp_path):
    """run.json knows the new number of replications before the first new part is played."""
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))

    class Killed(BaseException):
        pass

    class KilledWhileMeasuring(SilentProgress):
        def say(self, text):
            raise Killed

    with pytest.raises(Killed):
        resume(tmp_path / "r", Settings("serial"), KilledWhileMeasuring(), replications=33)
    resume(tmp_path / "r", Settings("serial"))
    assert load(tmp_path / "r").summary()["replications"].tolist() == [33]


def test_a_copy_of_a_part_does_not_count_twice(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    part = next(tmp_path.glob("r/log/*/*.parquet"))
    part.with_name(f"copy of {part.name}").write_bytes(part.read_bytes())
    assert load(tmp_path / "r").summary()["replications"].tolist() == [20]
    part.with_name("replications-000020-000029.parquet").write_bytes(part.read_bytes())
    with pytest.raises(RunFolderError, match=r"000020-000029\.parquet is damaged"):
        load(tmp_path / "r").summary()
    assert load(tmp_path / "r", skip_damaged=True).summary()["replications"].tolist() == [20]


def test_parts_that_overlap_are_refused(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    folder, (cell,) = RunFolder.open(tmp_path / "r"), EXPERIMENT.cells()
    folder.write_part(cell.key, 10, 30, encode(SimulationJob(cell).run(10, 30)))
    with pytest.raises(RunFolderError, match="overlap"):
        load(tmp_path / "r").summary()


def test_a_flipped_bit_is_noticed(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    part = next(tmp_path.glob("r/log/*/*.parquet"))
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 1
    part.write_bytes(data)
    with pytest.raises(RunFolderError, match="is damaged"):
        load(tmp_path / "r").to_pandas()


def test_environments_that_look_alike_in_short_keep_their_own_tables(tmp_path):
    long = [environment("bernoulli", means=[0.1, 0.15, m, 0.5, 0.6]) for m in (0.2, 0.59)]
    log = simulate_all(long, [agent("ucb1", c=0.5), agent("ucb1", c=0.50000001)], tmp_path / "r")
    summary = log.summary()
    assert summary["environment"].nunique() == 2
    assert summary["agent"].nunique() == 2
    assert summary.groupby("environment")["bound"].nunique().tolist() == [1, 1]
    assert summary["bound"].nunique() == 2


def simulate_all(environments, agents, place):
    start(EXPERIMENT.replace(environments=environments, agents=agents), place, Settings("serial"))
    return load(place)


def test_a_disk_that_is_full_is_said_in_one_line(tmp_path, monkeypatch):
    from bandits.errors import StoreError

    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    folder = RunFolder.open(tmp_path / "r")
    (tmp_path / "r" / "log" / "cell=x").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        folder.write_part("x", 0, 2, b"")


def test_columns_have_the_documented_types(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    folder = RunFolder.open(tmp_path / "r")
    (part,) = folder.parts(EXPERIMENT.cells()[0].key)
    schema = folder.read_part(part).schema
    assert schema.field("replication").type == pa.int32()
    assert schema.field("t").type == pa.int64()
    assert schema.field("regret").type == schema.field("reward").type == pa.float64()


def test_pulls_of_environments_of_different_size_are_one_dataset(tmp_path):
    small, large = [0.9, 0.8], [0.9, 0.8, 0.7, 0.6]
    both = EXPERIMENT.replace(
        environments=[environment("bernoulli", means=m) for m in (small, large)], extras=["pulls"]
    )
    start(both, tmp_path / "r", Settings("serial"))
    log = pd.read_parquet(tmp_path / "r" / "log")
    assert (log["pulls"].map(sum) == log["t"]).all()
    assert sorted(log["pulls"].map(len).unique()) == [2, 4]
    assert all(finding.ok for finding in verify(tmp_path / "r"))


def test_a_run_can_live_at_a_uri(tmp_path):
    place = (tmp_path / "r").as_uri()
    start(EXPERIMENT, place, Settings("serial"))
    resume(place, Settings("serial"), replications=25)
    assert load(place).summary()["replications"].tolist() == [25]
    assert load(tmp_path / "r").summary()["replications"].tolist() == [25]


def test_a_run_can_live_on_any_fsspec_file_system():
    start(EXPERIMENT, "memory://bandits-test/r", Settings("serial"))
    assert load("memory://bandits-test/r").summary()["replications"].tolist() == [20]


def test_arrow_reads_from_memory_not_through_python(tmp_path, monkeypatch):
    """Its threads would call into an interpreter that shuts down: a wrong request ended in an abort, now and then."""
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    sources = []
    for name in ("read_table", "ParquetFile"):
        real = getattr(pq, name)
        seen = lambda source, real=real, **more: sources.append(source) or real(source, **more)  # noqa: E731 - keeps the loop readable
        monkeypatch.setattr(pq, name, seen)
    load(tmp_path / "r").to_pandas()
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "numbers.parquet")
    assert read_numbers(tmp_path / "numbers.parquet") == [[1.0]]
    assert len(sources) >= 3
    assert all(isinstance(source, pa.NativeFile) for source in sources)
    assert not any(isinstance(source, pa.PythonFile) for source in sources)
