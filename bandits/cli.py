"""The command line: ``bandits run``, ``resume``, ``show``, ``compare`` and the others that ``bandits --help`` lists.

Results go to stdout, progress to stderr. Exit status 0, 1 after a failure, 2 for a wrong request, 130 after Ctrl-C.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from . import __version__
from .errors import BadParameter, BanditsError, UsageError
from .requests import adjust, choose_agents, find_experiment, load_plugins, parse_assignment

if TYPE_CHECKING:
    from .analysis import Log
    from .experiment import Experiment
    from .runs import Run

__all__ = ["app", "main", "main_of_experiment"]

app = typer.Typer(
    name="bandits",
    help="Simulate bandits and sequential decisions: fast, reproducible, with pluggable agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Plugins = Annotated[
    list[Path],
    typer.Option("--plugin", help="Python file that registers agents, environments or experiments."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
RunPlace = Annotated[str, typer.Argument(metavar="RUN", help="Run folder, path or URI.")]
RunPlaces = Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders, paths, URIs or patterns.")]
SkipDamaged = Annotated[
    bool, typer.Option("--skip-damaged", help="Go on without damaged log files, and name them; else they are an error.")
]
UntilSeparated = Annotated[
    bool,
    typer.Option(
        "--until-separated",
        help="Look after R, 2R, 4R, ... replications, and stop once every pair of agents differs beyond doubt.",
    ),
]
MaxReplications = Annotated[
    int | None, typer.Option(help="With --until-separated: no look beyond this many; default: 64 times the first.")
]
Alpha = Annotated[
    float | None,
    typer.Option(help="With --until-separated: bound on the chance of any wrong claim about the run; default: 0.05."),
]
Margin = Annotated[
    float | None, typer.Option(help="With --until-separated: pairs within this much regret count as equivalent.")
]
Backend = Annotated[str, typer.Option(help="auto, serial, pool or ray.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes; default: all cores.")]
RayAddress = Annotated[str | None, typer.Option(help="Join the Ray cluster at this address.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Replications that play as one batch; never changes a result.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
WithReport = Annotated[bool, typer.Option("--report", help="Write report.html and figures at the end.")]


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"bandits {__version__}")
        raise typer.Exit


@app.command()
def run(
    experiment: Annotated[
        str, typer.Argument(metavar="NAME|FILE.py", help="A registered experiment, or a file with one.")
    ],
    out: Annotated[str | None, typer.Option(help="Run folder or URI; default: results/NAME-TIME.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Rounds T.")] = None,
    replications: Annotated[int | None, typer.Option(help="Independent replications R.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness.")] = None,
    checkpoints: Annotated[int | None, typer.Option(help="Rounds to record, log-spaced.")] = None,
    every: Annotated[int | None, typer.Option(help="Record every this many rounds instead.")] = None,
    set_: Annotated[list[str], typer.Option("--set", metavar="NAME.PARAM=VALUE", help="Change a parameter.")] = [],
    add_agent: Annotated[list[str], typer.Option("--agent", metavar="NAME", help="Play this agent, too.")] = [],
    only: Annotated[list[str], typer.Option("--only", metavar="NAME", help="Play only agents of this name.")] = [],
    sweep: Annotated[
        list[str], typer.Option("--sweep", metavar="NAME.PARAM=[V,V,..]", help="One agent or environment per value.")
    ] = [],
    pulls: Annotated[bool, typer.Option("--pulls", help="Record how often each arm was played.")] = False,
    per_learner: Annotated[
        bool, typer.Option("--per-learner", help="Log each learner of a population on a row of its own.")
    ] = False,
    until_separated: UntilSeparated = False,
    max_replications: MaxReplications = None,
    alpha: Alpha = None,
    margin: Margin = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Run the small version.")] = False,
    backend: Backend = "auto",
    workers: Workers = None,
    ray_address: RayAddress = None,
    batch: Batch = None,
    plugin: Plugins = [],
    report: WithReport = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run an experiment and print its table.

    Example: bandits run quickstart --smoke --set ucb1.c=1.0 --agent my_agent --plugin my_agent.py
    """
    load_plugins(plugin)
    declared = find_experiment(experiment)
    if smoke:
        declared = declared.smoked()
    declared = adjust(
        declared, horizon=horizon, replications=replications, seed=seed, checkpoints=checkpoints, every=every
    )
    declared = choose_agents(declared, add_agent, only)
    for item in set_:
        target, value = parse_assignment(item)
        declared = declared.override(target, value)
    for item in sweep:
        declared = declared.sweep(*parse_assignment(item))
    extras = {"pulls": pulls, "learners": per_learner}
    if any(extras.values()):
        declared = declared.replace(extras=tuple(name for name, wanted in extras.items() if wanted))
    settings = make_settings(backend, workers, ray_address)
    if until_separated:
        from .until_separated import Design, start_until_separated

        design = Design.of(
            declared.replications, max_replications, 0.05 if alpha is None else alpha, 0.0 if margin is None else margin
        )
        finished = start_until_separated(
            declared, design, out, settings, lambda: make_progress(declared.horizon, quiet), batch
        )
    else:
        refuse_without_looks(max_replications, alpha, margin)
        from .runs import start

        finished = start(declared, out, settings, make_progress(declared.horizon, quiet), batch)
    conclude(finished, report=report, as_json=as_json)


