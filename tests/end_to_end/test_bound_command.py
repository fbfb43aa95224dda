"""``bandits bound``: inline and from files, as a table and as JSON."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import pandas as pd
import pytest

from bandits import Streams, environment

STANDARD = ("bound", "--means", "0.9,0.7,0.5,0.3", "--sigma", "1")
BLIND = ("bound", "--means", "1,0.7,0.5", "--sigma", "inf,inf,inf; 1,1,1; 1,1,1")


def test_the_table_shows_allocation_binding_arms_and_value(bandits):
    answer = bandits(*STANDARD, "--horizon", 100_000)
    assert answer.code == 0, answer.err
    arms = [line.split() for line in answer.out.splitlines() if line.strip()[:1].isdigit()]
    assert arms[0] == ["0", "0.9000", "0", "free", "free", "0"]
    assert arms[1] == ["1", "0.7000", "0.2000", "50.00", "575.6", "0.2000", "binding"]
    assert arms[3][3] == "5.556"
    assert "regret per ln T    18.333333" in answer.out
    assert f"regret by T        {18.333333333 * math.log(1e5):.5f}"[:26] in answer.out


def test_json_is_one_object(bandits):
    answer = bandits(*STANDARD, "--horizon", 100, "--json")
    found = json.loads(answer.out)
    assert found["value"] == pytest.approx(18.33333333, abs=1e-8)
    assert found["graves_lai"] == found["value"]
    assert found["allocation"] == pytest.approx([0, 50, 12.5, 5.55555556], abs=1e-8)
    assert found["binding"] == [1, 2, 3]
    assert found["solver"] == "simplex"
    assert found["regret"] == pytest.approx(found["value"] * math.log(100))


def test_both_kinds_are_reported_for_a_blind_best_arm(bandits):
    program, exact = bandits(*BLIND, "--json").json, bandits(*BLIND, "--kind", "graves_lai", "--json").json
    assert (program["value"], program["graves_lai"]) == pytest.approx((20 / 3, 40 / 3))
    assert exact["value"] == exact["graves_lai"] == pytest.approx(40 / 3)
    assert exact["allocation"] == pytest.approx([0, 400 / 9, 0])
    assert "exact constant     13.333333" in bandits(*BLIND).out


def test_files_say_the_same_as_arguments(bandits):
    Path("means.csv").write_text("1\n0.7\n0.5\n")
    Path("sigma.csv").write_text("inf,inf,inf\n1,1,1\n1,1,1\n\n")
    from_files = bandits("bound", "--means", "means.csv", "--sigma", "sigma.csv", "--json")
    assert from_files.json == bandits(*BLIND, "--json").json


def test_parquet_files_and_empty_cells_are_read_as_the_environment_reads_them(bandits):
    pd.DataFrame({"mean": [1, 0.7, 0.5]}).to_parquet("means.parquet")
    pd.DataFrame([[None, None, None], [1, 1, 1], [1, 1, 1]], columns=list("abc"), dtype=float).to_parquet("s.parquet")
    Path("sigma.csv").write_text(",,\n1,1,1\n1,1,1\n")
    for sigma in ("s.parquet", "sigma.csv"):
        answer = bandits("bound", "--means", "means.parquet", "--sigma", sigma, "--json")
        assert answer.json == bandits(*BLIND, "--json").json
    spec = environment("gaussian_side_observations", means=[1, 0.7, 0.5], sigma="sigma.csv")
    assert spec.build(Streams(0, 2)).bound().constants == pytest.approx([answer.json["graves_lai"]])


def test_the_experimental_bound_is_said_to_be_so(bandits):
    arguments = (*STANDARD, "--horizon", 10**6, "--finite-time", "--largest-mean", 2)
    found = bandits(*arguments, "--json").json["finite_time"]
    assert found["experimental"] is True
    assert found["needed"][2] == pytest.approx(10.10309, abs=1e-5)
    assert (found["regret_cap"], found["largest_mean"]) == (1000.0, 2.0)
    assert found["regret"] == pytest.approx(
        sum(g * m for g, m in zip([0, 0.2, 0.4, 0.6], found["needed"], strict=True))
    )
    shown = bandits(*arguments).out
    assert f"at T itself        {found['regret']:.6f}" in shown
    assert "EXPERIMENTAL: recalled from memory" in shown
    assert "finite_time" not in bandits(*STANDARD, "--horizon", 10**6, "--json").json
    hopeless = bandits(*STANDARD, "--horizon", 20, "--finite-time", "--largest-mean", 2, "--regret-cap", 0.01)
    assert "no policy keeps to that cap" in hopeless.out
    assert hopeless.code == 0


def test_a_row_is_a_diagonal(bandits):
    row = bandits("bound", "--means", "0.9,0.7,0.5,0.3", "--sigma", "0.5,1,2,1.5", "--json").json
    assert row["value"] == pytest.approx(37.5)
    assert bandits("bound", "--means", "-0.9", "--sigma", "1", "--json").json["value"] == 0.0


def test_an_invisible_arm_is_said(bandits):
    arguments = ("bound", "--means", "1,0.7", "--sigma", "1,inf", "--horizon", 50)
    answer = bandits(*arguments)
    assert answer.code == 0
    assert "never seen" in answer.out
    assert "no policy is consistent" in answer.out
    found = json.loads(bandits(*arguments, "--json").out, parse_constant=pytest.fail)
    assert (found["value"], found["regret"], found["status"], found["binding"]) == (None, None, "infinite", [1])


def test_full_feedback_is_free(bandits):
    answer = bandits("bound", "--means", "1,0.7", "--sigma", "1,1;1,1", "--horizon", 50)
    assert answer.code == 0
    assert "more slowly than ln T" in answer.out


def test_the_example_of_the_help_text_works(bandits):
    lines = bandits("bound", "--help").out.split("Example: bandits ")[1].split("\n\n")[0]
    answer = bandits(*shlex.split(lines))
    assert answer.code == 0
    assert "regret by T" in answer.out


WRONG = {
    "word": (["1,x", "1"], "--means: 'x' in row 1, column 2 is no number"),
    "gap in a row": (["1,0", "1,;1,1"], "--sigma: '' in row 1, column 2 is no number"),
    "nothing": (["", "1"], "--means: no numbers in ''"),
    "several rows of means": (["1,2;3,4", "1"], "2 rows, expected one row or one column"),
    "too few rows": (["1,0.5,0", "1,1,1;1,1,1"], "row 1 of 2 has 3 entries, expected 3 rows of 3"),
    "ragged": (["1,0", "1,1;1"], "row 2 of 2 has 1 entries, expected 2 rows of 2"),
    "too few": (["1,0.5,0", "1,1"], "row 1 of 1 has 2 entries, expected 3 rows of 3"),
    "negative": (["1,0", "1,1;-1,1"], "sigma[1, 0] = -1 is not a standard deviation"),
    "NaN": (["1,0", "1,nan;1,1"], "sigma[0, 1] = nan is not a standard deviation"),
    "infinite mean": (["1,inf", "1"], "means[1] = inf is not a finite number"),
    "no such file": (["means.csv", "1"], "--means: cannot read means.csv: No such file"),
    "a folder": (["1,0", "./"], "--sigma: cannot read ./: Is a directory"),
    "no Parquet": (["1,0", "none.parquet"], "--sigma: cannot read none.parquet: No such file"),
    "finite time without a horizon": (["1,0", "1", "--finite-time"], "give --horizon T"),
    "cap alone": (["1,0", "1", "--regret-cap", "3"], "--regret-cap and --largest-mean belong to --finite-time"),
    "cap of 0": (["1,0", "1", "--horizon", "9", "--finite-time", "--regret-cap", "0"], "regret_cap must be positive"),
    "large mean": (["2,0", "1", "--horizon", "9", "--finite-time"], "means[0] = 2 lies outside [0, 1]"),
    "kind": (["1,0", "1", "--kind", "exact"], "--kind must be lp or graves_lai, got 'exact'"),
}


def test_a_bad_file_is_named_by_its_place(bandits):
    Path("sigma.csv").write_text("1,1\n1,x\n")
    Path("means.csv").write_text("1,,0\n")
    answer = bandits("bound", "--means", "1,0", "--sigma", "sigma.csv")
    assert answer.err.startswith("error: --sigma: sigma.csv: row 2, column 2: 'x' is no number; ")
    assert answer.err.count("\n") == 1
    answer = bandits("bound", "--means", "means.csv", "--sigma", "1")
    assert answer.err == "error: --means means.csv: number 2 is empty, expected a number for each arm\n"


@pytest.mark.parametrize("what", WRONG)
def test_bad_input_gets_one_line_and_status_2(bandits, what):
    (means, sigma, *rest), said = WRONG[what]
    answer = bandits("bound", "--means", means, "--sigma", sigma, *rest)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert answer.out == ""
