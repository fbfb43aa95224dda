"""A run from declaration to folder: start it, continue it, check it.

`start` and `resume` leave a run folder whose status is "complete", "failed" (some cells), or "interrupted"; `verify`
replays a sample of replications and compares every bit with the log.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from .declarations import Cell, Declaration, read_declaration
from .errors import BadParameter, BanditsError, PlayError, PluginError, RunFolderError, UsageError, in_one_line
from .progress import Progress, SilentProgress
from .protocol import Job
from .registry import load_plugin, plugins
from .replay import Replayed
from .scheduler import Failure, Outcome, Settings, run_jobs
from .store import SCHEMA_VERSION, Part, RunFolder, missing_ranges

__all__ = ["Finding", "Run", "reopen", "resume", "start", "verify"]


@dataclass(frozen=True)
class Run:
    """What `start` and `resume` return.

    Attributes:
        place: Run folder.
        cells: Its cells.
        failures: What failed.
        interrupted: Whether it was stopped early.
        wall_s: Wall seconds of this call.
        waiting: Keys of cells that did not run, for a cell that they need failed.
    """

    place: str
    cells: Sequence[Cell]
    failures: list[Failure]
    interrupted: bool
    wall_s: float
    waiting: Sequence[str] = ()


def start(
    experiment: Declaration,
    out: str | Path | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    batch: int | None = None,
) -> Run:
    """Run an experiment into a new folder.

    Args:
        experiment: What to run.
        out: Folder or URI; by default ``results/<name>-<UTC time>``.
        settings: Backend and workers.
        progress: What to tell the user meanwhile; by default nothing.
        batch: Lanes per batch; never changes a result.

    Raises:
        UsageError: Something about the request is wrong; nothing was run.
    """
    if multiprocessing.parent_process() is not None:
        raise UsageError("a worker process started a run: put the lines that run under 'if __name__ == \"__main__\":'")
    cells, left_out = experiment.plan()
    facts = {
        "schema": SCHEMA_VERSION,
        "streams": experiment.stream_version,
        "status": "running",
        "experiment": experiment.as_json(),
        "left_out": [asdict(pair) for pair in left_out],
        "failures": [],
        "timing": {},
        "started": _utc(),
        "plugins": _plugin_facts(),
        "versions": _versions(),
        "commit": _commit(),
        "machine": _machine(),
    }
    progress = progress or SilentProgress()
    for pair in left_out:
        progress.say(f"left out: {pair}")
    folder = RunFolder.create(out, experiment.name, facts, experiment.cell_table(cells))
    with folder.locked():
        return _run(folder, facts, experiment, cells, settings or Settings(), progress, batch)


def resume(
    place: str | Path,
    settings: Settings | None = None,
    progress: Progress | None = None,
    batch: int | None = None,
    replications: int | None = None,
    model: str | None = None,
) -> Run:
    """Run what a folder still lacks; finished parts are never written again.

    Args:
        place: Run folder.
        settings: Backend and workers, free to differ from before.
        progress: What to tell the user meanwhile.
        batch: Lanes per batch.
        replications: A larger number of replications than before, to continue the same run.
        model: Where the run's pre-trained model lies now, if that is elsewhere.

    Raises:
        UsageError: The folder cannot be continued; nothing was run.
    """
    progress = progress or SilentProgress()
    folder, facts, experiment = reopen(place, progress)
    if model is not None:
        experiment = _moved(experiment, model)
        facts["experiment"] = experiment.as_json()
    if replications is not None:
        if replications < experiment.replications:
            raise RunFolderError(
                f"{place} has {experiment.replications} replications: a run can be continued, not shortened"
            )
        experiment = experiment.replace(replications=replications)
        facts["experiment"] = experiment.as_json()
    settings = settings or Settings()
    cells = experiment.plan()[0]
    if {cell.key for cell in cells} != set(folder.cells()["cell"].to_pylist()):
        raise RunFolderError(
            f"{place} was made by another version of its agents or environments: parameters or defaults have "
            "changed, so new replications would not belong to the old ones; start a new run"
        )
    lacks = any(missing_ranges(cell.replications, folder.parts(cell.key)) for cell in cells)
    if not lacks and facts["status"] == "complete":
        return Run(folder.place, cells, [], False, 0.0)  # nothing to do, and nothing to rewrite
    with folder.locked():
        for cell in cells:
            whole = folder.parts(cell.key)
            for part in folder.listed(cell.key):
                if part not in whole:
                    progress.say(f"{part.path} is damaged: set aside as {folder.set_aside(part)}, and played again")
        code = {"plugins": _plugin_facts(), "commit": _commit(), "version": __version__}
        if not _same_code(facts, code):
            _check_continuity(folder, experiment, cells, settings)
        facts.setdefault("resumed", []).append({"at": _utc(), **code})
        folder.write_facts(facts | {"status": "running"})
        folder.write_cells(experiment.cell_table(cells))
        return _run(folder, facts, experiment, cells, settings, progress, batch)


def _moved(experiment: Any, model: str) -> Any:
    """The experiment with its pre-trained model in another place."""
    from .neural.pretrained import moved
    from .neural.trials import NeuralExperiment

    if not isinstance(experiment, NeuralExperiment):
        raise BadParameter("--model belongs to neural runs, and this is one of agents on environments")
    return moved(experiment, model)


def _same_code(facts: dict[str, Any], code: dict[str, Any]) -> bool:
    """Whether the run was last written by the code that is loaded now: plug-ins, commit and version."""
    last = {"plugins": facts["plugins"], "commit": facts["commit"], "version": facts["versions"]["bandits"]}
    last |= facts.get("resumed", [{}])[-1]
    hashes = [{plugin["sha256"] for plugin in state["plugins"]} for state in (last, code)]
    return hashes[0] == hashes[1] and last["commit"] == code["commit"] and last["version"] == code["version"]


def _check_continuity(folder: RunFolder, experiment: Declaration, cells: Sequence[Cell], settings: Settings) -> None:
    """Refuse changed code if it would continue a half-finished cell with other numbers."""
    jobs = _jobs(experiment, cells, settings)
    for cell in cells:
        parts = folder.parts(cell.key)
        if not parts or not missing_ranges(cell.replications, parts):
            continue
        ends = ((parts[0], parts[0].first), (parts[-1], parts[-1].last))
        if not all(_replay(folder, jobs[cell.key], *at).same for at in ends):
            raise RunFolderError(
                f"the code has changed since {folder.place} was written, and '{cell.label}' no longer plays as in its "
                "finished replications: start a new run"
            )


def _plugin_facts() -> list[dict[str, str]]:
    return [{"path": p.path, "sha256": _digest(p.text)} for p in plugins()]


def _jobs(experiment: Declaration, cells: Sequence[Cell], settings: Settings) -> dict[str, Job]:
    return {job.key: job for stage in experiment.stages(cells, settings, None) for job in stage}


def reopen(place: str | Path, progress: Progress | None = None) -> tuple[RunFolder, dict[str, Any], Any]:
    """Open a run, load its plug-ins, and read back its declaration. A plug-in that has changed is said so.

    Raises:
        RunFolderError: There is no run, or its random streams are of another version.
        PluginError: A plug-in file is gone.
    """
    folder = RunFolder.open(place)
    facts = folder.facts()
    recorded = {plugin["path"]: plugin["sha256"] for plugin in facts["plugins"]}
    given = {Path(p.path).name: _digest(p.text) for p in plugins() if p.path not in recorded}  # moved, perhaps
    for path, digest in recorded.items():
        name = Path(path).name
        if digest not in given.values() and name not in given:
            if not Path(path).is_file():
                raise PluginError(f"the run used the plug-in {path}, which is gone: pass it with --plugin")
            load_plugin(path)
        if progress is not None and digest not in {_digest(p.text) for p in plugins()}:
            progress.say(f"the plug-in {name} has changed since the run began; finished parts stay as they are")
    try:
        experiment: Declaration = read_declaration(facts["experiment"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{place}/run.json declares no experiment: {in_one_line(error)}") from error
    if facts.get("streams") != (current := experiment.stream_version):
        raise RunFolderError(
            f"{place} was drawn with random streams of version {facts.get('streams')}, "
            f"this is version {current}: use bandits {facts.get('versions', {}).get('bandits', 'of the time')}"
        )
    return folder, facts, experiment


def _run(
    folder: RunFolder,
    facts: dict[str, Any],
    experiment: Declaration,
    cells: Sequence[Cell],
    settings: Settings,
    progress: Progress,
    batch: int | None,
) -> Run:
    begun = time.monotonic()
    facts.update(status="running", failures=[])
    before = {key: dict(spent) for key, spent in facts["timing"].items()}
    last_written = [begun]

    def note(outcome: Outcome, *, now: bool = False) -> None:
        """Keep the timing in run.json fresh, but not for every small part."""
        if now or time.monotonic() - last_written[0] > 5.0:
            facts["timing"] = _merge_timing(before, outcome)
            folder.write_facts(facts)
            last_written[0] = time.monotonic()

    outcome, waiting = Outcome(), list[str]()
    try:
        for jobs in experiment.stages(cells, settings, batch):
            before_it, failed = outcome, {failure.cell for failure in outcome.failures}
            waiting += [job.key for job in jobs if failed & set(getattr(job, "requires", ()))]
            jobs = [job for job in jobs if job.key not in waiting]
            stage = run_jobs(jobs, folder, settings, progress, lambda now: note(before_it.followed_by(now)))  # noqa: B023 - called within this turn
            outcome = outcome.followed_by(stage)
            if outcome.interrupted:
                break
    except BaseException:
        with suppress(BanditsError):
            folder.write_facts(facts | {"status": "failed"})
        raise
    finally:
        progress.close()
    facts["status"] = "interrupted" if outcome.interrupted else "failed" if outcome.failures else "complete"
    facts["failures"] = [asdict(failure) for failure in outcome.failures]
    for name, found in (("notes", outcome.notes), ("devices", outcome.devices)):
        if found:
            facts[name] = list(dict.fromkeys([*facts.get(name, ()), *found]))
    wall_s = time.monotonic() - begun
    facts.update(finished=_utc(), wall_s=wall_s, backend=outcome.backend, workers=settings.worker_count)
    note(outcome, now=True)
    return Run(folder.place, cells, outcome.failures, outcome.interrupted, wall_s, waiting)


def _merge_timing(before: dict[str, dict[str, Any]], outcome: Outcome) -> dict[str, dict[str, Any]]:
    merged = {key: dict(spent) for key, spent in before.items()}
    for key, seconds in outcome.seconds.items():
        spent = merged.setdefault(key, {"seconds": 0.0, "replications": 0})
        spent["seconds"] += seconds
        spent["replications"] += outcome.done[key]
    return merged


@dataclass(frozen=True)
class Finding:
    """What `verify` found for a cell.

    Attributes:
        cell, label: Which cell.
        replications: Replications replayed.
        differing: Those whose log differs: in any bit, or by more than the tolerance.
        missing: Replications that the run still lacks.
        tolerance: 0 where bits were compared; else the largest relative difference allowed, on another device.
        why: Why they differ, where that is known.
    """

    cell: str
    label: str
    replications: list[int]
    differing: list[int]
    missing: int
    tolerance: float = 0.0
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether every replayed replication is the same, and at least one was there."""
        return bool(self.replications) and not self.differing


