"""Runs that stop once their agents are separated: the same bits, the same verdicts however they were interrupted."""

from __future__ import annotations

import json

import pytest

from bandits import Experiment, agent, environment, load
from bandits.progress import SilentProgress
from bandits.runs import start, verify
from bandits.scheduler import Settings
from bandits.until_separated import Design, continue_until_separated, start_until_separated

SERIAL = Settings("serial")
STUDY = Experiment(
    name="close",
    environments=[environment("bernoulli", means=[0.7, 0.5])],
    agents=[agent("ucb1", c=0.5), agent("ucb1", c=0.6), agent("uniform")],
    horizon=100,
    replications=10,
    seed=3,
)


def until_separated(place, most, **options):
    return start_until_separated(STUDY, Design.of(10, most, options.pop("alpha", 0.05), 0.0), place, SERIAL, **options)


def sequential(place):
    return json.loads((place / "run.json").read_text())["sequential"]


def states(place):
    return load(place).verdicts().set_index(["agent", "other"])["state"].to_dict()


def test_a_run_stops_at_the_first_look_that_settles_every_pair(tmp_path):
    run = until_separated(tmp_path / "r", 10_000)
    design = sequential(tmp_path / "r")
    looks = design["looks"]
    assert looks == [50 * 2**k for k in range(len(looks))]
    assert 1 < len(looks) < 8
    assert run.cells[0].replications == looks[-1] == load(tmp_path / "r").summary()["replications"].max()
    verdicts = load(tmp_path / "r").verdicts()
    assert set(verdicts["state"]) == {"separated"}
    assert verdicts["look"].max() == len(looks)
    assert (verdicts["p"] <= verdicts["threshold"]).all()
    assert states(tmp_path / "r")["ucb1(c=0.5)", "uniform"] == "separated"


def test_the_log_has_the_bits_of_a_run_of_fixed_size(tmp_path):
    until_separated(tmp_path / "r", 10_000)
    reached = sequential(tmp_path / "r")["looks"][-1]
    start(STUDY.replace(replications=reached), tmp_path / "fixed", SERIAL)
    assert load(tmp_path / "r").to_pandas().equals(load(tmp_path / "fixed").to_pandas())
    assert all(finding.ok for finding in verify(tmp_path / "r", 2))


def test_a_run_that_reached_its_limit_goes_on_with_its_next_look(tmp_path):
    until_separated(tmp_path / "whole", 10_000)
    until_separated(tmp_path / "r", 100)
    assert sequential(tmp_path / "r")["looks"] == [50, 100]
    assert "open" in states(tmp_path / "r").values()
    continue_until_separated(tmp_path / "r", 10_000, settings=SERIAL)
    assert sequential(tmp_path / "r")["looks"] == sequential(tmp_path / "whole")["looks"]
    assert load(tmp_path / "r").verdicts().equals(load(tmp_path / "whole").verdicts())
    before = (tmp_path / "r" / "run.json").read_text()
    continue_until_separated(tmp_path / "r", settings=SERIAL)  # nothing left to settle
    assert json.loads(before)["sequential"] == sequential(tmp_path / "r")


def test_a_run_killed_between_two_looks_ends_with_the_same_verdicts(tmp_path):
    class Killed(BaseException):
        pass

    class KilledAtThird(SilentProgress):
        made = 0

        def say(self, text):
            if text.startswith("look at"):
                KilledAtThird.made += 1
                if KilledAtThird.made == 2:
                    raise Killed

    with pytest.raises(Killed):
        until_separated(tmp_path / "r", 10_000, progress=KilledAtThird)
    continue_until_separated(tmp_path / "r", settings=SERIAL)
    until_separated(tmp_path / "whole", 10_000)
    assert load(tmp_path / "r").verdicts().equals(load(tmp_path / "whole").verdicts())


def test_a_run_of_fixed_size_can_go_on_until_separated(tmp_path):
    start(STUDY.replace(replications=50), tmp_path / "r", SERIAL)
    assert load(tmp_path / "r").verdicts() is None
    continue_until_separated(tmp_path / "r", settings=SERIAL)
    until_separated(tmp_path / "whole", 10_000)
    assert load(tmp_path / "r").verdicts().equals(load(tmp_path / "whole").verdicts())


def test_agents_that_play_alike_stop_at_once_and_a_margin_settles_the_rest(tmp_path):
    same = STUDY.replace(agents=[agent("ucb1"), agent("ucb1_numpy")])
    start_until_separated(same, Design.of(10, None, 0.05, 0.0), tmp_path / "same", SERIAL)
    assert sequential(tmp_path / "same")["looks"] == [50]
    assert set(load(tmp_path / "same").verdicts()["state"]) == {"same"}
    close = STUDY.replace(agents=[agent("ucb1", c=0.5), agent("ucb1", c=0.502)])
    start_until_separated(close, Design.of(10, 1000, 0.05, 5.0), tmp_path / "close", SERIAL)
    (verdict,) = load(tmp_path / "close").verdicts().to_dict("records")
    assert verdict["state"] == "equivalent"
    assert -5 <= verdict["low"] <= verdict["high"] <= 5
    assert "equivalent within 5" in verdict["line"]


@pytest.fixture
def study_file(plugin):
    return plugin(
        "from bandits import Experiment, agent, environment\n"
        "E = Experiment(name='close', environments=[environment('bernoulli', means=[0.9, 0.5])],\n"
        "               agents=[agent('ucb1'), agent('uniform')], horizon=100, replications=50, seed=3)\n",
        "study.py",
    )


def test_the_command_says_what_it_claims_and_warns_of_other_p_values(bandits, study_file):
    answer = bandits("run", study_file, "--until-separated", "--out", "r", "--backend", "serial")
    assert answer.code == 0
    assert "look at 50 replications: 1 of 1 pair settled" in answer.err
    assert "Sequential test of 1 pair: 1 separated. Any wrong claim has probability at most 0.05." in answer.out
    assert "ucb1 is better than uniform by" in answer.out
    assert "for a size fixed in advance" in answer.out
    compared = bandits("compare", "r", "--json").json
    assert compared["sequential"][0]["state"] == "separated"
    assert "at look 1, 50 paired replications" in compared["sequential"][0]["line"]
    assert bandits("resume", "r", "--until-separated", "--backend", "serial").code == 0


def test_what_is_refused(bandits, study_file):
    run = ("run", study_file, "--out", "r", "--backend", "serial")
    for options, said in (
        (["--alpha", "0.1"], "--alpha belongs to --until-separated"),
        (["--margin", "1"], "--margin belongs to --until-separated"),
        (["--max-replications", "99"], "--max-replications belongs to --until-separated"),
        (["--until-separated", "--alpha", "2"], "--alpha must lie strictly between 0 and 1"),
        (["--until-separated", "--margin", "-1"], "--margin must not be negative"),
        (["--until-separated", "--max-replications", "20"], "--max-replications 20 is less than the 50"),
        (["--until-separated", "--only", "ucb1"], "no environment of this experiment has two"),
    ):
        answer = bandits(*run, *options)
        assert answer.code == 2
        assert said in answer.err
        assert answer.err.count("\n") == 1
    assert bandits(*run, "--until-separated").code == 0
    for options, said in (
        (["--alpha", "0.01"], "was started with --alpha 0.05"),
        (["--replications", "500"], "--replications and --until-separated both say"),
    ):
        answer = bandits("resume", "r", "--until-separated", *options)
        assert answer.code == 2
        assert said in answer.err
