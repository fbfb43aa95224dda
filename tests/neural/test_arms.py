"""Arms of neural runs: networks pooled, items shared, tasks kept apart, counts not tested; from the log alone."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bandits import NeuralExperiment, load, registry, trial
from bandits.comparison import Sample, compare_samples
from bandits.crossed import crossed_mean
from bandits.errors import BadParameter
from bandits.neural import answers
from bandits.neural.arms import Values
from bandits.registry import Entry
from bandits.tables import interval_note

STUDY = '''
from bandits import NeuralExperiment, register_experiment, register_trial, trial

@register_trial("lens")
class Lens:
    """Sees items through a network: sharpness is that of the item, of the network and of the method."""

    pooled = ("model_seed",)
    task = ("operator",)
    counts = ("calls",)
    larger_is_better = ("sharpness",)
    items = 6

    def __init__(self, *, method: str = "thin", operator: str = "near", options: dict = None, model_seed: int = 0):
        self.method, self.operator, self.model_seed = method, operator, model_seed
        self.gain = {"none": -3.0, "thin": 0.0, "thick": 1.0}[method] + (options or {}).get("weight", 0.0)

    @property
    def control(self):
        return self.gain < -2

    def run(self, batch) -> None:
        noise = batch.noise("draw").normal(1)[:, 0].double().numpy()
        item = [r % self.items for r in batch.replications]
        value = [self.gain + i + 10 * (self.operator == "far") + 0.3 * self.model_seed for i in item]
        batch.log(1, "sharpness", [v + 0.1 * e * (self.gain + 2) for v, e in zip(value, noise)])
        batch.log(1, "calls", 5.0)

@register_trial("turns")
class Turns:
    """Takes two networks in turn."""

    networks = 2

    def __init__(self, *, shift: float = 0.0):
        self.shift = shift
        self.items, self.task = 3, 5  # its own, and no declaration

    def run(self, batch) -> None:
        batch.log(1, "value", [self.shift + r % 2 + 0.01 * r for r in batch.replications])

ARMS = [{"method": "none"}, {"method": "thin"}, {"method": "thick"}, {"method": "thick", "options": {"weight": 0.5}}]
EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="lenses",
        trials=[
            trial("lens", operator=op, model_seed=seed, **arm)
            for op in ("near", "far") for seed in range(3) for arm in ARMS
        ],
        replications=18,
        against=[trial("lens", operator=op, method="thin") for op in ("near", "far")],
    )
)
register_experiment(NeuralExperiment(name="turned", trials=[trial("turns"), trial("turns", shift=1.0)], replications=8))
'''


@pytest.fixture
def study(bandits, plugin, tmp_path):
    """A finished run of ``lenses``, with its report."""
    answer = bandits(
        "run",
        "lenses",
        "--plugin",
        plugin(STUDY, "lenses.py"),
        "--backend",
        "serial",
        "--out",
        tmp_path / "run",
        "--report",
    )
    assert answer.code == 0, answer.err
    return tmp_path / "run"


def test_networks_are_pooled_and_items_are_what_was_sampled(study):
    log = load(study)
    assert (len(log.trials), len(log.arms())) == (24, 8)
    table = log.summary()
    assert set(table["trial"]) == {"none", "thin", "thick", "thick, weight=0.5"}
    assert set(table["task"]) == {"operator=near", "operator=far"}
    asked = "trial == 'thick' and task == 'operator=far' and metric == 'sharpness'"
    (row,) = table.query(asked).to_dict("records")
    assert (row["replications"], row["items"], row["networks"]) == (18, 6, 3)
    own = {"method": "thick", "operator": "far", "options": None}
    cells = [f.cell for f in log.trials if own.items() <= f.parameters.items()]
    assert len(cells) == 3
    rows = log.to_pandas("sharpness")
    found = rows[rows["cell"].isin(cells)]
    network = found["cell"].map({cell: i for i, cell in enumerate(cells)}).to_numpy()
    by_hand = crossed_mean(found["value"].to_numpy(), found["replication"].to_numpy() % 6, network)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((by_hand.mean, by_hand.low, by_hand.high))


def test_arms_are_compared_with_the_reference_of_their_task(study):
    log = load(study)
    found = log.compare()
    assert len(found) == 6
    assert set(found["environment"]) == {"sharpness, operator=near", "sharpness, operator=far"}
    assert all("thin" in pair for pair in zip(found["agent"], found["other"], strict=True))
    assert set(found["family"]) == {3}
    assert set(found["pairs"]) == {"54 pairs (6 items, 3 networks)"}
    assert len(log.compare(against="all")) == 12
    assert set(log.compare(against="weight")["family"]) == {3}
    with pytest.raises(BadParameter, match="2 arms are called 'hick' where operator=near"):
        log.compare(against="hick")
    log.compare(against="thick")  # a whole label comes before parts of others


def test_counts_are_printed_and_never_tested(bandits, study):
    out = bandits("show", study).out
    assert re.search(r"counts, operator=near\s+trial\s+calls", out)
    assert "Intervals are for the mean over items and networks" in out
    assert "calls" not in bandits("compare", study).out
    assert "'calls' counts work and is no metric" in bandits("compare", study, "--column", "calls").err


def test_the_best_of_several_arms_is_the_one_with_the_best_mean(bandits, study):
    best = load(study).best("sharpness", by=["method"])
    assert best[["task", "trial", "candidates"]].to_numpy().tolist()[:3] == [
        ["operator=near", "none", 1],
        ["operator=near", "thin", 1],
        ["operator=near", "thick, weight=0.5", 2],
    ]
    shown = bandits("show", study, "--best", "sharpness", "--by", "method").out
    assert "thick, weight=0.5" in shown
    assert "the best of 2" in shown
    assert bandits("show", study, "--best", "sharpness", "--by", "methd").err.count("Did you mean 'method'") == 1
    assert "nobody says whether more or less calls" in bandits("show", study, "--best", "calls").err
    assert "--by belongs to --best" in bandits("show", study, "--by", "method").err


def test_the_report_shows_differences_and_controls(study):
    page = (study / "report.html").read_text()
    assert page.index("Against the reference") < page.index("<h2>sharpness, operator=far</h2>")
    assert "better than thin by" in page
    assert "<h2>What it cost, operator=near</h2>" in page
    assert "<h2>calls" not in page
    assert (study / "figures/differences.svg").is_file()


def test_a_trial_with_networks_in_turn_does_not_count_replications_as_networks(bandits, plugin, tmp_path):
    answer = bandits(
        "run", "turned", "--plugin", plugin(STUDY, "lenses.py"), "--backend", "serial", "--out", tmp_path / "turned"
    )
    assert answer.code == 0, answer.err
    (row, _) = load(tmp_path / "turned").summary().to_dict("records")
    assert (row["items"], row["networks"]) == (8, 2)
    values = np.array([r % 2 + 0.01 * r for r in range(8)])
    by_hand = crossed_mean(values, np.arange(8), np.arange(8) % 2)
    assert (row["low"], row["high"]) == pytest.approx((by_hand.low, by_hand.high))
    assert row["high"] - row["low"] > 2, "two networks that differ by 1 leave much open"


def test_a_declaration_keeps_its_reference(study):
    declared = json.loads((study / "run.json").read_text())["experiment"]
    assert [one["parameters"]["operator"] for one in declared["against"]] == ["near", "far"]
    assert sum(facts.reference for facts in load(study).trials) == 2
    assert sum(facts.control for facts in load(study).trials) == 6


def test_a_run_from_before_arms_is_read_trial_by_trial(study):
    cells = pq.read_table(study / "cells.parquet")
    new = ["counts", "pooled", "task", "items", "networks", "control", "reference"]
    pq.write_table(cells.drop_columns(new), study / "cells.parquet")
    log = load(study)
    assert len(log.arms()) == 24
    assert set(log.summary()["networks"]) == {1}


def test_no_reference_where_it_does_not_run(bandits, plugin, tmp_path):
    """An experiment with another trial list than its reference compares every pair."""
    text = STUDY.replace('against=[trial("lens", operator=op, method="thin")', 'against=[trial("lens", operator=op)')
    text = text.replace('{"method": "thin"}, ', "")
    answer = bandits(
        "run", "lenses", "--plugin", plugin(text, "lenses.py"), "--backend", "serial", "--out", tmp_path / "run"
    )
    assert answer.code == 0, answer.err
    assert set(load(tmp_path / "run").compare()["family"]) == {3}


def test_an_arm_without_networks_is_paired_with_each_network_of_another():
    """It has one value for a replication; the same values counted three times are no more replications."""
    rng = np.random.default_rng(0)
    replications, of_network = np.arange(8), rng.normal(size=3)
    alone = rng.normal(size=8)
    tripled = (alone + 0.5 + 0.1 * rng.normal(size=8) + of_network[:, None]).ravel()
    networks, items = np.repeat(np.arange(3), 8), np.tile(replications % 4, 3)
    pooled = Sample("pooled", "0", np.tile(replications, 3), tripled, (items, networks))
    wanted = crossed_mean(tripled - np.tile(alone, 3), items, networks)
    for sample in (
        Sample("alone", "0", replications, alone),
        Sample("alone", "0", replications, alone, (replications % 4, None)),
    ):
        (found,) = compare_samples(
            "score", [sample, pooled], t=1, horizon=1, column="score", alpha=0.05, level=0.95, larger_is_better=True
        )
        assert found.pairs == "24 pairs (4 items, 3 networks)"
        assert found.p == pytest.approx(wanted.p) and found.gain == pytest.approx(abs(wanted.mean))
        assert sorted(map(abs, (found.low, found.high))) == pytest.approx(sorted(map(abs, (wanted.low, wanted.high))))


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("items", 0, "items must be a whole number of at least 1, got 0"),
        ("items", "4", "items must be a whole number of at least 1, got '4'"),
        ("items", property(lambda trial: trial.nothing), "breaks: AttributeError"),
        ("networks", -1, "networks must be a whole number of at least 1, got -1"),
        ("control", "yes", "control must be true or false, got 'yes'"),
        ("pooled", "net", "pooled must be a tuple of names, such as ('seed',), got 'net'"),
        ("pooled", ("nte",), "pooled names 'nte', which is no parameter of it. Did you mean 'net'?"),
        ("task", ("net",), "'net' stands in pooled and in task"),
        ("smaller_is_better", ("score",), "'score' stands in larger_is_better and in smaller_is_better"),
    ],
)
def test_what_a_class_says_of_its_trials_is_checked_before_they_run(monkeypatch, attribute, value, says):
    class Said:
        pooled, larger_is_better = ("net",), ("score",)

        def __init__(self, *, net: int = 0):
            self.net = net

        def run(self, batch) -> None: ...

    setattr(Said, attribute, value)
    known = registry._entries
    said = {"said": Entry("said", "trial", Said, "", "", "")}
    monkeypatch.setattr(registry, "_entries", known | {"trial": known["trial"] | said})
    with pytest.raises(BadParameter) as caught:
        NeuralExperiment(name="said", trials=[trial("said")], replications=1).plan()
    assert str(caught.value).startswith("the class of trial 'said': ") and says in str(caught.value)


def test_a_candidate_without_a_mean_is_not_the_best(study, monkeypatch):
    log = load(study)
    summary = answers.summary

    def damaged(*of):
        table = summary(*of)
        return table.assign(mean=table["mean"].mask((table["metric"] == "sharpness") & (table["trial"] != "thin")))

    monkeypatch.setattr(answers, "summary", damaged)
    assert set(log.best("sharpness", by=["operator"])["trial"]) == {"thin"}
    assert log.best("sharpness", by=["operator", "method"])["mean"].isna().sum() == 4  # all of a group have none


@pytest.mark.parametrize(("items", "says"), [(6, "over items and networks"), (None, "over replications (Student's t)")])
def test_the_note_says_which_interval_it_is_where_every_item_is_there_once(items, says):
    replications = np.arange(6)
    values = Values(1, replications, replications**2.0, items and replications % items)
    row = values.summary(0.95, "t")
    plain = abs(row["high"] + row["low"] - 2 * row["mean"]) < 1e-9  # Student's t is as long on both sides
    assert plain == (items is None) and says in interval_note(pd.DataFrame([row]))