def verify(
    place: str | Path,
    sample: int = 3,
    report: Callable[[Finding], None] = lambda finding: None,
    settings: Settings | None = None,
    model: str | None = None,
) -> list[Finding]:
    """Replay a sample of replications of each cell, one by one, and compare them with the log bit for bit.

    Replications of a neural run are replayed in the batches that they were run in; on another device or with another
    torch numbers are compared within a tolerance.

    Args:
        place: Run folder.
        sample: Replications per cell: the first, the last, and others evenly between.
        report: Called with each cell's finding.
        settings: The device of a neural run.
        model: Where the run's pre-trained model lies now, if that is elsewhere.
    """
    folder, _, experiment = reopen(place)
    if model is not None:
        experiment = _moved(experiment, model)
    findings = []
    cells = experiment.plan()[0]
    jobs = _jobs(experiment, cells, settings or Settings())
    for cell in cells:
        if not cell.replays:
            continue
        parts = folder.parts(cell.key)
        present = [r for part in parts for r in range(part.first, part.last + 1)]
        chosen = _spread(present, sample)
        differing, tolerance, why = [], 0.0, ""
        for r in chosen:
            part = next(part for part in parts if part.first <= r <= part.last)
            replayed = _replay(folder, jobs[cell.key], part, r)
            tolerance = max(tolerance, replayed.tolerance)
            if not replayed.same:
                differing.append(r)
                why = replayed.why or why
        missing = cell.replications - len(set(present))
        finding = Finding(cell.key, cell.label, chosen, differing, missing, tolerance, why)
        findings.append(finding)
        report(finding)
    return findings


