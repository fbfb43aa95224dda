"""From run folders to tables: several runs, compare, export, and logs that are empty, damaged or do not match."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bandits import Experiment, agent, environment, load, simulate
from bandits.errors import BadParameter, NotLogged, RunFolderError
from bandits.export import latex_text
from bandits.runs import resume, start
from bandits.scheduler import Settings
from bandits.significance import holm

SERIAL = Settings("serial")
EASY = environment("bernoulli", means=[0.9, 0.5])
HARD = environment("bernoulli", means=[0.6, 0.5])
STUDY = Experiment(
    name="study",
    environments=[EASY, HARD],
    agents=[agent("ucb1"), agent("uniform"), agent("thompson_beta")],
    horizon=200,
    replications=60,
    seed=4,
)

BREAKS = """
import numpy as np
from bandits import register_agent

@register_agent("breaks")
class Breaks:
    def __init__(self, problem, streams):
        pass

    def act(self, t, context=None):
        raise RuntimeError("out of order")

    def update(self, t, action, feedback):
        pass
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("study") / "run"
    start(STUDY.replace(replications=20), place, SERIAL)
    resume(place, SERIAL, replications=60)  # two parts
    return place


def copy_of(study, tmp_path):
    shutil.copytree(study, tmp_path / "copy")
    return tmp_path / "copy"


def test_compare_is_the_paired_t_test_corrected_over_the_pairs_of_an_environment(study):
    table = load(study).compare()
    rows = load(study).to_pandas(at=200).pivot(index="replication", columns=["environment", "agent"], values="regret")
    for name, found in table.groupby("environment"):
        expected = [stats.ttest_rel(rows[name, r.other], rows[name, r.agent]) for r in found.itertuples()]
        np.testing.assert_allclose(found["p"], [e.pvalue for e in expected])
        np.testing.assert_allclose(found["low"], [e.confidence_interval(0.95).low for e in expected])
        np.testing.assert_allclose(found["p_holm"], holm(found["p"].to_numpy()))
        assert found["family"].unique().tolist() == [3]
        assert (found["gain"] >= 0).all()
        assert found["paired"].all()
    assert (table["separated"] == (table["p_holm"] <= 0.05)).all()


def test_the_line_says_who_is_better_by_how_much_and_how_surely(study):
    (line,) = load(study).select(["ucb1", "uniform"], ["bernoulli(means=[0.9, 0.5])"]).compare()["line"]
    start_, _, rest = line.partition(" by ")
    assert start_ == "ucb1 is better than uniform"
    gain, low, high = (float(x.strip("[],")) for x in rest.split()[:3])
    assert low < gain < high
    assert rest.endswith("regret at T = 200; p < 1e-6, 60 paired replications")


def test_of_rewards_more_is_better(study):
    table = load(study).compare(column="reward").set_index(["environment", "agent", "other"])
    assert ("bernoulli(means=[0.9, 0.5])", "ucb1", "uniform") in table.index


def test_agents_that_cannot_be_separated_are_said_so_with_the_replications_that_would_do():
    agents = [agent("ucb1", c=2.0), agent("ucb1", c=1.999), agent("ucb1", c=2.02)]
    experiment = STUDY.replace(environments=[HARD], agents=agents, replications=30)
    tables = {cell.key: t for cell in experiment.cells() for t in [play(cell)]}
    from bandits.analysis import Log

    table = Log.in_memory(experiment.cells(), tables).compare()
    open_pairs = table[~table["separated"] & (table["gain"] > 0)]
    assert len(open_pairs)
    assert open_pairs["line"].str.contains("are not separated").all()
    finite = open_pairs[np.isfinite(open_pairs["replications_90"])]
    assert (finite["replications_90"] > finite["replications_80"]).all()
    assert finite["line"].str.contains("replications would do with power 80 %").all()


def play(cell):
    from bandits.jobs import SimulationJob

    return SimulationJob(cell).run(0, cell.replications)


def test_equal_agents_are_equal():
    experiment = STUDY.replace(environments=[HARD], agents=[agent("ucb1"), agent("ucb1_numpy")])
    from bandits.analysis import Log

    (line,) = Log.in_memory(experiment.cells(), {c.key: play(c) for c in experiment.cells()}).compare()["line"]
    assert line == "ucb1 and ucb1_numpy are equal: the same regret at T = 200 throughout; 60 paired replications"


