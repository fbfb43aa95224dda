"""A wrong request gets one clear line and exit status 2; a broken agent costs its own cell only."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

SMALL = ("--horizon", 40, "--replications", 6, "--backend", "serial", "--quiet")

WRONG = {
    "unknown experiment": (["run", "quikstart"], "Did you mean 'quickstart'?"),
    "unknown agent": (["run", "quickstart", "--agent", "ubc1"], "Did you mean 'ucb1'?"),
    "unknown agent to keep": (["run", "quickstart", "--only", "ucb2"], "Did you mean 'ucb1'?"),
    "unknown parameter": (["run", "quickstart", "--set", "ucb1.cc=2"], "Did you mean 'c'?"),
    "parameter of nobody": (["run", "quickstart", "--set", "ucb2.c=2"], "Did you mean 'ucb1'?"),
    "not an assignment": (["run", "quickstart", "--set", "ucb1.c"], "NAME.PARAM=VALUE"),
    "no parameter named": (["run", "quickstart", "--set", "c=2"], "name.parameter"),
    "word for a number": (["run", "quickstart", "--set", "ucb1.c=two"], "must be a number, got 'two'"),
    "list for a number": (["run", "quickstart", "--set", "ucb1.c=[1]"], "must be a number"),
    "refused value": (["run", "quickstart", "--set", "ucb1.c=-1"], "c must be positive and finite, got -1"),
    "NaN for a number": (["run", "quickstart", "--set", "ucb1.c=NaN"], "c must be a number, got nan"),
    "infinite constant": (["run", "quickstart", "--set", "ucb1.c=Infinity"], "c must be positive and finite"),
    "NaN mean": (["run", "quickstart", "--set", "bernoulli.means=[NaN, 0.5]"], "means[0] = nan is not a finite number"),
    "infinite mean": (["run", "quickstart", "--set", "gaussian.means=[Infinity]"], "means[0] = inf"),
    "not a probability": (["run", "quickstart", "--set", "bernoulli.means=[0.5, 1.5]"], "means[1] = 1.5 is not a prob"),
    "empty means": (["run", "quickstart", "--set", "bernoulli.means=[]"], "means is empty"),
    "negative sd": (["run", "quickstart", "--set", "gaussian.sd=-1"], "sd must be finite and at least 0"),
    "no features": (
        ["run", "linear_contextual", "--set", "linear.n_features=0"],
        "n_features must be at least 1, got 0",
    ),
    "NaN feature": (["run", "linear_contextual", "--set", "linear.features=[[NaN]]"], "features[0][0] = nan is not a"),
    "ragged features": (
        ["run", "linear_contextual", "--set", "linear.features=[[1], [1, 2]]"],
        "features[1] has 2 numbers",
    ),
    "lambda 0": (["run", "linear_contextual", "--set", "linucb.ridge=0"], "ridge must be positive and finite, got 0"),
    "missing table": (
        ["run", "classification", "--set", "classification.data=no.csv"],
        "cannot read no.csv: No such file",
    ),
    "horizon 0": (["run", "quickstart", "--horizon", "0"], "horizon must be a whole number from 1"),
    "replications 0": (["run", "quickstart", "--replications", "0"], "replications must be a whole number from 1"),
    "horizon too long": (["run", "quickstart", "--horizon", "5000000000"], "from 1 to 4294967295"),
    "negative seed": (["run", "quickstart", "--seed", "-1"], "seed must be a whole number from 0"),
    "unknown backend": (["run", "quickstart", "--backend", "spark"], "backend must be auto, serial, pool or ray"),
    "no Ray there": (["run", "quickstart", "--smoke", "--ray-address", "127.0.0.1:1"], "no Ray cluster answers at"),
    "no Ray address": (["run", "quickstart", "--smoke", "--ray-address", "there"], "expected HOST:PORT"),
    "no workers": (["run", "quickstart", "--workers", "0"], "workers must be at least 1"),
    "checkpoints 0": (["run", "quickstart", "--checkpoints", "0"], "checkpoints must be a whole number from 1"),
    "empty name of a folder": (["run", "quickstart", "--smoke", "--out", ""], "the name of the run folder is empty"),
    "no learners": (["run", "quickstart", "--smoke", "--per-learner"], "has learners to log apart"),
    "missing plug-in": (["run", "quickstart", "--plugin", "nowhere.py"], "cannot read the plug-in nowhere.py"),
    "missing file": (["run", "nowhere.py"], "cannot read the plug-in nowhere.py"),
    "missing run": (["show", "nowhere"], "nowhere is not a run folder"),
    "missing run to resume": (["resume", "nowhere"], "nowhere is not a run folder"),
    "missing run to plot": (["plot", "nowhere"], "nowhere is not a run folder"),
    "missing run to verify": (["verify", "nowhere"], "nowhere is not a run folder"),
    "unknown list": (["list", "arms"], "there is no list of 'arms'"),
    "unknown workload": (["bench", "--only", "W9"], "there is no workload 'W9'"),
    "unknown option": (["run", "quickstart", "--horzion", "5"], "--horizon"),
    "foreign URI": (["show", "nosuch://place"], "cannot open nosuch://place"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_gets_one_line_and_status_2(bandits, what):
    arguments, said = WRONG[what]
    answer = bandits(*arguments)
    assert answer.code == 2
    assert said in answer.err.replace("\n", " ")
    assert "Traceback" not in answer.err + answer.out
    if answer.err.startswith("error:"):
        assert answer.err.count("\n") == 1
    assert not Path("results").exists(), "a refused request must leave nothing behind"


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 1}', '{"schema": 99, "experiment": {}}', "\x00\x01"])
def test_a_foreign_or_damaged_run_folder_is_refused(bandits, tmp_path, content):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.json").write_text(content)
    for command in ("show", "resume", "plot", "report", "watch", "verify"):
        answer = bandits(command, "r")
        assert answer.code == 2, command
        assert answer.err.startswith("error: ")
        assert answer.err.count("\n") == 1


def test_a_folder_that_is_not_empty_is_not_written_to(bandits, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.tex").write_text("precious")
    answer = bandits("run", "quickstart", *SMALL, "--out", "r")
    assert answer.code == 2
    assert "r is not empty" in answer.err
    assert [path.name for path in Path("r").iterdir()] == ["thesis.tex"]


def test_an_output_folder_that_cannot_be_written_is_said_so(bandits, tmp_path):
    (tmp_path / "file").write_text("in the way")
    answer = bandits("run", "quickstart", *SMALL, "--out", "file/run")
    assert answer.code == 2
    assert "cannot write to file/run" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError: division by zero (line 1)"),
        ("import nonexistent_module_of_mine\n", "No module named 'nonexistent_module_of_mine'"),
        (
            "from bandits import register_agent\n@register_agent('ucb1')\nclass A: ...\n",
            "the agent name 'ucb1' is taken by bandits.agents.ucb1",
        ),
        ("from bandits import register_agent\n@register_agent('My Agent')\nclass A: ...\n", "use snake case"),
    ],
)
def test_a_plug_in_that_raises_is_named_with_its_cause(bandits, plugin, text, said):
    path = plugin(text)
    answer = bandits("list", "agents", "--plugin", path)
    assert answer.code == 2
    assert str(path) in answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err


BROKEN = """
import numpy as np
from bandits import Experiment, agent, environment, register_agent