def _replay(folder: RunFolder, job: Job, part: Part, replication: int) -> Replayed:
    """Run one replication again and say whether its log is the same."""
    try:
        return job.replay(folder.read_part(part), replication)
    except (PlayError, RunFolderError) as error:
        return Replayed(False, why=str(error))


def _spread(values: Sequence[int], count: int) -> list[int]:
    if len(values) <= count:
        return list(values)
    at = np.unique(np.linspace(0, len(values) - 1, count).round().astype(int))
    return [values[i] for i in at]


def _versions() -> dict[str, str]:
    names = ("numpy", "scipy", "numba", "pyarrow", "pandas", "ray")
    return {"bandits": __version__, "python": platform.python_version()} | {n: metadata.version(n) for n in names}


def _machine() -> dict[str, Any]:
    import os

    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": sys.implementation.name,
    }


def _commit() -> str | None:
    """Commit of the checkout that bandits runs from, with a mark if it has changes; None elsewhere."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def facts_as_json(run: Run) -> str:
    """The one object that ``bandits run --json`` ends with."""
    cells = [{"cell": cell.key, **cell.names} for cell in run.cells]
    failures = [asdict(failure) | {"message": str(failure)} for failure in run.failures]
    return json.dumps({"run": run.place, "cells": cells, "failures": failures, "wall_s": round(run.wall_s, 3)})
