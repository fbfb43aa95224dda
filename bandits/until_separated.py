"""Run until the agents are separated: look after R, 2R, 4R, ... replications, and stop once every pair is settled.

The family is every pair of agents on every environment of the run: the chance of any wrong claim about the whole run
is at most alpha. `bandits.sequential` has the test and its proof; run.json records the looks, so the verdicts can be
read off the log again and a run that was stopped goes on with its next look. Replications are those that a run of
fixed size would have had, to the bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .analysis import load_regret
from .answers import pair_differences
from .cells import CellFacts
from .errors import BadParameter, RunFolderError
from .experiment import Experiment
from .progress import Progress, SilentProgress
from .runs import Run, resume, start
from .scheduler import Settings
from .sequential import LEAST_REPLICATIONS, Verdict, judge, looks_up_to
from .statistics import check_level
from .store import RunFolder
from .words import count

__all__ = ["Design", "continue_until_separated", "start_until_separated"]

GROWTH = 64  # by default a run stops at 64 times its first look, whatever is separated by then


@dataclass(frozen=True)
class Design:
    """What was decided before the first look.

    Attributes:
        first: Replications at the first look, at least `LEAST_REPLICATIONS`.
        most: No look beyond this many; may be raised later.
        alpha: Bound on the probability of any wrong claim, over all pairs, environments and looks.
        margin: Differences of mean regret that count as none; 0 to go on until pairs differ.
        column: What is compared, at the horizon.
    """

    first: int
    most: int
    alpha: float = 0.05
    margin: float = 0.0
    column: str = "regret"

    def __post_init__(self) -> None:
        check_level(self.alpha, "--alpha")
        if not self.margin >= 0:
            raise BadParameter(f"--margin must not be negative, got {self.margin}")
        if self.most < self.first:
            raise BadParameter(
                f"--max-replications {self.most} is less than the {self.first} of the first look "
                f"(a run's replications, at least {LEAST_REPLICATIONS})"
            )

    @classmethod
    def of(cls, replications: int, most: int | None, alpha: float, margin: float) -> Design:
        """The design for an experiment of so many replications."""
        first = max(replications, LEAST_REPLICATIONS)
        return cls(first, first * GROWTH if most is None else most, alpha, margin)


def start_until_separated(
    experiment: Experiment,
    design: Design,
    out: str | Path | None = None,
    settings: Settings | None = None,
    progress: Callable[[], Progress] = SilentProgress,
    batch: int | None = None,
) -> Run:
    """Run an experiment, look, and go on until every pair of agents is settled or ``design.most`` would be exceeded.

    Args:
        experiment: What to run; its replications are replaced by those of the looks.
        design: When to look and what to claim.
        out: As for `bandits.runs.start`.
        settings: As for `bandits.runs.start`.
        progress: Makes what tells the user meanwhile, once for each look.
        batch: As for `bandits.runs.start`.

    Raises:
        UsageError: Something about the request is wrong; nothing was run.
    """
    _check_pairs(experiment)
    begun = time.monotonic()
    run = start(experiment.replace(replications=design.first), out, settings, progress(), batch)
    _record(run.place, design, [])
    return _go_on(run, design, settings, progress, batch, begun)


def continue_until_separated(
    place: str | Path,
    most: int | None = None,
    alpha: float | None = None,
    margin: float | None = None,
    settings: Settings | None = None,
    progress: Callable[[], Progress] = SilentProgress,
    batch: int | None = None,
) -> Run:
    """Go on with a run: with the looks of its design, or, after a run of fixed size, with R as the first look.

    Args:
        place: Run folder.
        most: No look beyond this many replications; by default what the run was started with.
        alpha: For a run of fixed size; a run that was started until separated keeps its own.
        margin: The same.
        settings: As for `start_until_separated`.
        progress: As for `start_until_separated`.
        batch: As for `start_until_separated`.

    Raises:
        UsageError: The run cannot be continued, or another alpha or margin is asked for than it was started with.
    """
    folder = RunFolder.open(place)
    facts = folder.facts()
    begun = time.monotonic()
    if known := facts.get("sequential"):
        design = Design(**{name: known[name] for name in ("first", "most", "alpha", "margin", "column")})
        for name, asked in (("alpha", alpha), ("margin", margin)):
            if asked is not None and asked != getattr(design, name):
                raise RunFolderError(
                    f"{place} was started with --{name} {getattr(design, name):g}: to change it after a look would "
                    "void the bound on its error"
                )
        design = design if most is None else replace(design, most=most)
    else:
        experiment = Experiment.from_json(facts["experiment"])
        _check_pairs(experiment)
        design = Design.of(experiment.replications, most, 0.05 if alpha is None else alpha, margin or 0.0)
    present = Experiment.from_json(facts["experiment"]).replications
    run = resume(place, settings, progress(), batch, max(design.first, present))
    _record(run.place, design, known["looks"] if known else [])
    return _go_on(run, design, settings, progress, batch, begun)


def _go_on(
    run: Run,
    design: Design,
    settings: Settings | None,
    progress: Callable[[], Progress],
    batch: int | None,
    begun: float,
) -> Run:
    made = RunFolder.open(run.place).facts()["sequential"]["looks"]
    for n in looks_up_to(design.first, max([design.most, *made])):
        if n in made[:-1]:
            continue
        if n not in made:
            if run.failures or run.interrupted:
                break
            present = max(cell.replications for cell in run.cells)
            if n > present:
                run = resume(run.place, settings, progress(), batch, n)
                if run.failures or run.interrupted:
                    break
            made = [*made, n]
            _record(run.place, design, made)
        pairs, verdicts = _look(run.place, design, made)
        speak = progress()
        speak.say(_line(n, pairs, verdicts))
        speak.close()
        if all(verdict.state != "open" for verdict in verdicts):
            break
    return replace(run, wall_s=time.monotonic() - begun)


def _look(place: str, design: Design, looks: Sequence[int]) -> tuple[list[tuple[CellFacts, CellFacts]], list[Verdict]]:
    pairs, differences = pair_differences(load_regret(place), design.column, looks[-1])
    return pairs, judge(differences, looks, design.alpha, design.margin)


def _line(n: int, pairs: Sequence[tuple[CellFacts, CellFacts]], verdicts: Sequence[Verdict]) -> str:
    settled = sum(verdict.state != "open" for verdict in verdicts)
    left = [f"{a.agent} and {b.agent}" for (a, b), v in zip(pairs, verdicts, strict=True) if v.state == "open"]
    more = f"; open: {', '.join(left[:3])}{f' and {len(left) - 3} more' if len(left) > 3 else ''}" if left else ""
    return f"look at {count(n, 'replication')}: {settled} of {count(len(verdicts), 'pair')} settled{more}"


def _check_pairs(experiment: Experiment) -> None:
    groups: dict[str, int] = {}
    for cell in experiment.cells():
        groups[cell.environment.full_label] = groups.get(cell.environment.full_label, 0) + 1
    if max(groups.values()) < 2:
        raise BadParameter("--until-separated compares agents: no environment of this experiment has two of them")


def _record(place: str, design: Design, looks: Sequence[int]) -> None:
    folder = RunFolder.open(place)
    facts: dict[str, Any] = folder.facts()
    folder.write_facts(facts | {"sequential": asdict(design) | {"looks": list(looks)}})
