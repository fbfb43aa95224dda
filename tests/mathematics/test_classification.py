"""Labelled data as a contextual bandit: what is drawn, what is right, and what is said of a wrong table."""

from __future__ import annotations

import builtins
import re
import sys

import numpy as np
import pandas as pd
import pytest

from bandits import Experiment, Streams, agent, environment, simulate
from bandits.errors import BadParameter
from bandits.runs import resume, start
from bandits.scheduler import Settings

environment("classification", data="covertype_like").parameters  # noqa: B018 - loads the environments
_data = sys.modules["bandits.environments._data"]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write flowers.csv: petal and sepal tell the kind, colour does not vary."""
    monkeypatch.chdir(tmp_path)
    _data.labelled.cache_clear()
    rng = np.random.default_rng(0)
    kind = np.array(["rose", "daisy", "tulip"])[rng.integers(3, size=60)]
    frame = pd.DataFrame(
        {
            "petal": rng.normal(size=60) + 3.0 * (kind == "rose"),
            "kind": kind,
            "sepal": rng.integers(2, size=60) == 1,
            "colour": 7,
        }
    )
    frame.to_csv("flowers.csv", index=False)
    return frame


FLOWERS = {"data": "flowers.csv", "label": "kind"}


def test_built_in_sets_have_their_shapes():
    """Rows, features that vary, and classes: digits has three pixels that are always white."""
    for data, shape, n_classes in [
        ("digits", (1797, 61), 10),
        ("breast_cancer", (569, 30), 2),
        ("covertype_like", (10_000, 54), 7),
    ]:
        found = _data.labelled(data, None, None, False)
        assert found.features.shape == shape
        assert found.n_classes == n_classes
        assert set(found.labels) == set(range(n_classes))


def test_features_are_standardised_and_a_1_is_added():
    for intercept in (False, True):
        found = _data.labelled("breast_cancer", None, None, intercept)
        columns = found.features[:, :30]
        assert np.abs(columns.mean(axis=0)).max() < 1e-14
        assert columns.std(axis=0) == pytest.approx(np.ones(30), abs=1e-12)
        assert found.features.shape[1] == 30 + intercept
        assert not intercept or (found.features[:, 30] == 1).all()
        assert found.longest == pytest.approx(np.linalg.norm(found.features, axis=1).max(), rel=1e-12)


def test_the_synthetic_set_never_changes():
    """Frequencies of its classes, and a few of its numbers: another generator would be another data set."""
    features, labels = _data.covertype_like(2000)
    more, _ = _data.covertype_like(3000)
    assert (features == more[:2000]).all()
    assert (features[:, 10:].sum(axis=1) == 2).all()  # one area, one soil
    assert np.bincount(labels).tolist() == [744, 961, 121, 11, 33, 58, 72]
    assert features[0, :3] == pytest.approx([-1.2346446468108627, 1.0750180488204877, -1.8671157601430886], abs=1e-12)


def test_every_round_draws_a_row_and_rewards_its_label(table):
    env = environment("classification", **FLOWERS).build(Streams(1, 4000))
    x = env.observe(3).copy()
    kinds = sorted(table.kind.unique())
    petal = ((table.petal - table.petal.mean()) / table.petal.std(ddof=0)).to_numpy()
    drawn = np.abs(x[0][:, None] - petal).argmin(axis=1)  # petals differ, so they name the row
    assert x.shape == (3, 4000)  # petal, sepal and 1; colour is constant
    assert env.problem.n_arms == 3
    assert (np.bincount(drawn, minlength=60) > 30).all()  # 67 expected
    right = np.array([kinds.index(kind) for kind in table.kind])[drawn]
    assert (env.best_action(3) == right).all()
    for a in range(3):
        feedback = env.step(3, np.full(4000, a))
        assert (feedback.reward == (right == a)).all()
        assert (feedback.regret == (right != a)).all()


def test_parquet_and_csv_are_the_same_data(table):
    table.to_parquet("flowers.parquet")
    a = _data.labelled("flowers.csv", "kind", None, True)
    b = _data.labelled("flowers.parquet", "kind", None, True)
    np.testing.assert_allclose(a.features, b.features, atol=1e-12)
    assert (a.labels == b.labels).all()


def test_linear_agents_learn_from_real_data():
    """A linear rule makes 3 % errors on breast cancer; ignoring the features, 37 %."""
    env = environment("classification", data="breast_cancer")
    errors = {
        name: simulate(env, agent(name), horizon=1000, replications=20, checkpoints=1).to_pandas().regret.mean()
        for name in ("linucb_disjoint", "logistic_thompson", "ucb1")
    }
    assert max(errors["linucb_disjoint"], errors["logistic_thompson"]) < 0.12 * 1000
    assert 0.3 * 1000 < errors["ucb1"] < 0.45 * 1000


# --- the content is part of what a cell is


def experiment():
    return Experiment(
        name="flowers",
        environments=[environment("classification", **FLOWERS)],
        agents=[agent("linucb_disjoint")],
        horizon=30,
        replications=4,
    )


def test_another_content_is_another_cell(table):
    (before,) = experiment().cells()
    (same,) = experiment().cells()
    table.assign(petal=-table.petal).to_csv("flowers.csv", index=False)
    (after,) = experiment().cells()
    assert before.key == same.key != after.key
    assert before.environment.parameters["digest"] == same.environment.parameters["digest"]


def test_a_run_is_not_resumed_on_a_file_that_has_changed(table, tmp_path):
    start(experiment(), tmp_path / "run", Settings("serial"))
    table.assign(petal=-table.petal).to_csv("flowers.csv", index=False)
    _data.labelled.cache_clear()
    with pytest.raises(BadParameter, match=r"flowers\.csv has changed: its digest is \w{16}, expected \w{16}"):
        resume(tmp_path / "run", Settings("serial"), replications=8)


def test_a_run_goes_on_with_the_file_that_it_began_with(table, tmp_path):
    start(experiment(), tmp_path / "run", Settings("serial"))
    assert resume(tmp_path / "run", Settings("serial"), replications=8).failures == []


# --- what is said of a wrong table


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("petal,kind\n1,a\nnan,b\n", "column 'petal', row 2 is nan, expected a finite number"),
        ("petal,kind\n1,a\n,b\n", "column 'petal', row 2 is nan, expected a finite number"),
        ("petal,kind\n1,a\ninf,b\n", "column 'petal', row 2 is inf"),
        ("petal,kind\nred,a\nblue,b\n", "column 'petal' is not made of numbers"),
        ("petal,kind\n1,a\n2,\n", "column 'kind', row 2 is empty, expected a class"),
        ("petal,kind\n1,a\n2,a\n", "column 'kind' holds one class, 'a'"),
        ("petal,kind\n3,a\n3,b\n", "flowers.csv has no feature that varies"),
        ("petal,sort\n1,a\n2,b\n", "flowers.csv has no column 'kind': it has petal, sort"),
        ("kind\na\nb\n", "flowers.csv has 2 rows and 1 columns"),
        ("petal,kind\n", "flowers.csv has 0 rows and 2 columns"),
        ("", "cannot read flowers.csv: EmptyDataError"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.csv").write_text(content)
    with pytest.raises(BadParameter, match=re.escape(said)) as refusal:
        environment("classification", **FLOWERS).build(Streams(0, 2))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"data": "nowhere.csv", "label": "y"}, "cannot read nowhere.csv: No such file"),
        ({"data": "iris"}, "data must be digits, breast_cancer, covertype_like or end in .csv or .parquet, got 'iris'"),
        ({"data": "flowers.csv"}, "label is missing: name the column of flowers.csv that holds the classes"),
        ({"data": "digits", "label": "y"}, "label and digest go with a file of yours"),
    ],
)
def test_a_wrong_name_is_refused_in_one_line(table, parameters, said):
    with pytest.raises(BadParameter, match=re.escape(said)):
        environment("classification", **parameters).build(Streams(0, 2))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    _data.labelled.cache_clear()
    with pytest.raises(BadParameter, match=re.escape("pip install 'bandits[data]', or take covertype_like")):
        environment("classification", data="digits").build(Streams(0, 2))
