"""The commands, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

SMALL = ("--horizon", 80, "--replications", 12, "--backend", "serial")


def test_run_show_plot_report_verify_and_resume_work_on_one_run(bandits, tmp_path):
    ran = bandits("run", "quickstart", *SMALL, "--out", "r", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) == {"run", "cells", "failures", "wall_s"}
    assert ran.json["failures"] == []
    assert len(ran.json["cells"]) >= 16

    shown = bandits("show", "r")
    assert shown.code == 0
    assert "95 % interval" in shown.out
    assert "ratio to bound" in shown.out
    rows = bandits("show", "r", "--json").json
    assert len(rows) == len(ran.json["cells"])
    assert all(row["low"] <= row["regret"] <= row["high"] for row in rows)

    for suffix in ("png", "svg", "pdf"):
        assert bandits("plot", "r", "--out", f"f.{suffix}").code == 0
        assert (tmp_path / f"f.{suffix}").stat().st_size > 5000
    assert bandits("plot", "r").out.strip() == str(Path("r/figures/regret.png"))

    assert bandits("report", "r").code == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "new uPlot" in page
    assert "src=" not in page.replace('src="data:', "")
    assert page.count('"half":') == len(rows)

    assert bandits("verify", "r").code == 0
    again = bandits("resume", "r", "--json")
    assert again.code == 0
    assert again.json["failures"] == []


def test_the_log_is_read_with_pandas_and_duckdb_as_the_readme_says(bandits, tmp_path):
    bandits("run", "quickstart", *SMALL, "--out", "r", "--only", "ucb1")
    log = pd.read_parquet("r/log")
    final = log[log["t"] == 80].groupby("cell", observed=True)["regret"].mean()
    shown = {row["cell"]: row["regret"] for row in bandits("show", "r", "--json").json}
    assert final.to_dict() == pytest.approx(shown, rel=1e-12)

    import duckdb

    query = "select cell, avg(regret) from read_parquet('r/log/*/*.parquet') where t = 80 group by cell"
    assert dict(duckdb.sql(query).fetchall()) == pytest.approx(shown, rel=1e-12)

    import polars as pl

    frame = pl.scan_parquet("r/log/**/*.parquet", hive_partitioning=True).filter(pl.col("t") == 80)
    means = frame.group_by("cell").agg(pl.col("regret").mean()).collect()
    assert dict(means.iter_rows()) == pytest.approx(shown, rel=1e-12)


def test_resume_continues_to_more_replications(bandits, tmp_path):
    bandits("run", "quickstart", *SMALL, "--out", "r", "--only", "ucb1")
    before = sorted(path.name for path in tmp_path.glob("r/log/*/*.parquet"))
    assert bandits("resume", "r", "--replications", 30).code == 0
    assert {row["replications"] for row in bandits("show", "r", "--json").json} == {30}
    assert set(before) <= {path.name for path in tmp_path.glob("r/log/*/*.parquet")}
    fewer = bandits("resume", "r", "--replications", 3)
    assert fewer.code == 2
    assert "not shortened" in fewer.err


def test_options_reach_the_declaration(bandits):
    options = (
        "--seed",
        5,
        "--set",
        "ucb1.c=0.5",
        "--set",
        "gaussian.sd=[1,1,1,1,1,1,1,1,1,2]",
        "--every",
        40,
        "--pulls",
    )
    ran = bandits("run", "quickstart", *SMALL, "--only", "ucb1", *options, "--out", "r")
    assert ran.code == 0, ran.err
    facts = json.loads(Path("r/run.json").read_text())
    assert facts["experiment"]["seed"] == 5
    assert facts["experiment"]["checkpoints"] == [40, 80]
    assert facts["experiment"]["agents"] == [{"name": "ucb1", "parameters": {"c": 0.5}}]
    assert facts["experiment"]["environments"][1]["parameters"]["sd"][-1] == 2
    log = pd.read_parquet("r/log")
    assert (log["pulls"].map(sum) == log["t"]).all()


def test_lists_name_everything_with_its_source(bandits):
    listed = bandits("list", "--json").json
    assert {"agents", "environments", "experiments", "trials"} == set(listed)
    assert all(entry["summary"] for group in listed.values() for entry in group)
    assert "ucb1" in bandits("list", "agents").out


def test_bench_prints_the_ratio_to_its_floor(bandits):
    rows = bandits("bench", "--only", "W1", "--replications", 64, "--horizon", 64, "--repeats", 1, "--json").json
    (row,) = rows
    assert {"workload", "ns_per_run_step", "floor_ns", "ratio", "batch"} <= set(row)
    assert row["ratio"] == pytest.approx(row["ns_per_run_step"] / row["floor_ns"], rel=0.01)


def test_doctor_finds_this_installation_sound(bandits):
    checks = bandits("doctor", "--json")
    assert checks.code == 0
    assert all(check["ok"] for check in checks.json if check["required"])


def test_an_experiment_file_runs_by_its_path_and_as_a_script(bandits, plugin):
    path = plugin(
        "from bandits import Experiment, agent, environment\n"
        "EXPERIMENT = Experiment(name='mine', environments=[environment('bernoulli', means=[0.9, 0.1])],\n"
        "    agents=[agent('ucb1')], horizon=50, replications=4)\n"
        "if __name__ == '__main__':\n    EXPERIMENT.main()\n"
    )
    assert bandits("run", path, "--out", "r", "--quiet").code == 0
    script = [sys.executable, str(path), "--backend", "pool", "--workers", "2", "--json", "--quiet"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["failures"] == []


def test_the_smoke_size_is_small(bandits):
    assert bandits("run", "quickstart", "--smoke", "--only", "ucb1", "--quiet", "--out", "r").code == 0
    assert json.loads(Path("r/run.json").read_text())["experiment"]["horizon"] == 500


def test_importing_bandits_is_fast_and_loads_nothing_heavy():
    heavy = "('numba', 'ray', 'torch', 'pandas', 'matplotlib')"
    code = f"import sys, bandits; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_run_goes_on_in_other_processes_without_the_file_that_it_was_declared_with(bandits, plugin):
    """Workers load mine.py afresh, and the matrix that it names is gone."""
    Path("noise.csv").write_text("1,0.5\n,1\n")
    file = plugin("""
from bandits import Experiment, agent, environment

EXPERIMENT = Experiment(
    name="from_file",
    environments=[environment("gaussian_side_observations", means=[0.5, 0.2], sigma="noise.csv")],
    agents=[agent("pooled_ucb")],
    horizon=20,
    replications=3,
)
""")
    assert bandits("run", file, "--out", "r", "--quiet", "--backend", "serial").code == 0
    Path("noise.csv").unlink()
    assert bandits("resume", "r", "--replications", 6, "--quiet", "--backend", "pool", "--workers", 1).code == 0
    assert "6 replications, every bit" in bandits("verify", "r", "--sample", 6).out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"], ["list", "nothing"]])
def test_a_reader_that_has_gone_ends_a_command_quietly(arguments):
    """As in ``bandits list | head``, with 141 for what was not written; errors keep their status."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "bandits", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=120
    )
    os.close(writing)
    wrong = arguments == ["list", "nothing"]
    assert ended.returncode == (2 if wrong else 141)
    assert ended.stderr.decode().startswith("error: there is no list") if wrong else ended.stderr == b""
