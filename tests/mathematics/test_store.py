"""Run folders: whole files, missing ranges, other file systems."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandits import Experiment, agent, environment, load
from bandits.errors import RunFolderError
from bandits.runs import resume, start
from bandits.scheduler import Settings
from bandits.store import Part, RunFolder, missing_ranges

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
    assert load(tmp_path / "r").to_pandas().empty
    resume(tmp_path / "r", Settings("serial"))
    assert load(tmp_path / "r").to_pandas().equals(before)


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
        resume(tmp_path / "r", Settings("serial"))


def test_columns_have_the_documented_types(tmp_path):
    start(EXPERIMENT, tmp_path / "r", Settings("serial"))
    folder = RunFolder.open(tmp_path / "r")
    (part,) = folder.parts(EXPERIMENT.cells()[0].key)
    schema = folder.read_part(part).schema
    assert schema.field("replication").type == pa.int32()
    assert schema.field("t").type == pa.int64()
    assert schema.field("regret").type == schema.field("reward").type == pa.float64()


def test_a_run_can_live_at_a_uri(tmp_path):
    place = (tmp_path / "r").as_uri()
    start(EXPERIMENT, place, Settings("serial"))
    resume(place, Settings("serial"), replications=25)
    assert load(place).summary()["replications"].tolist() == [25]
    assert load(tmp_path / "r").summary()["replications"].tolist() == [25]


def test_a_run_can_live_on_any_fsspec_file_system():
    start(EXPERIMENT, "memory://bandits-test/r", Settings("serial"))
    assert load("memory://bandits-test/r").summary()["replications"].tolist() == [20]