class Base:
    def __init__(self, problem, streams):
        self.size = streams.size
    def update(self, t, action, feedback):
        pass
    def act(self, t, context=None):
        return np.zeros(self.size, dtype=np.int64) if t < 17 else self.late()

@register_agent("good")
class Good(Base):
    "Fine."
    def late(self):
        return np.zeros(self.size, dtype=np.int64)

@register_agent("raises")
class Raises(Base):
    "Raises."
    def late(self):
        raise RuntimeError("out of ideas")

@register_agent("wrong_shape")
class WrongShape(Base):
    "Wrong shape."
    def late(self):
        return np.zeros((self.size, 1), dtype=np.int64)

@register_agent("wrong_type")
class WrongType(Base):
    "Wrong type."
    def late(self):
        return np.zeros(self.size)

@register_agent("out_of_range")
class OutOfRange(Base):
    "Out of range."
    def late(self):
        return np.full(self.size, 2)

@register_agent("negative")
class Negative(Base):
    "Negative."
    def late(self):
        return np.full(self.size, -1)

@register_agent("stillborn")
class Stillborn(Base):
    "Raises in its constructor."
    def __init__(self, problem, streams):
        raise OSError("no such file of mine")

@register_agent("quits")
class Quits(Base):
    "Tries to end the program."
    def late(self):
        raise SystemExit(0)

@register_agent("reuses_its_array")
class Reuses(Base):
    "Writes nonsense into the array that it returned, once it is asked to update."
    def late(self):
        self.mine = np.zeros(self.size, dtype=np.int64)
        return self.mine
    def update(self, t, action, feedback):
        if t >= 17:
            self.mine[:] = 10**13

EXPERIMENT = Experiment(
    name="broken", environments=[environment("bernoulli", means=[0.9, 0.1])], horizon=40, replications=6,
    agents=[agent(a) for a in ("raises", "wrong_shape", "wrong_type", "out_of_range", "negative", "stillborn", "quits",
        "good")])
