"""Commands that need no run: ``list``, ``bound``, ``bench`` and ``doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..errors import BadParameter
from ..requests import load_plugins
from .options import AsJson, Device, Plugins

__all__ = ["bench", "bound", "doctor", "list_"]


def list_(
    what: Annotated[str, typer.Argument(help="agents, environments, experiments or trials; default: all.")] = "all",
    plugin: Plugins = [],
    as_json: AsJson = False,
) -> None:
    """List what is registered, with sources.

    Example: bandits list agents
    """
    from ..registry import Kind, entries

    load_plugins(plugin)
    kinds: dict[str, Kind] = {
        "agents": "agent",
        "environments": "environment",
        "experiments": "experiment",
        "trials": "trial",
    }
    if what != "all" and what not in kinds:
        raise BadParameter(f"there is no list of '{what}': ask for {', '.join(list(kinds)[:-1])} or trials")
    chosen = [what] if what != "all" else list(kinds)
    listed = {group: entries(kinds[group]) for group in chosen}
    if as_json:
        fields = ("name", "summary", "source")
        print(
            json.dumps({group: [{f: getattr(e, f) for f in fields} for e in found] for group, found in listed.items()})
        )
        return
    from ..tables import print_entries

    for group, found in listed.items():
        print_entries(group, found)


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
    from ..bound_command import describe_bound, describe_finite_time, read_means, read_sigma

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
    from ..tables import print_bound

    print_bound(mean.tolist(), answer)


def bench(
    only: Annotated[list[str], typer.Option("--only", metavar="NAME", help="Measure only this workload.")] = [],
    replications: Annotated[
        int | None,
        typer.Option(
            min=2, help="Replications, played as one batch; default: 1000, of neural jobs 64, or 1024 on a GPU."
        ),
    ] = None,
    horizon: Annotated[int | None, typer.Option(min=16, help="Rounds; default: 10,000.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats; the median counts.")] = 5,
    neural: Annotated[
        bool,
        typer.Option(
            "--neural", help="Measure neural jobs instead: seeds per second of a batch beside one seed at a time."
        ),
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure nanoseconds per run-step beside the cost of drawing the random numbers alone.

    Example: bandits bench --only W1
    """
    if neural:
        if only or horizon is not None:
            raise BadParameter(f"{'--only' if only else '--horizon'} belongs to simulations, not to --neural")
        from ..neural.bench import measure_neural
        from ..tables import print_neural_bench

        found = measure_neural(device=device, replications=replications, repeats=repeats)
        print(json.dumps(found)) if as_json else print_neural_bench(found)
        return
    if device != "auto":
        raise BadParameter("--device belongs to --neural")
    from ..bench import measure
    from ..tables import print_bench

    rows = measure(only, replications=replications or 1000, horizon=horizon or 10_000, repeats=repeats)
    if as_json:
        print(json.dumps(rows))
    else:
        print_bench(rows)


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what this machine has, and what to do about what is missing.

    Example: bandits doctor
    """
    from ..doctor import examine
    from ..tables import print_checks

    checks = examine()
    if as_json:
        print(json.dumps(checks))
    else:
        print_checks(checks)
    if not all(check["ok"] for check in checks if check["required"]):
        raise typer.Exit(1)