@app.command()
def resume(
    place: RunPlace,
    replications: Annotated[int | None, typer.Option(help="Continue to this many replications.")] = None,
    until_separated: UntilSeparated = False,
    max_replications: MaxReplications = None,
    alpha: Alpha = None,
    margin: Margin = None,
    backend: Backend = "auto",
    workers: Workers = None,
    ray_address: RayAddress = None,
    batch: Batch = None,
    plugin: Plugins = [],
    report: WithReport = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run what a run still lacks: after Ctrl-C, a crash or a failure, or to add replications.

    Example: bandits resume results/quickstart-20260101T000000Z --replications 5000
    """
    load_plugins(plugin)
    from .runs import reopen
    from .runs import resume as resume_run

    _, _, experiment = reopen(place)
    settings = make_settings(backend, workers, ray_address)
    if until_separated:
        if replications is not None:
            raise BadParameter("--replications and --until-separated both say how long to go on: give one of them")
        from .until_separated import continue_until_separated

        finished = continue_until_separated(
            place,
            max_replications,
            alpha,
            margin,
            settings,
            lambda: make_progress(experiment.horizon, quiet),
            batch,
        )
    else:
        refuse_without_looks(max_replications, alpha, margin)
        finished = resume_run(place, settings, make_progress(experiment.horizon, quiet), batch, replications)
    conclude(finished, report=report, as_json=as_json)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="agents, environments or experiments; default: all.")] = "all",
    plugin: Plugins = [],
    as_json: AsJson = False,
) -> None:
    """List what is registered, with sources.

    Example: bandits list agents
    """
    from .registry import entries

    load_plugins(plugin)
    kinds = {"agents": "agent", "environments": "environment", "experiments": "experiment"}
    if what != "all" and what not in kinds:
        raise BadParameter(f"there is no list of '{what}': ask for agents, environments or experiments")
    chosen = [what] if what != "all" else list(kinds)
    listed = {group: entries(kinds[group]) for group in chosen}  # type: ignore[arg-type]
    if as_json:
        fields = ("name", "summary", "source")
        print(
            json.dumps({group: [{f: getattr(e, f) for f in fields} for e in found] for group, found in listed.items()})
        )
        return
    from .tables import print_entries

    for group, found in listed.items():
        print_entries(group, found)


@app.command()
def show(
    places: RunPlaces,
    at: Annotated[int | None, typer.Option(help="Round to summarise; default: the horizon.")] = None,
    skip_damaged: SkipDamaged = False,
    as_json: AsJson = False,
) -> None:
    """Print mean regret with its 95 % interval, the lower bound, and the ratio of the two.

    Example: bandits show results/quickstart-20260101T000000Z
    """
    from .tables import print_summary

    opened = open_logs(places, skip_damaged)
    summary = opened.summary(at)
    name_damaged(opened)
    if as_json:
        print(json.dumps(as_records(summary)))
    else:
        print_summary(summary)
        if not summary["replications"].any():
            print(f"note: {opened.why_empty()}", file=sys.stderr)


@app.command()
def compare(
    places: RunPlaces,
    at: Annotated[int | None, typer.Option(help="Round to compare at; default: the horizon.")] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, separated by commas.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this environment; may be repeated.")
    ] = None,
    column: Annotated[str, typer.Option(help="Log column to compare.")] = "regret",
    alpha: Annotated[float, typer.Option(help="Bound on the chance of separating any equal pair.")] = 0.05,
    skip_damaged: SkipDamaged = False,
    as_json: AsJson = False,
) -> None:
    """Compare every pair of agents on the same replications, corrected for the number of pairs, in plain words.

    Example: bandits compare results/quickstart-20260101T000000Z --agents ucb1,kl_ucb
    """
    from .tables import print_comparisons, print_verdicts

    opened = open_logs(places, skip_damaged)
    chosen = opened.select(agents.split(",") if agents else None, environment)
    found = chosen.comparisons(at, column=column, alpha=alpha)
    best = chosen.best(at, column) if len({facts.noise for facts in chosen.cells}) == 1 else None
    verdicts = opened.verdicts()
    name_damaged(opened)
    if as_json:
        answer = {
            "pairs": as_records([one.as_row() for one in found]),
            "best": None if best is None else as_records(best),
            "sequential": None if verdicts is None else as_records(verdicts),
        }
        print(json.dumps(answer))
        return
    print_comparisons(found, best)
    if verdicts is not None:
        print_verdicts(verdicts)


@app.command()
def export(
    places: RunPlaces,
    format_: Annotated[str, typer.Option("--format", help="csv, parquet or latex.")] = "csv",
    table: Annotated[
        str, typer.Option(help="summary, compare, best, slope, bound, allocation, parameters, or log: every log row.")
    ] = "summary",
    at: Annotated[int | None, typer.Option(help="Round; default: the horizon (of log: every round).")] = None,
    out: Annotated[Path | None, typer.Option(help="File; default: print (csv and latex).")] = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Write a table of a run as CSV, Parquet or LaTeX.

    Example: bandits export results/quickstart-20260101T000000Z --format latex --out table.tex
    """
    from .export import write_table

    opened = open_logs(places, skip_damaged)
    written = write_table(opened, table, format_, out, at)
    name_damaged(opened)
    print(written, end="" if written.endswith("\n") else "\n")


@app.command()
def plot(
    place: RunPlace,
    kind: Annotated[
        list[str],
        typer.Option(
            help="regret, ratio, distribution, difference, allocation, messages, spreading, cost, all; may be repeated."
        ),
    ] = ["regret"],
    out: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF file, or a folder; default: RUN/figures/KIND.png.")
    ] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, separated by commas.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this environment; may be repeated.")
    ] = None,
    log: Annotated[str, typer.Option(help="Logarithmic axes: auto, x, y, xy or none.")] = "auto",
    band: Annotated[
        str | None, typer.Option(help="t (default), normal or bootstrap of the mean; median, quantiles or none.")
    ] = None,
    at: Annotated[int | None, typer.Option(help="Round, of figures that show one; default: the horizon.")] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="AGENT", help="Of difference: the agent to subtract; default: the best.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="KIND.PARAM", help="Draw regret or ratio against a swept parameter: environment.gap, agent.c."
        ),
    ] = None,
    style: Annotated[str, typer.Option(help="default or publication: for print, without colours, too.")] = "default",
    width: Annotated[
        str | None, typer.Option(help="Of a publication: one-column (default), two-column, or a length such as 120mm.")
    ] = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Draw curves of regret, its ratio to the lower bound, its distribution, paired differences, and more.

    Example: bandits plot results/quickstart-20260101T000000Z --kind regret --kind difference --out figures/
    """
    from .plots.files import save_kinds

    choices: dict[str, Any] = {"log": log, "band": band, "at": at, "reference": reference, "against": against}
    choices |= {"agents": agents.split(",") if agents else None, "environments": environment or None}
    drawn, left_out = save_kinds(place, kind, out, skip_damaged=skip_damaged, style=style, width=width, **choices)
    for figure in drawn:
        print(figure.path)
        if style != "default":
            print(f"caption: {figure.caption}", file=sys.stderr)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)


@app.command()
def report(place: RunPlace, skip_damaged: SkipDamaged = False) -> None:
    """Write report.html into the run folder: one page with tables and figures.

    Example: bandits report results/quickstart-20260101T000000Z
    """
    from .report import write_report

    print(write_report(place, skip_damaged=skip_damaged))


@app.command()
def watch(
    place: RunPlace,
    pause: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Follow a run: its curves in the terminal until it is over, then its table. Ctrl-C leaves; the run goes on.

    Example: bandits watch results/quickstart-20260101T000000Z
    """
    from .watch import watch as follow

    follow(place, pause=pause)


