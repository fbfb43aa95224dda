"""Commands that play: ``run``, ``resume`` and ``verify``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BadParameter
from ..requests import adjust, choose_agents, choose_trials, find_experiment, load_plugins, parse_assignment
from .options import (
    Alpha,
    AsJson,
    Backend,
    Batch,
    Device,
    GpusPerJob,
    Margin,
    MaxReplications,
    Model,
    Plugins,
    Quiet,
    RayAddress,
    RunPlace,
    UntilSeparated,
    WithReport,
    Workers,
)
from .printing import conclude

if TYPE_CHECKING:
    from ..neural.trials import NeuralExperiment
    from ..progress import Progress
    from ..scheduler import Settings

__all__ = ["resume", "run", "verify"]


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
    full: Annotated[bool, typer.Option("--full", help="Run neural trials at full size on a CPU, too.")] = False,
    model: Model = None,
    device: Device = "auto",
    gpus_per_job: GpusPerJob = None,
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
    from ..neural.trials import NeuralExperiment
    from ..runs import start

    settings = make_settings(backend, workers, ray_address, device, gpus_per_job)
    declared = find_experiment(experiment)
    if isinstance(declared, NeuralExperiment):
        regret_only = {
            "horizon": horizon,
            "checkpoints": checkpoints,
            "every": every,
            "agent": add_agent,
            "pulls": pulls,
            "per-learner": per_learner,
            "until-separated": until_separated,
        }
        refuse_for_neural(regret_only)
        trials = declare_trials(declared, settings, smoke, full, replications, seed, only, set_, sweep, model)
        finished = start(trials, out, settings, make_progress(None, quiet), batch)
        conclude(finished, report=report, as_json=as_json)
        return
    if full:
        raise BadParameter("--full belongs to neural experiments: others run at full size without it")
    if model is not None:
        raise BadParameter("--model belongs to neural experiments, and this one plays agents on environments")
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
    if until_separated:
        from ..until_separated import Design, start_until_separated

        design = Design.of(
            declared.replications, max_replications, 0.05 if alpha is None else alpha, 0.0 if margin is None else margin
        )
        finished = start_until_separated(
            declared, design, out, settings, lambda: make_progress(declared.horizon, quiet), batch
        )
    else:
        refuse_without_looks(max_replications, alpha, margin)
        finished = start(declared, out, settings, make_progress(declared.horizon, quiet), batch)
    conclude(finished, report=report, as_json=as_json)


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
    model: Model = None,
    device: Device = "auto",
    gpus_per_job: GpusPerJob = None,
    batch: Batch = None,
    plugin: Plugins = [],
    report: WithReport = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run what a run still lacks: after Ctrl-C, a crash or a failure, or to add replications.

    --model says where the run's pre-trained pipeline lies now, if that is elsewhere; another one is refused.

    Example: bandits resume results/quickstart-20260101T000000Z --replications 5000
    """
    load_plugins(plugin)
    from ..runs import reopen
    from ..runs import resume as resume_run

    _, _, experiment = reopen(place)
    settings = make_settings(backend, workers, ray_address, device, gpus_per_job)
    if until_separated:
        if experiment.horizon is None:
            refuse_for_neural({"until-separated": True})
        if model is not None:
            raise BadParameter("--model belongs to neural runs")
        if replications is not None:
            raise BadParameter("--replications and --until-separated both say how long to go on: give one of them")
        from ..until_separated import continue_until_separated

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
        finished = resume_run(place, settings, make_progress(experiment.horizon, quiet), batch, replications, model)
    conclude(finished, report=report, as_json=as_json)


def verify(
    place: RunPlace,
    sample: Annotated[int, typer.Option(min=1, help="Replications to replay per cell.")] = 3,
    model: Model = None,
    device: Device = "auto",
    plugin: Plugins = [],
    as_json: AsJson = False,
) -> None:
    """Replay a sample of replications, one at a time, and compare every bit with the log.

    Neural trials are replayed in the batches that they were run in; on another device, or with another torch, numbers
    may differ by a relative 1e-5. --model says where the run's pre-trained pipeline lies now, if that is elsewhere.

    Example: bandits verify results/quickstart-20260101T000000Z --sample 10
    """
    load_plugins(plugin)
    from dataclasses import asdict

    from ..runs import verify as verify_run
    from ..tables import print_finding

    report = (lambda finding: None) if as_json else print_finding
    findings = verify_run(place, sample, report, make_settings("serial", None, None, device), model)
    if as_json:
        print(json.dumps([asdict(f) | {"ok": f.ok} for f in findings]))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def make_settings(
    backend: str,
    workers: int | None,
    ray_address: str | None,
    device: str = "auto",
    gpus_per_job: float | None = None,
) -> Settings:
    """Check backend, workers and device."""
    from ..scheduler import Settings

    return Settings(backend, workers, ray_address, device, gpus_per_job)  # type: ignore[arg-type]  # it refuses others


def declare_trials(
    declared: NeuralExperiment,
    settings: Settings,
    smoke: bool,
    full: bool,
    replications: int | None,
    seed: int | None,
    only: list[str],
    set_: list[str],
    sweep: list[str],
    model: str | None = None,
) -> NeuralExperiment:
    """A neural experiment as asked for, at the size that fits the device; says on stderr what that is."""
    from ..neural.devices import need_torch
    from ..neural.pretrained import remark as on_the_cpu
    from ..neural.pretrained import with_model
    from ..neural.sizes import sized

    need_torch(f"experiment '{declared.name}'")
    if model is not None:
        declared = with_model(declared, model)
    declared, remark = sized(declared, settings, smoke=smoke, full=full, pick=lambda one: choose_trials(one, only))
    if remark is not None:
        print(remark, file=sys.stderr)
    given = {"replications": replications, "seed": seed}
    declared = declared.replace(**{name: value for name, value in given.items() if value is not None})
    for item in set_:
        declared = declared.override(*parse_assignment(item))
    for item in sweep:
        declared = declared.sweep(*parse_assignment(item))
    if model is not None and (remark := on_the_cpu(declared, settings)) is not None:
        print(remark, file=sys.stderr)
    return declared


def refuse_for_neural(asked: dict[str, Any]) -> None:
    """Say what belongs to agents on environments."""
    for name, value in asked.items():
        if value:
            raise BadParameter(f"--{name} belongs to agents on environments, and this experiment runs neural trials")


def make_progress(horizon: int | None, quiet: bool) -> Progress:
    """Progress on stderr."""
    from ..progress import make_progress as make

    return make(horizon, quiet=quiet)


def refuse_without_looks(max_replications: int | None, alpha: float | None, margin: float | None) -> None:
    """Say what belongs to --until-separated."""
    for name, value in (("max-replications", max_replications), ("alpha", alpha), ("margin", margin)):
        if value is not None:
            raise BadParameter(f"--{name} belongs to --until-separated")