"""

CAUSES = {
    "raises": "round 17: RuntimeError: out of ideas",
    "wrong_shape": "round 17: the agent's action has shape (6, 1), expected (6,)",
    "wrong_type": "round 17: the agent's action has dtype float64, expected int64",
    "out_of_range": "round 17: the agent chose arm 2, expected 0..1",
    "negative": "round 17: the agent chose arm -1, expected 0..1",
    "stillborn": "at construction: OSError: no such file of mine",
    "quits": "round 17: SystemExit: 0",
}


@pytest.mark.parametrize("backend", ["serial", "pool"])
def test_a_broken_agent_is_reported_and_the_other_cells_finish(bandits, plugin, backend):
    path = plugin(BROKEN)
    options = ("--backend", backend, "--workers", 2, "--quiet")
    answer = bandits("run", path, "--out", "r", "--json", *options)
    assert answer.code == 1
    failures = {failure["label"].split(" on ")[0]: failure["cause"] for failure in answer.json["failures"]}
    assert set(failures) == set(CAUSES)
    for name, said in CAUSES.items():
        assert failures[name].startswith("replications 0-5, ")
        assert said in failures[name]
    assert "Traceback" not in answer.err
    assert "bandits resume r" in answer.err
    assert json.loads(Path("r/run.json").read_text())["status"] == "failed"
    shown = {row["agent"]: row["replications"] for row in bandits("show", "r", "--json").json}
    assert shown["good"] == 6
    assert sum(shown.values()) == 6


def test_an_agent_that_reuses_its_array_is_logged_as_it_played(bandits, plugin):
    path = plugin(BROKEN.split("agents=[")[0] + "agents=[agent('reuses_its_array')], extras='pulls')\n")
    assert bandits("run", path, "--out", "r", "--backend", "serial", "--quiet").code == 0
    log = pd.read_parquet("r/log")
    assert log["pulls"].map(list).tolist() == [[t, 0] for t in log["t"]]


def test_a_reward_that_is_not_a_number_is_a_failure(bandits, plugin):
    path = plugin(
        "import numpy as np\n"
        "from bandits import Experiment, Feedback, Problem, agent, environment, register_environment\n"
        "@register_environment('nan')\nclass Nan:\n    'Breaks in round 9.'\n    problem = Problem(n_arms=2)\n"
        "    def __init__(self, streams): self.size = streams.size\n"
        "    def observe(self, t): return None\n"
        "    def step(self, t, action):\n"
        "        return Feedback(np.full(self.size, np.nan if t == 9 else 0.0), np.zeros(self.size))\n"
        "EXPERIMENT = Experiment(name='nan', environments=[environment('nan')], agents=[agent('uniform')],\n"
        "    horizon=20, replications=4)\n"
    )
    answer = bandits("run", path, "--out", "r", "--backend", "serial", "--quiet", "--json")
    assert answer.code == 1
    assert "round 9: the environment returned a reward or regret that is NaN" in answer.json["failures"][0]["cause"]


def test_resume_after_a_failure_does_only_what_is_missing(bandits, plugin, tmp_path):
    path = plugin(BROKEN)
    bandits("run", path, "--out", "r", "--backend", "serial", "--quiet")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("r/log/*/*.parquet")}
    assert len(before) == 1

    path.write_text(BROKEN.replace('raise RuntimeError("out of ideas")', "return np.ones(self.size, dtype=np.int64)"))
    resumed = bandits("resume", "r", "--backend", "serial", "--json")
    assert resumed.code == 1, "the other agents are still broken"
    assert "mine.py has changed" in resumed.err
    assert "raises" not in {failure["label"].split(" on ")[0] for failure in resumed.json["failures"]}
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert len(list(tmp_path.glob("r/log/*/*.parquet"))) == 2


def test_a_changed_plug_in_cannot_continue_a_half_finished_cell(bandits, plugin):
    text = BROKEN.split("agents=[")[0] + "agents=[agent('good')])\n"
    path = plugin(text)
    bandits("run", path, "--out", "r", "--backend", "serial", "--quiet")
    path.write_text(text.replace("return np.zeros(self.size, dtype", "return np.ones(self.size, dtype"))
    answer = bandits("resume", "r", "--replications", 9, "--quiet")
    assert answer.code == 2
    assert "no longer plays as in its finished replications" in answer.err


def test_pairs_that_cannot_play_are_left_out_and_said(bandits):
    answer = bandits("run", "quickstart", "--horizon", 40, "--replications", 6, "--backend", "serial", "--out", "r")
    assert answer.code == 0
    left_out = json.loads(Path("r/run.json").read_text())["left_out"]
    assert left_out
    for pair in left_out:
        assert pair["environment"].startswith("gaussian")
        assert pair["reason"] in answer.err


def test_an_environment_whose_bound_raises_is_named(bandits, tmp_path):
    (tmp_path / "broken_bound.py").write_text(
        '"""An environment whose bound cannot be had."""\n'
        "import numpy as np\n"
        "from bandits import Experiment, Feedback, Problem, agent, environment\n"
        "from bandits import register_environment, register_experiment\n"
        '@register_environment("broken_bound")\n'
        "class Broken:\n"
        '    """Broken."""\n'
        "    examples = ({},)\n"
        "    def __init__(self, streams):\n"
        "        self.problem, self.size = Problem(n_arms=2), streams.size\n"
        "    def observe(self, t): return None\n"
        "    def step(self, t, action): return Feedback(np.zeros(self.size), np.zeros(self.size))\n"
        '    def bound(self): raise KeyError("table")\n'
        'EXPERIMENT = register_experiment(Experiment(name="broken", environments=[environment("broken_bound")],'
        ' agents=[agent("ucb1")], horizon=20, replications=2))\n'
    )
    done = bandits("run", "broken_bound.py")
    assert done.code == 2
    assert done.err.strip() == "error: environment broken_bound: bound() raised KeyError: 'table'"