@app.command()
def bound(
    means: Annotated[str, typer.Option(metavar="M,M,..|FILE", help="Mean of each arm, or a CSV or Parquet file.")],
    sigma: Annotated[
        str,
        typer.Option(
            metavar="S,S;S,S|FILE",
            help="Noise with which the row's arm shows the column's arm, inf for nothing; rows separated by ';', or a "
            "CSV or Parquet file. One number or one row: each arm shows only itself.",
        ),
    ],
    horizon: Annotated[int | None, typer.Option(min=1, help="Rounds T: print the bound at T, too.")] = None,
    kind: Annotated[
        str, typer.Option(help="lp, or graves_lai: larger where the best arm does not see itself, else the same.")
    ] = "lp",
    finite_time: Annotated[
        bool,
        typer.Option("--finite-time", help="Experimental: also a bound at T itself, its formula recalled from memory."),
    ] = False,
    regret_cap: Annotated[
        float | None,
        typer.Option(metavar="B", help="With --finite-time: policies of at most this regret everywhere; else sqrt(T)."),
    ] = None,
    largest_mean: Annotated[
        float | None, typer.Option(metavar="D", help="With --finite-time: means are known to lie in [0, D]; else 1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the least regret of Gaussian arms with side observations, and the plays that attain it.

    Example: bandits bound --means 0.9,0.7,0.5 --sigma "1,1,inf;inf,1,1;inf,inf,1" --horizon 100000
    """
    from .bound_command import describe_bound, describe_finite_time, read_means, read_sigma

    mean = read_means(means)
    sd = read_sigma(sigma, mean.size)
    answer = describe_bound(mean, sd, kind, horizon)
    if finite_time:
        answer["finite_time"] = describe_finite_time(mean, sd, horizon, regret_cap, largest_mean)
    elif regret_cap is not None or largest_mean is not None:
        raise BadParameter("--regret-cap and --largest-mean belong to --finite-time")
    if as_json:
        print(json.dumps(answer))
        return
    from .tables import print_bound

    print_bound(mean.tolist(), answer)


@app.command()
def bench(
    only: Annotated[list[str], typer.Option("--only", metavar="NAME", help="Measure only this workload.")] = [],
    replications: Annotated[int, typer.Option(min=2, help="Replications, played as one batch.")] = 1000,
    horizon: Annotated[int, typer.Option(min=16, help="Rounds.")] = 10_000,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats; the median counts.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure nanoseconds per run-step beside the cost of drawing the random numbers alone.

    Example: bandits bench --only W1
    """
    from .bench import measure
    from .tables import print_bench

    rows = measure(only, replications=replications, horizon=horizon, repeats=repeats)
    if as_json:
        print(json.dumps(rows))
    else:
        print_bench(rows)


@app.command()
def verify(
    place: RunPlace,
    sample: Annotated[int, typer.Option(min=1, help="Replications to replay per cell.")] = 3,
    plugin: Plugins = [],
    as_json: AsJson = False,
) -> None:
    """Replay a sample of replications, one at a time, and compare every bit with the log.

    Example: bandits verify results/quickstart-20260101T000000Z --sample 10
    """
    load_plugins(plugin)
    from dataclasses import asdict

    from .runs import verify as verify_run
    from .tables import print_finding

    findings = verify_run(place, sample, (lambda finding: None) if as_json else print_finding)
    if as_json:
        print(json.dumps([asdict(f) | {"ok": f.ok} for f in findings]))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what this machine has, and what to do about what is missing.

    Example: bandits doctor
    """
    from .doctor import examine
    from .tables import print_checks

    checks = examine()
    if as_json:
        print(json.dumps(checks))
    else:
        print_checks(checks)
    if not all(check["ok"] for check in checks if check["required"]):
        raise typer.Exit(1)


def make_settings(backend: str, workers: int | None, ray_address: str | None) -> Any:
    """Check backend and workers."""
    from .scheduler import Settings

    return Settings(backend, workers, ray_address)  # type: ignore[arg-type]


def make_progress(horizon: int, quiet: bool) -> Any:
    """Progress on stderr."""
    from .progress import make_progress as make

    return make(horizon, quiet=quiet)


def refuse_without_looks(max_replications: int | None, alpha: float | None, margin: float | None) -> None:
    """Say what belongs to --until-separated."""
    for name, value in (("max-replications", max_replications), ("alpha", alpha), ("margin", margin)):
        if value is not None:
            raise BadParameter(f"--{name} belongs to --until-separated")


def open_logs(places: list[str], skip_damaged: bool) -> Log:
    """The log of one run or of several as one."""
    from .analysis import load

    return load(places, skip_damaged=skip_damaged)


def name_damaged(opened: Log) -> None:
    """Say on stderr what was skipped."""
    for name in opened.damaged:
        print(f"skipped, damaged: {name}", file=sys.stderr)


def as_records(table: Any) -> list[dict[str, Any]]:
    """Rows for JSON: null for what is no finite number."""
    import math

    rows = table if isinstance(table, list) else table.to_dict("records")
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in rows]


def conclude(finished: Run, *, report: bool, as_json: bool) -> None:
    """Print what came out and where it lies; exit 1 if something failed, 130 if it was interrupted."""
    from .store import RunFolder

    looks = " --until-separated" if "sequential" in RunFolder.open(finished.place).facts() else ""
    remedy = f"bandits resume {finished.place}{looks}"
    if finished.interrupted:
        print(f"interrupted; finished parts are kept. Continue with: {remedy}", file=sys.stderr)
    if report and not finished.interrupted:
        from .report import write_report

        written = write_report(finished.place)
        if not as_json:
            print(f"report  {written}")
    if as_json:
        from .runs import facts_as_json

        print(facts_as_json(finished))
    elif not finished.interrupted:
        from .analysis import load
        from .tables import print_summary, print_verdicts

        opened = load(finished.place)
        print_summary(opened.summary())
        if (verdicts := opened.verdicts()) is not None:
            print_verdicts(verdicts)
        print(f"run     {finished.place}  ({finished.wall_s:.1f} s)")
        print(f"log     {finished.place}/log/  (Parquet)")
    if finished.failures:
        complete = len(finished.cells) - len({failure.cell for failure in finished.failures})
        print(
            f"{len(finished.failures)} task(s) failed; {complete} of {len(finished.cells)} cells are complete. "
            f"Mend the cause, then: {remedy}",
            file=sys.stderr,
        )
        for failure in finished.failures:
            print(f"  {failure}", file=sys.stderr)
    if finished.interrupted:
        raise typer.Exit(130)
    if finished.failures:
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: every error that we foresee is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our letters shows marks instead
    warnings.showwarning = _print_warning
    try:
        app(arguments)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BanditsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _print_warning(message: Warning | str, *place: Any, **more: Any) -> None:
    """What a user should know is one line, too, without the place in our code."""
    print(f"warning: {message}", file=sys.stderr)


def main_of_experiment(experiment: Experiment) -> NoReturn:
    """``python my_experiment.py [options of bandits run]``: run the experiment of the script that calls this."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    main(["run", script or experiment.name, *sys.argv[1:]])
