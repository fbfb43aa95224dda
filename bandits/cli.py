"""The command line: ``bandits run | resume | list | show | plot | report | bound | bench | verify | doctor``.

Results go to stdout, progress to stderr. Exit status 0, 1 after a failure, 2 for a wrong request, 130 after Ctrl-C.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from . import __version__
from .errors import BadParameter, BanditsError, UsageError
from .requests import adjust, choose_agents, find_experiment, load_plugins, parse_assignment

if TYPE_CHECKING:
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
    pulls: Annotated[bool, typer.Option("--pulls", help="Record how often each arm was played.")] = False,
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
    if pulls:
        declared = declared.replace(extras=("pulls",))
    from .runs import start

    settings = make_settings(backend, workers, ray_address)
    finished = start(declared, out, settings, make_progress(declared.horizon, quiet), batch)
    conclude(finished, report=report, as_json=as_json)


@app.command()
def resume(
    place: RunPlace,
    replications: Annotated[int | None, typer.Option(help="Continue to this many replications.")] = None,
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
    place: RunPlace,
    at: Annotated[int | None, typer.Option(help="Round to summarise; default: the horizon.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print mean regret with its 95 % interval, the lower bound, and the ratio of the two.

    Example: bandits show results/quickstart-20260101T000000Z
    """
    from .analysis import load
    from .tables import print_summary

    summary = load(place).summary(at)
    if as_json:
        rows = summary.to_dict("records")
        print(json.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows]))
    else:
        print_summary(summary)


@app.command()
def plot(
    place: RunPlace,
    kind: Annotated[list[str], typer.Option(help="regret, ratio, allocation, or all; may be repeated.")] = ["regret"],
    out: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF file, or a folder; default: RUN/figures/KIND.png.")
    ] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, separated by commas.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this environment; may be repeated.")
    ] = None,
    log: Annotated[str, typer.Option(help="Logarithmic axes of regret: auto, x, y, xy or none.")] = "auto",
) -> None:
    """Draw mean regret, its ratio to the lower bound, or the plays of each arm, with 95 % intervals.

    Example: bandits plot results/quickstart-20260101T000000Z --kind regret --kind ratio --out figures/
    """
    from .plots.files import save_kinds

    chosen = agents.split(",") if agents else None
    drawn, left_out = save_kinds(place, kind, out, agents=chosen, environments=environment or None, log=log)
    for path in drawn:
        print(path)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)


@app.command()
def report(place: RunPlace) -> None:
    """Write report.html into the run folder: one page with tables and figures.

    Example: bandits report results/quickstart-20260101T000000Z
    """
    from .report import write_report

    print(write_report(place))


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


def conclude(finished: Run, *, report: bool, as_json: bool) -> None:
    """Print what came out and where it lies; exit 1 if something failed, 130 if it was interrupted."""
    remedy = f"bandits resume {finished.place}"
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
        from .tables import print_summary

        print_summary(load(finished.place).summary())
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
    try:
        app(arguments)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BanditsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def main_of_experiment(experiment: Experiment) -> NoReturn:
    """``python my_experiment.py [options of bandits run]``: run the experiment of the script that calls this."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    main(["run", script or experiment.name, *sys.argv[1:]])