def test_best_slope_pareto_and_bands_agree_with_the_rows(study):
    log = load(study)
    best = log.best().set_index(["environment", "agent"])
    assert best.groupby("environment")["share_best"].sum().tolist() == pytest.approx([1, 1])
    assert best.groupby("environment")["chance_best_mean"].sum().tolist() == pytest.approx([1, 1])
    assert best["chance_best_mean"]["bernoulli(means=[0.9, 0.5])", "uniform"] == 0
    slope = log.slope().set_index(["environment", "agent"])
    facts = log.cells[0]
    _, values = log.values(facts)
    late = facts.checkpoints >= 20
    expected = np.polyfit(np.log(facts.checkpoints[late]), values.mean(axis=0)[late], 1)[0]
    first = slope.loc[(facts.environment, facts.agent)]
    assert first["slope"] == pytest.approx(expected)
    assert first["bound_slope"] == pytest.approx(facts.bound.constants[0])
    assert first["ratio"] == pytest.approx(expected / facts.bound.constants[0])
    pareto = log.pareto("reward", "regret")
    summary = log.summary()
    assert pareto["regret"].tolist() == summary["regret"].tolist()
    for _, rows in pareto.groupby("environment"):
        assert rows.loc[rows["regret"].idxmin(), "efficient"]
    band = log.band(facts, "quantiles", level=0.8)
    np.testing.assert_allclose(band.low, np.quantile(values, 0.1, axis=0))
    median = log.band(facts, "median")
    assert (median.low <= median.middle).all()
    assert (median.middle <= median.high).all()


def test_the_bootstrap_interval_reaches_the_summary(study):
    by_t, by_bootstrap = load(study).summary(), load(study).summary(method="bootstrap")
    assert by_t["regret"].tolist() == by_bootstrap["regret"].tolist()
    assert (by_t["low"] != by_bootstrap["low"]).all()
    width = (by_bootstrap["high"] - by_bootstrap["low"]) / (by_t["high"] - by_t["low"])
    assert width.between(0.7, 1.6).all()


def test_the_dataset_is_lazy_and_knows_the_cells(study):
    found = load(study).select(["ucb1"]).dataset()
    assert found.count_rows() == 2 * 60 * load(study).cells[0].checkpoints.size
    cells = set(found.to_table(columns=["cell"])["cell"].to_pylist())
    assert cells == {facts.cell for facts in load(study).select(["ucb1"]).cells}


def test_nothing_is_opened_that_is_not_asked_for(study, monkeypatch):
    from bandits.store import RunFolder

    opened = []
    whole = RunFolder.read_part
    monkeypatch.setattr(RunFolder, "read_part", lambda self, part, columns=None: (
        opened.append((part.path, tuple(columns or ()))) or whole(self, part, columns)
    ))  # fmt: skip  # one command on few lines
    log = load(study)
    assert opened == []
    log.curve(log.cells[0])
    assert {(path.split("/")[1], columns) for path, columns in opened} == {(f"cell={log.cells[0].cell}", ("regret",))}


# several runs


def test_two_runs_with_different_agents_are_compared_on_shared_noise(study, tmp_path):
    start(STUDY.replace(agents=[agent("moss")]), tmp_path / "more", SERIAL)
    both = load([study, tmp_path / "more"])
    assert both.summary()["agent"].tolist().count("moss") == 2
    table = both.compare()
    assert set(table["family"]) == {6}
    assert table["paired"].all()
    together = start(STUDY.replace(agents=[*STUDY.agents, agent("moss")]), tmp_path / "together", SERIAL)
    expected = load(together.place).compare()
    assert table.sort_values("line")["line"].tolist() == expected.sort_values("line")["line"].tolist()


def test_a_run_that_holds_the_same_cells_adds_its_replications_once(study, tmp_path):
    start(STUDY.replace(replications=90), tmp_path / "longer", SERIAL)
    both, longer = load([study, tmp_path / "longer"]), load(tmp_path / "longer")
    assert both.summary()["replications"].tolist() == [90] * 6
    assert both.summary()["regret"].tolist() == pytest.approx(longer.summary()["regret"].tolist())
    assert len(both.to_pandas()) == len(longer.to_pandas())


