"""The command line on neural runs: what it says, prints, refuses and writes."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bandits import load
from bandits.neural import devices, doctor


@pytest.fixture
def run(bandits, walks, tmp_path):
    """A finished run of the experiment ``walks``."""
    answer = bandits("run", "walks", "--plugin", walks, "--out", tmp_path / "run", "--report")
    assert answer.code == 0, answer.err
    return tmp_path / "run"


def test_a_run_prints_each_metric_and_show_prints_the_same(bandits, run):
    shown = bandits("show", run)
    assert shown.out.index("norm") < shown.out.index("Intervals are for the mean over replications")
    (row,) = [r for r in bandits("show", run, "--json").json if r["trial"] == "walk" and r["metric"] == "norm"]
    values = load(run).to_pandas("norm").query("trial == 'walk' and step == 6")["value"]
    assert (row["step"], row["replications"]) == (6, 10)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["low"] < row["mean"] < row["high"]
    early = {(r["trial"], r["step"]) for r in bandits("show", run, "--at", 2, "--json").json}
    assert early == {("walk", 2), ("walk(steps=3)", 2)}


def test_compare_names_a_winner_only_where_a_trial_says_which_way_is_better(bandits, run):
    by_metric = {one["column"]: one for one in bandits("compare", run, "--json").json["pairs"]}
    assert by_metric["norm"]["judged"]
    assert not by_metric["last"]["judged"]
    assert "norm at the last step" in by_metric["norm"]["line"]
    (only,) = bandits("compare", run, "--column", "norm", "--at", 2, "--json").json["pairs"]
    assert "are equal: the same norm at step 2" in only["line"]  # the first steps of the two are the same
    assert bandits("compare", run, "--column", "nrom").err.startswith("error: no trial has the metric 'nrom'. Did you")
    assert "belongs to agents on environments" in bandits("compare", run, "--environment", "x").err


def test_export_writes_tables_of_neural_runs(bandits, run):
    summary = pd.read_csv(io.StringIO(bandits("export", run).out))
    assert set(summary["trial"]) == {"walk", "walk(steps=3)"}
    log = pd.read_csv(io.StringIO(bandits("export", run, "--table", "log").out))
    assert {"trial", "replication", "step", "metric", "value"} <= set(log.columns)
    assert bandits("export", run, "--format", "latex").out.startswith("% needs")
    assert "no table 'slope', only summary, compare, log" in bandits("export", run, "--table", "slope").err


def test_the_report_has_metrics_pictures_and_the_way_back(run):
    page = (run / "report.html").read_text()
    assert "<h2>norm</h2>" in page
    labels = re.findall("<th scope=row>(.*?)</th>", page)
    assert {"steps=6", "steps=3"} < set(labels)  # what tells trials apart
    assert "All of walk: fits=1000, sleep=0.0, breaks_at=-1" in page
    assert page.count("data:image/svg+xml;base64,") == 2  # metrics by step, and what trials kept
    assert "bandits run walks --full --replications 10 --seed 3" in page
    assert "<script>" not in page
    assert (run / "figures/what-trials-kept.svg").is_file()


@pytest.mark.parametrize("command", ["plot", "watch"])
def test_what_draws_regret_refuses_a_neural_run(bandits, run, command):
    answer = bandits(command, run)
    assert answer.code == 2
    assert "is a neural run, which logs metrics and no regret" in answer.err


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--horizon", 10), "--horizon belongs to agents on environments"),
        (("--agent", "ucb1"), "--agent belongs to agents on environments"),
        (("--pulls",), "--pulls belongs to agents on environments"),
        (("--until-separated",), "--until-separated belongs to agents on environments"),
        (("--smoke", "--full"), "--smoke and --full both say which size"),
        (("--set", "walk.stepps=3"), "has no parameter 'stepps'. Did you mean 'steps'"),
        (("--only", "psld"), "no trial of this experiment is called 'psld'"),
        (("--device", "tpu"), "device must be auto, cpu or cuda, got 'tpu'"),
        (("--gpus-per-job", 2), "--gpus-per-job is a share of a GPU"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(bandits, walks, option, says):
    answer = bandits("run", "walks", "--plugin", walks, *option)
    assert answer.code == 2
    assert says in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_some_trials_are_picked_at_the_smoke_size_too(bandits, plugin, walks, tmp_path):
    text = (
        Path(walks).read_text()
        + """
