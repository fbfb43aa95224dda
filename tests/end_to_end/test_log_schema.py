"""docs/log-schema.md says what is on disk: every file, column and key, with its type, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bandits import Experiment, agent, environment
from bandits.jobs import SimulationJob
from bandits.registry import entries
from bandits.store import SCHEMA_VERSION, RunFolder
from bandits.streams import STREAM_NUMBERS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "log-schema.md").read_text()


def rows_of(page: str, header: str) -> dict[str, list[str]]:
    """A table of a page, by its first column, without the backquotes."""
    table = re.search(rf"^\| {header} \|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", page, flags=re.M)[1]
    split = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()]
    assert len({cells[0] for cells in split}) == len(split), "a row stands twice"
    return {cells[0].strip("`"): cells[1:] for cells in split}


def section(title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S)[1]


@pytest.fixture(scope="module")
def schemas():
    """Schemas of the logs of every built-in environment, with and without optional columns, by (name, extras)."""
    found = {}
    for entry in (e for e in entries("environment") if e.origin.startswith("bandits.")):
        for parameters in entry.target.examples:
            for extras in ((), ("pulls", "learners")):
                study = Experiment(
                    name="every_column",
                    environments=[environment(entry.name, **parameters)],
                    agents=[agent("uniform"), agent("gosine_context_aware")],  # one of them declines
                    horizon=3,
                    replications=2,
                    extras=extras,
                )
                for cell in study.cells():
                    found[entry.name, extras] = SimulationJob(cell).run(0, 2).schema
    return found


def test_every_log_column_stands_there_with_its_type_and_no_other(schemas):
    written = {(field.name, str(field.type)) for schema in schemas.values() for field in schema}
    documented = {(name, cells[0]) for name, cells in rows_of(section("Log rows"), "column").items()}
    assert documented == written


def test_columns_are_present_where_the_page_says(schemas):
    for name, (_, _, _, present) in rows_of(section("Log rows"), "column").items():
        having = {key for key, schema in schemas.items() if name in schema.names}
        if present == "always":
            assert having == set(schemas), name
        elif present.startswith("`--pulls`"):
            assert having == {key for key in schemas if "pulls" in key[1]}
        elif present.startswith("`--per-learner`"):
            assert having == {("collaborative", ("pulls", "learners"))}
        else:
            assert {environment for environment, _ in having} == set(re.findall(r"`(\w+)`", present)), name


def test_every_column_of_cells_parquet_stands_there_with_its_type_and_no_other(full_runs):
    for run in full_runs:
        written = {(field.name, str(field.type)) for field in pq.read_schema(run / "cells.parquet")}
        assert {(name, cells[0]) for name, cells in rows_of(section("cells.parquet"), "column").items()} == written


def test_what_is_always_in_cells_parquet_is_never_null(full_runs):
    for run in full_runs:
        table = pq.read_table(run / "cells.parquet")
        for name, (_, _, present) in rows_of(section("cells.parquet"), "column").items():
            assert present != "always" or table[name].null_count == 0, name


BROKEN = """
from bandits import register_agent
@register_agent("broken")
class Broken:
    def __init__(self, problem, streams): pass
    def act(self, t, context=None): raise RuntimeError("broken on purpose")
    def update(self, t, action, feedback): pass
"""


@pytest.fixture
def full_runs(bandits, plugin, tmp_path):
    """Runs that have, between them, everything that a run can have."""
    mine = plugin(BROKEN)
    study = plugin(
        "from bandits import Experiment, agent, environment\n"
        "E = Experiment(name='titled', environments=[environment('gaussian', means=[1, 0]).named('easy')],\n"
        "    agents=[agent('ucb1').named('ours'), agent('moss')], horizon=30, replications=50)\n",
        "titled.py",
    )
    small = ("--smoke", "--horizon", 50, "--backend", "serial", "--quiet")
    chosen = ("--only", "ucb1", "--only", "thompson_beta")
    broken = ("--plugin", mine, "--agent", "broken", "--only", "broken")
    assert bandits("run", "quickstart", *small, *chosen, *broken, "--pulls", "--out", "failed").code == 1
    assert bandits("run", study, "--quiet", "--until-separated", "--max-replications", 50, "--out", "titled").code == 0
    assert bandits("run", "collaborative_quick", *small, "--per-learner", "--out", "gossip").code == 0
    assert bandits("run", "quickstart", *small, *chosen, "--report", "--out", "damaged").code == 0
    damaged = next(Path("damaged/log").glob("*/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert bandits("resume", "damaged", "--plugin", mine, "--quiet").code == 0
    assert bandits("plot", "damaged").code == 0
    return [tmp_path / name for name in ("failed", "titled", "gossip", "damaged")]


def test_every_file_stands_there_and_no_other(full_runs):
    patterns = {
        name: re.compile(re.sub(r"<\w+>", "[^/]+", re.escape(name).replace(r"\<", "<").replace(r"\>", ">")))
        for name in rows_of(section("Files"), "file")
    }
    files = {str(path.relative_to(run)) for run in full_runs for path in run.rglob("*") if path.is_file()}
    for name, pattern in patterns.items():
        assert any(pattern.fullmatch(file) for file in files), f"no run has {name}"
    for file in files:
        assert any(pattern.fullmatch(file) for pattern in patterns.values()), f"{file} is not documented"


JSON = {str: "string", int: "integer", float: "number", dict: "object", type(None): "null"}


def facts_of(value, key: str = ""):
    """Leaves of run.json as (key, type): dots between objects, [] for elements, <cell> for any cell."""
    if isinstance(value, list):
        for item in value:
            yield from facts_of(item, f"{key}[]")
    elif isinstance(value, dict) and key.rpartition(".")[2] != "parameters":
        for name, item in value.items():
            name = {"timing": "<cell>", "versions": "<name>"}.get(key, name)
            yield from facts_of(item, f"{key}.{name}" if key else name)
    else:
        yield key, JSON[type(value)]


def test_every_key_of_run_json_stands_there_with_its_type_and_no_other(full_runs):
    found: dict[str, set[str]] = {}
    for run in full_runs:
        for key, kind in facts_of(json.loads((run / "run.json").read_text())):
            found.setdefault(key, set()).add(kind)
    documented = {key: set(cells[0].split(" or ")) for key, cells in rows_of(section("run.json"), "key").items()}
    assert set(documented) == set(found)
    for key, kinds in found.items():
        assert kinds <= documented[key], key


def test_what_is_always_in_run_json_is_in_every_run(full_runs):
    for run in full_runs:
        keys = {key for key, _ in facts_of(json.loads((run / "run.json").read_text()))}
        always = {key for key, cells in rows_of(section("run.json"), "key").items() if cells[-1] == "always"}
        assert always <= keys


def test_the_page_is_of_the_version_that_is_written(full_runs):
    assert f"version {SCHEMA_VERSION} of the schema" in PAGE
    assert all(RunFolder.open(run).facts()["schema"] == SCHEMA_VERSION for run in full_runs)


def test_the_table_of_streams_is_that_of_the_code():
    page = (DOCS / "reproducibility.md").read_text()
    assert {name: int(cells[0]) for name, cells in rows_of(page, "stream").items()} == STREAM_NUMBERS