def test_runs_of_different_seeds_are_told_apart_and_compared_without_pairs(study, tmp_path):
    start(STUDY.replace(seed=5, agents=[agent("ucb1")]), tmp_path / "other", SERIAL)
    both = load([study, tmp_path / "other"])
    assert {"ucb1 (seed 4)", "ucb1 (seed 5)", "uniform"} <= set(both.summary()["agent"])
    table = both.compare().set_index(["environment", "agent", "other"])
    pair = table[(table.index.get_level_values("agent") == "ucb1 (seed 5)") & table.index.isin(["uniform"], level=2)]
    assert not pair["paired"].any()
    assert pair["line"].str.contains("60 unpaired replications").all()
    with pytest.raises(BadParameter, match="different seeds: they share nothing"):
        both.best()


def test_runs_of_different_horizons_ask_for_a_round_that_they_share(study, tmp_path):
    start(STUDY.replace(horizon=100, agents=[agent("moss")], every=50), tmp_path / "short", SERIAL)
    both = load([study, tmp_path / "short"])
    with pytest.raises(BadParameter, match=r"were played for \[100, 200\] rounds: say .* --at 100"):
        both.compare()
    assert both.compare(at=100)["t"].unique().tolist() == [100]


def test_environments_that_only_look_alike_are_not_mixed(study, tmp_path):
    named = [environment("bernoulli", means=[m, 0.2]).named("easy") for m in (0.9, 0.8)]
    for i, one in enumerate(named):
        start(STUDY.replace(environments=[one]), tmp_path / f"r{i}", SERIAL)
    both = load(str(tmp_path / "r*"))
    assert set(both.summary()["environment"]) == {"easy (r0)", "easy (r1)"}


def test_a_pattern_finds_runs_and_says_when_it_does_not(study, tmp_path):
    (tmp_path / "notes").mkdir()
    start(STUDY.replace(replications=2), tmp_path / "a", SERIAL)
    assert len(load(f"{tmp_path}/*").cells) == 6
    with pytest.raises(RunFolderError, match="no run folder matches"):
        load(f"{tmp_path}/z*")
    with pytest.raises(RunFolderError, match="the list is empty"):
        load([])


# damaged, empty, failed, foreign