register_experiment(
    NeuralExperiment(
        name="both", trials=[trial("walk"), trial("wants_gpu")], replications=10,
        smoke={"replications": 2, "wants_gpu.steps": 2, "walk.steps": 3},
    )
)
"""
    )
    both = plugin(text, "both.py")
    for name, size in (("walk", ("walk(steps=3)", 2)), ("wants_gpu", ("wants_gpu(steps=2)", 2))):
        answer = bandits("run", "both", "--plugin", both, "--smoke", "--only", name, "--out", tmp_path / name)
        assert answer.code == 0, answer.err
        assert [(facts.trial, facts.replications) for facts in load(tmp_path / name).trials] == [size]


def test_full_belongs_to_neural_experiments(bandits):
    assert "--full belongs to neural experiments" in bandits("run", "quickstart", "--full").err


def test_without_a_gpu_the_small_version_runs_and_one_line_says_so(bandits, walks, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    given = ("run", "gpu_walks", "--plugin", walks, "--device", "cuda", "--gpus-per-job", 0.25)
    answer = bandits(*given, "--out", tmp_path / "small")
    assert answer.code == 0
    assert answer.err.count("no GPU is visible: gpu_walks runs on the CPU at its smoke size") == 1
    assert load(tmp_path / "small").trials[0].parameters["steps"] == 2
    answer = bandits(*given, "--replications", 3, "--out", tmp_path / "three")
    assert load(tmp_path / "three").trials[0].replications == 3
    answer = bandits("run", "gpu_walks", "--plugin", walks, "--device", "cpu", "--full", "--out", tmp_path / "full")
    assert load(tmp_path / "full").trials[0].parameters["steps"] == 6


def test_without_torch_one_line_says_what_installs_it(bandits, monkeypatch):
    monkeypatch.setattr(devices, "has_torch", lambda: False)
    answer = bandits("run", "gaussian_ddim")
    assert answer.code == 2
    assert "needs PyTorch, which is not installed: pip install 'bandits[neural]'" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_without_torch_verify_and_resume_say_what_installs_it(bandits, run, monkeypatch):
    monkeypatch.setattr(devices, "has_torch", lambda: False)
    for given in (("verify", run), ("resume", run, "--replications", 12)):
        answer = bandits(*given)
        assert answer.code == 2
        assert "needs PyTorch, which is not installed: pip install 'bandits[neural]'" in answer.err
    assert bandits("show", run).code == 0


def test_without_what_keeps_weights_nothing_is_trained(bandits, monkeypatch, tmp_path):
    find = devices.importlib.util.find_spec
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None if name == "safetensors" else find(name))
    answer = bandits("run", "psld", "--smoke", "--out", tmp_path / "none")
    assert answer.code == 2
    assert "which trains models, needs safetensors, which is not installed: pip install 'bandits[neural]'" in answer.err


def test_runs_of_two_kinds_are_not_opened_as_one(bandits, run, tmp_path):
    bandits("run", "quickstart", "--horizon", 20, "--replications", 2, "--only", "ucb1", "--out", tmp_path / "regret")
    assert "some of these runs are neural" in bandits("show", run, tmp_path / "regret").err


def test_doctor_says_what_fits(bandits, monkeypatch):
    checks = {check["name"]: check for check in bandits("doctor", "--json").json}
    assert checks["torch"]["ok"]
    assert not any(checks[name]["required"] for name in ("torch", "GPUs", "memory", "trained models"))
    assert "float32 models of" in checks["memory"]["found"]
    assert doctor.room(48e9) == (
        "fits float32 models of 12 billion parameters, of about 4 billion with gradients through them"
    )
    import torch

    monkeypatch.setattr(doctor, "gpu_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (30 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "Imaginary 9000")
    found = {check["name"]: check["found"] for check in bandits("doctor", "--json").json}
    assert found["GPU 0"].startswith("Imaginary 9000, 30.0 of 80.0 GiB free; fits float32 models of 8.1 billion")


def test_the_schema_page_names_every_column_of_a_neural_run(run):
    page = (Path(__file__).parents[2] / "docs/log-schema.md").read_text()
    documented = set(re.findall(r"^\| `(log|tensors|cells): (\w+)` \| (\S.*?) \|", page, flags=re.M))
    written = set()
    for kind, path in (("cells", "cells.parquet"), ("log", "log/*/*.parquet"), ("tensors", "tensors/*/*.parquet")):
        schema = pq.read_schema(next(run.glob(path)))
        written |= {(kind, field.name, str(field.type)) for field in schema}
    assert documented == written
    part = next(run.glob("log/*/*.parquet"))
    said = json.loads(pq.read_schema(part).metadata[b"bandits"])
    assert set(said) == {"device", "torch", "batches", "weights", "notes"}


def test_list_names_trials_beside_the_rest(bandits):
    listed = json.loads(bandits("list", "--json").out)
    assert "gaussian_ddim" in [entry["name"] for entry in listed["trials"]]
    assert "gaussian_ddim" in bandits("list", "trials").out
