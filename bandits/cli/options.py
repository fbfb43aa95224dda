"""Options and arguments that several commands share: one name, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Alpha",
    "AsJson",
    "Backend",
    "Batch",
    "Device",
    "GpusPerJob",
    "Margin",
    "MaxReplications",
    "Model",
    "Plugins",
    "Quiet",
    "RayAddress",
    "RunPlace",
    "RunPlaces",
    "SkipDamaged",
    "UntilSeparated",
    "WithReport",
    "Workers",
]

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
Batch = Annotated[
    int | None,
    typer.Option(
        min=1, help="Replications that play as one batch; never changes a result, of neural trials but by rounding."
    ),
]
Device = Annotated[str, typer.Option(help="Of neural trials: auto (a GPU where there is one), cpu or cuda.")]
GpusPerJob = Annotated[
    float | None, typer.Option(help="Of neural trials: share of a GPU per worker; default: as the trial says.")
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of a Stable Diffusion 1 or 2 pipeline, as save_pretrained writes it, or its name in the local "
        "cache of the hub; nothing is downloaded.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
WithReport = Annotated[bool, typer.Option("--report", help="Write report.html and figures at the end.")]