def test_a_truncated_part_is_named_and_skipped_only_on_request(study, tmp_path, bandits):
    place = copy_of(study, tmp_path)
    part = sorted(place.glob("log/*/*000059.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-300])
    for command in ("show", "compare", "export", "plot", "report"):
        answer = bandits(command, place)
        assert answer.code == 2
        assert part.name in answer.err
        assert "--skip-damaged" in answer.err
        assert "Traceback" not in answer.err
        kept = bandits(command, place, "--skip-damaged")
        assert kept.code == 0, kept.err
        assert f"skipped, damaged: {part}" in kept.err
    rows = bandits("show", place, "--skip-damaged", "--json").json
    assert sorted(row["replications"] for row in rows) == [20, 60, 60, 60, 60, 60]
    compared = bandits("compare", place, "--skip-damaged", "--json").json["pairs"]
    assert sorted({pair["replications"] for pair in compared}) == [20, 60]


def test_a_flipped_bit_in_the_data_is_named_too(study, tmp_path):
    place = copy_of(study, tmp_path)
    part = sorted(place.glob("log/*/*.parquet"))[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 1
    part.write_bytes(data)
    with pytest.raises(RunFolderError, match=f"{part.name} is damaged .*: remove it, then 'bandits resume"):
        load(place).to_pandas()
    log = load(place, skip_damaged=True)
    assert log.to_pandas().groupby("cell")["replication"].nunique().min() == 40
    assert log.damaged == [str(part)]
    part.unlink()
    resume(place, SERIAL)
    assert load(place).to_pandas().equals(load(study).to_pandas()), "what the error said to do mends the run"


def test_what_is_damaged_inside_one_run_is_read_from_another(study, tmp_path):
    place = copy_of(study, tmp_path)
    part = sorted(place.glob("log/*/*000059.parquet"))[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 1
    part.write_bytes(data)
    log = load([place, study], skip_damaged=True)
    assert log.summary()["replications"].tolist() == [60] * 6
    assert log.damaged == [str(part)]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_regret_that_is_no_number_is_damage(study, tmp_path, bandits, wrong):
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = copy_of(study, tmp_path)
    part = sorted(place.glob("log/*/*000059.parquet"))[0]
    table = pq.read_table(part, partitioning=None)
    regret = table["regret"].to_numpy().copy()
    regret[-1] = wrong
    pq.write_table(table.set_column(table.column_names.index("regret"), "regret", pa.array(regret)), part)
    for command in ("show", "compare", "plot", "report", "export"):
        answer = bandits(command, place)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
        assert f"{part.name} is damaged (its regret is not finite throughout): remove it, then" in answer.err
    assert sorted(load(place, skip_damaged=True).summary()["replications"]) == [20, 60, 60, 60, 60, 60]


def test_an_empty_run_says_what_to_do(study, tmp_path, bandits):
    place = copy_of(study, tmp_path)
    for part in place.glob("log/*/*.parquet"):
        part.unlink()
    shown = bandits("show", place)
    assert shown.code == 0
    assert "no replication is finished yet; 'bandits resume' plays what is missing" in shown.err
    compared = bandits("compare", place)
    assert (compared.code, compared.err.count("\n")) == (2, 1)
    assert "no replication is finished yet" in compared.err
    log = load(place)
    assert log.to_pandas().empty
    assert log.slope()["replications"].tolist() == [0] * 6
    assert not log.pareto("reward")["efficient"].any()
    assert np.isnan(log.best()["mean"]).all()
    with pytest.raises(RunFolderError, match="no replication is finished"):
        log.dataset()
    assert bandits("export", place, "--format", "latex").code == 0


def test_a_run_that_only_failed_says_why(tmp_path, plugin, bandits):
    assert bandits("run", "quickstart", "--smoke", "--plugin", plugin(BREAKS), "--agent", "breaks", "--only", "breaks",
                   "--out", "r").code == 1  # fmt: skip  # one command on few lines
    answer = bandits("compare", "r")
    assert answer.code == 2
    assert "nothing to compare: no environment has two agents" in answer.err
    shown = bandits("show", "r")
    assert "no replication is finished, 2 task(s) failed, first breaks on" in shown.err
    assert "out of order" in shown.err


def test_an_agent_whose_rivals_failed_has_nobody_to_be_compared_with(plugin, bandits):
    options = ("--smoke", "--plugin", plugin(BREAKS), "--agent", "breaks", "--only", "breaks", "--only", "ucb1")
    ran = bandits("run", "quickstart", *options, "--out", "r", "--until-separated", "--backend", "serial")
    assert ran.code == 1
    assert "bandits resume r --until-separated" in ran.err
    answer = bandits("compare", "r")
    assert answer.code == 2
    assert answer.err == "error: nothing to compare: no environment has two agents with finished replications\n"


def test_runs_of_another_schema_are_named(study, tmp_path):
    place = copy_of(study, tmp_path)
    facts = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps(facts | {"schema": 99}))
    with pytest.raises(RunFolderError, match=f"{place} has log schema 99, and this version reads 1"):
        load([study, place])


def test_parts_with_different_columns_are_read_where_they_can_be_and_named_where_not(study, tmp_path):
    import pyarrow.parquet as pq

    place = copy_of(study, tmp_path)
    part = sorted(place.glob("log/*/*000059.parquet"))[0]
    pq.write_table(pq.read_table(part, partitioning=None).drop(["reward"]), part)
    log = load(place)
    assert log.summary()["replications"].tolist() == [60] * 6
    with pytest.raises(NotLogged, match=f"{part.name} has no column 'reward', only replication, t, regret"):
        log.compare(column="reward")


def test_a_column_that_was_not_logged_is_refused(study):
    with pytest.raises(NotLogged, match="has no column 'messages', only replication, t, regret, reward"):
        load(study).pareto()
    alone = simulate(EASY, agent("ucb1"), horizon=10, replications=3)
    with pytest.raises(NotLogged, match="no column 'messages'"):
        alone.pareto()


def test_a_run_in_progress_compares_what_both_have_finished(study, tmp_path):
    place = copy_of(study, tmp_path)
    first = load(place).cells[0]
    next((place / "log" / f"cell={first.cell}").glob("*000059.parquet")).unlink()
    table = load(place).compare()
    assert sorted(table[table["environment"] == first.environment]["replications"]) == [20, 20, 60]


def test_what_compare_refuses(study, bandits):
    for options, said in (
        (["--alpha", "2"], "alpha must lie strictly between 0 and 1"),
        (["--agents", "ucb2"], "no agent of this run is called 'ucb2'. Did you mean 'ucb1'?"),
        (["--at", "7000"], "round 7000 was not recorded; the nearest checkpoint is 200"),
        (["--agents", "ucb1"], "nothing to compare: no environment has two agents"),
        (
            ["--environment", "x"],
            "no environment of this run is called 'x'. There are: bernoulli(means=[0.9, 0.5]), "
            "bernoulli(means=[0.6, 0.5]).",
        ),
        (["--column", "messages"], "has no column 'messages'"),
    ):
        answer = bandits("compare", study, *options)
        assert answer.code == 2
        assert said in answer.err
        assert answer.err.count("\n") == 1


def test_a_comma_inside_a_label_separates_no_names(tmp_path, bandits):
    agents = [agent("ucb_v", c=c, zeta=1.5) for c in (0.5, 1.5)] + [agent("uniform"), agent("ucb1")]
    start(STUDY.replace(environments=[EASY], agents=agents, replications=3), tmp_path / "r", SERIAL)
    first, second = (facts.agent for facts in load(tmp_path / "r").cells[:2])
    assert "," in first
    pairs = bandits("compare", tmp_path / "r", "--agents", f"{first},{second}, uniform", "--json").json["pairs"]
    assert {name for pair in pairs for name in (pair["agent"], pair["other"])} == {first, second, "uniform"}
    assert bandits("plot", tmp_path / "r", "--agents", first, "--out", tmp_path / "f.png").code == 0


def test_compare_prints_every_pair_and_json_holds_the_same(study, bandits):
    printed = bandits("compare", study)
    assert printed.code == 0
    answer = bandits("compare", study, "--json").json
    assert [pair["line"] for pair in answer["pairs"]] == load(study).compare()["line"].tolist()
    assert all(pair["line"] in printed.out for pair in answer["pairs"])
    assert answer["sequential"] is None
    assert len(answer["best"]) == 6
    assert "corrected by Holm over the pairs of each environment" in printed.out


# export


@pytest.mark.parametrize("table", ["summary", "compare", "best", "slope", "bound", "parameters", "log"])
def test_csv_and_parquet_hold_the_same_table(study, tmp_path, bandits, table):
    printed = bandits("export", study, "--table", table)
    assert printed.code == 0
    assert bandits("export", study, "--table", table, "--format", "parquet", "--out", "t.parquet").out == "t.parquet\n"
    (tmp_path / "t.csv").write_text(printed.out)
    csv, parquet = pd.read_csv(tmp_path / "t.csv"), pd.read_parquet(tmp_path / "t.parquet")
    assert list(csv.columns) == list(parquet.columns)
    assert len(csv) == len(parquet) > 0
    for name in csv.select_dtypes("number"):
        np.testing.assert_array_equal(csv[name], parquet[name])


def test_what_export_refuses(study, tmp_path, bandits):
    for options, said in (
        (["--format", "xlsx"], "no format 'xlsx', only csv, parquet, latex."),
        (["--table", "sumary"], "no table 'sumary'"),
        (["--format", "parquet"], "say where it goes with --out"),
        (["--out", "/proc/no/t.csv"], "cannot write /proc/no/t.csv"),
        (["--table", "allocation"], "did not record how often each arm was played"),
    ):
        answer = bandits("export", study, *options)
        assert answer.code == 2
        assert said in answer.err


NASTY = r"50% of $x_1$ & \foo{bar}* [a] #1 ~ ^ <script>alert('x')</script> “σ” é π 日"


def test_latex_escapes_what_people_call_their_agents(tmp_path, bandits):
    experiment = Experiment(
        name="nasty",
        environments=[EASY.named(NASTY)],
        agents=[agent("ucb1").named(NASTY), agent("uniform").named("[b] first")],
        horizon=20,
        replications=5,
    )
    start(experiment, tmp_path / "r", SERIAL)
    for table in ("summary", "compare"):
        answer = bandits("export", "r", "--format", "latex", "--table", table, "--out", f"{table}.tex")
        assert answer.code == 0
        text = (tmp_path / f"{table}.tex").read_text()
        rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert len({line.count(" & ") for line in (r.replace(r"\&", "") for r in rows)}) == 1
        assert text.isascii()
        bare = text.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")
        if shutil.which("pdflatex"):
            (tmp_path / "page.tex").write_text(
                "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\tiny\n"
                f"\\input{{{table}.tex}}\n\\end{{document}}\n"
            )
            done = subprocess.run(
                ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
                cwd=tmp_path,
                capture_output=True,
            )
            assert done.returncode == 0, done.stdout.decode(errors="replace")[-800:]


def test_latex_letters():
    assert latex_text("a_b & 5%") == r"a\_b \& 5\%"
    assert latex_text("σ λ é") == r"$\sigma$ $\lambda$ e"
    assert latex_text("\\") == r"\textbackslash{}"
