"""What is known of cells without reading their logs: the rows of cells.parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from .errors import BadParameter, did_you_mean, in_one_line
from .protocol import Bound, IntArray
from .registry import lookup
from .specs import written
from .streams import Streams

if TYPE_CHECKING:
    from .experiment import Cell
    from .specs import Spec

__all__ = ["CellFacts", "cell_table", "choose", "read_facts", "told_apart", "varied"]


@dataclass(frozen=True)
class CellFacts:
    """What is known of a cell without reading its log: one row of cells.parquet.

    Attributes:
        cell: Key.
        environment, agent: Labels.
        environment_name, agent_name: Registered names.
        horizon: Number of rounds T.
        checkpoints: Rounds recorded, (C,).
        replications: Number asked for.
        bound: Lower bound; None where none is known or each replication has its own instance.
        more_bounds: Bounds beside it, that hold for some agents only.
        n_learners: Learners of a population; None where one plays alone.
        learners: Log rows for each (replication, t): the learners of a population that was logged apart, else 1.
        seconds: Core seconds per replication; NaN if unknown.
        seed, streams: Seed of all randomness, as text (it has 64 bits), and version of the random streams.
        environment_parameters, agent_parameters: Every parameter, as plain data.
        run: Run folder; empty for a log in memory.
        shares_outside_network: Whether learners tell each other what the network does not count; None where one plays
            alone, and in runs that do not say.
    """

    cell: str
    environment: str
    agent: str
    environment_name: str
    agent_name: str
    horizon: int
    checkpoints: IntArray
    replications: int
    bound: Bound | None
    seconds: float = float("nan")
    more_bounds: tuple[Bound, ...] = ()
    n_learners: int | None = None
    learners: int = 1
    seed: str = ""
    environment_parameters: Mapping[str, Any] = field(default_factory=dict)
    agent_parameters: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    streams: int = 0
    shares_outside_network: bool | None = None

    @property
    def noise(self) -> str:
        """Cells of one noise on one environment share it, replication by replication."""
        return f"{self.seed} ({self.streams})"

    @property
    def environment_identity(self) -> tuple[str, str]:
        """What the environment is, whatever it is called: cells of one identity and seed play the same instance."""
        return self.environment_name, json.dumps(self.environment_parameters, sort_keys=True)

    def checkpoint(self, at: int | None) -> int:
        """The round asked for, by default the horizon.

        Raises:
            BadParameter: It was not recorded.
        """
        t = self.horizon if at is None else at
        if t not in self.checkpoints:
            nearest = int(self.checkpoints[np.argmin(np.abs(self.checkpoints - t))])
            raise BadParameter(f"round {t} was not recorded; the nearest checkpoint is {nearest}")
        return t


def cell_table(cells: Sequence[Cell]) -> pa.Table:
    """Describe cells for cells.parquet; the bound is taken from a built environment."""
    environments = _labels([cell.environment for cell in cells])
    agents = _labels([cell.agent for cell in cells])
    rows = []
    for cell, environment, agent in zip(cells, environments, agents, strict=True):
        env = cell.build_environment(Streams(cell.seed, 2))
        try:
            bound = env.bound() if hasattr(env, "bound") else None
        except Exception as error:
            raise BadParameter(f"environment {environment}: bound() raised {in_one_line(error)}") from error
        if not isinstance(bound, Bound | None):
            raise BadParameter(f"environment {environment}: bound() must return a Bound or None, got {bound!r}")
        if bound and bound.allocation is not None and np.shape(bound.allocation) != (env.problem.n_arms,):
            raise BadParameter(
                f"environment {environment}: the bound's allocation has shape {np.shape(bound.allocation)}, "
                f"expected ({env.problem.n_arms},): plays per ln t of each arm"
            )
        if bound is not None and bound.constants.ndim > 1:
            bound = None  # every replication has an instance, and so a bound, of its own
        rows.append(
            {
                "cell": cell.key,
                "environment": environment,
                "agent": agent,
                "environment_name": cell.environment.name,
                "environment_parameters": json.dumps(written(cell.environment.parameters)),
                "agent_name": cell.agent.name,
                "agent_parameters": json.dumps(written(cell.agent.parameters)),
                "n_arms": env.problem.n_arms,
                "horizon": cell.horizon,
                "replications": cell.replications,
                "seed": str(cell.seed),
                "bound_name": bound.name if bound else None,
                "bound_constants": bound.constants.tolist() if bound else None,
                "bound_starts": list(bound.starts) if bound else None,
                "more_bounds": json.dumps([_written_bound(more) for more in env.more_bounds()])
                if hasattr(env, "more_bounds")
                else None,
                "n_learners": env.problem.n_learners,
                "learners": env.problem.n_learners if "learners" in cell.extras else None,
                "shares_outside_network": None
                if env.problem.n_learners is None
                else bool(getattr(lookup("agent", cell.agent.name).target, "shares_outside_network", False)),
                "bound_allocation": None if bound is None or bound.allocation is None else list(bound.allocation),
                "checkpoints": list(cell.checkpoints),
            }
        )
    return pa.Table.from_pylist(rows, schema=_CELLS)


def _written_bound(bound: Bound) -> dict[str, Any]:
    return {"name": bound.name, "constants": bound.constants.tolist(), "starts": list(bound.starts)}


def _labels(specs: Sequence[Spec]) -> list[str]:
    """A label for each; where the short ones would not tell two apart, all of them in full."""
    distinct = {(spec.name, json.dumps(spec.parameters)): spec for spec in specs}
    short = len({spec.label for spec in distinct.values()}) == len(distinct)
    return [spec.label if short else spec.full_label for spec in specs]


_CELLS = pa.schema(
    [
        ("cell", pa.string()),
        ("environment", pa.string()),
        ("agent", pa.string()),
        ("environment_name", pa.string()),
        ("environment_parameters", pa.string()),
        ("agent_name", pa.string()),
        ("agent_parameters", pa.string()),
        ("n_arms", pa.int64()),
        ("horizon", pa.int64()),
        ("replications", pa.int64()),
        ("seed", pa.string()),
        ("bound_name", pa.string()),
        ("bound_constants", pa.list_(pa.float64())),
        ("bound_starts", pa.list_(pa.int64())),
        ("more_bounds", pa.string()),
        ("n_learners", pa.int64()),
        ("learners", pa.int64()),
        ("shares_outside_network", pa.bool_()),
        ("bound_allocation", pa.list_(pa.float64())),
        ("checkpoints", pa.list_(pa.int64())),
    ]
)


def read_facts(table: pa.Table, timing: Mapping[str, Any], run: str = "", streams: int = 0) -> list[CellFacts]:
    """Facts of each row of cells.parquet, with the timing and the version of the random streams from run.json."""
    facts = []
    for row in table.to_pylist():
        bound = None
        if row["bound_constants"] is not None:
            allocation = row.get("bound_allocation")  # older runs have no such column
            bound = Bound(
                row["bound_name"],
                np.array(row["bound_constants"]),
                tuple(row["bound_starts"]),
                None if allocation is None else np.array(allocation),
            )
        spent = timing.get(row["cell"], {})
        rate = spent["seconds"] / spent["replications"] if spent.get("replications") else float("nan")
        facts.append(
            CellFacts(
                cell=row["cell"],
                environment=row["environment"],
                agent=row["agent"],
                environment_name=row["environment_name"],
                agent_name=row["agent_name"],
                horizon=row["horizon"],
                checkpoints=np.array(row["checkpoints"], dtype=np.int64),
                replications=row["replications"],
                bound=bound,
                seconds=rate,
                more_bounds=tuple(
                    Bound(more["name"], np.array(more["constants"]), tuple(more["starts"]))
                    for more in json.loads(row.get("more_bounds") or "[]")
                ),
                n_learners=row.get("n_learners"),
                learners=row.get("learners") or 1,
                seed=row["seed"],
                environment_parameters=json.loads(row["environment_parameters"]),
                agent_parameters=json.loads(row["agent_parameters"]),
                run=run,
                streams=streams,
                shares_outside_network=row.get("shares_outside_network"),  # older runs have no such column
            )
        )
    return facts


def choose(
    cells: Sequence[CellFacts], agents: Sequence[str] | None = None, environments: Sequence[str] | None = None
) -> list[CellFacts]:
    """Cells of the agents and environments asked for, by default all.

    Each is called by its label, by what stands there before ":" or "(", or by its registered name.

    Raises:
        BadParameter: There is none of that name.
    """
    chosen = list(cells)
    for kind, asked in (("agent", agents), ("environment", environments)):
        if asked is None:
            continue
        known: set[str] = set().union(*(_names(facts, kind) for facts in cells))
        for name in asked:
            if name not in known:
                there = ", ".join(dict.fromkeys(getattr(facts, kind) for facts in cells))
                remedy = did_you_mean(name, known) or f" There are: {there}."
                raise BadParameter(f"no {kind} of this run is called '{name}'.{remedy}")
        chosen = [facts for facts in chosen if _names(facts, kind) & set(asked)]
    return chosen


def _names(facts: CellFacts, kind: str) -> set[str]:
    label = getattr(facts, kind)
    return {label, re.split("[:(]", label)[0].strip(), getattr(facts, f"{kind}_name")}


def told_apart(cells: Iterable[CellFacts]) -> list[CellFacts]:
    """Cells of several runs, each once, with labels that tell them apart.

    What is the same environment gets one label, the first run's; what only looks alike gets its run's name added.
    Cells of one agent on one environment that differ in seed, horizon or run say so.
    """
    once: dict[str, CellFacts] = {}
    first: dict[tuple[str, str], CellFacts] = {}
    for facts in cells:
        once.setdefault(facts.cell, facts)
        first.setdefault(facts.environment_identity, facts)
    shared = [facts.environment for facts in first.values()]
    names = {
        identity: facts.environment if shared.count(facts.environment) == 1 else _tagged(facts.environment, _run(facts))
        for identity, facts in first.items()
    }
    named = [replace(facts, environment=names[facts.environment_identity]) for facts in once.values()]
    alike: dict[tuple[str, str], list[CellFacts]] = {}
    for facts in named:
        alike.setdefault((facts.environment, facts.agent), []).append(facts)
    return [_named_among(facts, alike[facts.environment, facts.agent]) for facts in named]


def _named_among(facts: CellFacts, alike: Sequence[CellFacts]) -> CellFacts:
    tags: list[Callable[[CellFacts], str]] = [
        lambda f: f"seed {f.seed}",
        lambda f: f"T = {f.horizon:,}",
        _run,
        lambda f: f.run,
    ]
    for tag in tags if len(alike) > 1 else ():
        if len({tag(other) for other in alike}) == len(alike):
            return replace(facts, agent=_tagged(facts.agent, tag(facts)))
    return facts if len(alike) == 1 else replace(facts, agent=_tagged(facts.agent, facts.cell))


def _tagged(label: str, tag: str) -> str:
    return f"{label} ({tag})"


def _run(facts: CellFacts) -> str:
    return facts.run.rstrip("/").rpartition("/")[2]


def varied(cells: Sequence[CellFacts]) -> dict[str, list[Any]]:
    """Parameters that differ between cells, such as ``environment.gap`` and ``agent.c``: the value of each cell.

    None where a cell's environment or agent has no such parameter. It is what ``Experiment.sweep`` varied, and
    whatever else differs.
    """
    found: dict[str, list[Any]] = {}
    for kind in ("environment", "agent"):
        parameters = [getattr(facts, f"{kind}_parameters") for facts in cells]
        for name in dict.fromkeys(name for given in parameters for name in given):
            if len({json.dumps(given[name]) for given in parameters if name in given}) > 1:
                found[f"{kind}.{name}"] = [given.get(name) for given in parameters]
    return found
