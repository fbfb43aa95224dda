"""Neural experiments as data: which trials to run, with how many seeds. Nothing here needs torch.

    NeuralExperiment(
        name="gaussian_ddim",
        trials=[trial("gaussian_ddim", steps=50), trial("gaussian_ddim", steps=200)],
        replications=64, seed=1,
        smoke={"replications": 8, "*.steps": 10},
    )

A *trial* is a registered class with parameters, as agents and environments are; it runs a batch of replications at
once and logs metrics. A replication is a seed: what it gives depends on nothing but (seed, replication, parameters).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from ..errors import BadParameter, BanditsError, did_you_mean, in_one_line
from ..experiment import MAX_REPLICATIONS, declared, whole
from ..registry import lookup
from ..specs import Spec, written
from . import NOISE_VERSION, checks
from .recipe_settings import changed, settings_of
from .statements import statements

if TYPE_CHECKING:
    import pyarrow as pa

    from ..protocol import Job
    from ..scheduler import Settings
    from .batch import Batch

__all__ = ["NeuralExperiment", "Training", "TrainingCell", "Trial", "TrialCell", "trial"]


class Trial(Protocol):
    """Runs a batch of replications of a neural model. Constructed as ``cls(*, parameters...)``.

    The constructor checks its parameters and builds nothing: torch is imported in `run`. A registered class may have,
    as attributes of the class:

    - ``gpus``: share of a GPU that a worker takes, such as 0.25; without it the trial runs on the CPU.
    - ``at_once``: replications that run as one batch, 64 without it. On out of memory a batch is halved.
    - ``pilot``: parameters of a shorter trial by which cost is measured, such as ``{"steps": 10}``; cost is taken to
      be proportional to each of them. Without it nothing is measured, and a replication is taken for a second.

    - ``larger_is_better`` and ``smaller_is_better``: metrics of which more, or less, is better. ``psnr``, ``ssim`` and
      ``accuracy`` need not be named; of metrics that nobody names, no trial is called better than another.
    - ``counts``: metrics that count work, such as calls of a network. They are printed, and never tested.
    - ``pooled``: parameters that only choose among networks, such as ``("model_seed",)``. Trials that differ in nothing
      else are one *arm*, and networks a source of error.
    - ``task``: parameters that say what is asked, such as ``("operator",)``. Only arms of one task are compared.

    as attributes of the class, or properties of it where they depend on parameters:

    - ``items``: replication r is about item r mod ``items``, such as a test image. Without it each replication is about
      one of its own; intervals are over items (`bandits.crossed`).
    - ``networks``: replication r uses network r mod ``networks``, where one trial has several.
    - ``control``: whether the trial is there as a bound or a floor and not as a contender; figures mark it.

    - ``where``: parameters that say where something lies, each with the parameter that says what it is, such as
      ``{"model": "weights"}``: where the latter is given, the former is no part of a cell's key.

    and the methods ``needs() -> Sequence[Training]``, the trained models that `run` will ask for, which are trained
    before, as jobs of their own; and ``check() -> None``, which raises a ``UsageError`` where something outside is not
    as the trial needs it, such as a folder of weights: it is called before anything runs, in the process that starts.
    """

    def run(self, batch: Batch) -> None:
        """Run the replications of the batch, and log metrics with ``batch.log``."""


def trial(name: str, **parameters: Any) -> Spec:
    """Declare a trial: ``trial("psld", operator="box")``."""
    return Spec("trial", name, parameters)


@dataclass(frozen=True)
class Training:
    """A model to train: a recipe of `bandits.neural.recipes`, a seed, and changes to the recipe's settings.

    Attributes:
        recipe: Name of the recipe.
        seed: Seed of the data order, the initial weights and the noise.
        settings: Settings that differ from the recipe's, such as ``{"steps": 200}``.
    """

    recipe: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What a person calls it."""
        inside = "".join(f", {name}={value}" for name, value in self.settings.items())
        return f"train {self.recipe}(seed={self.seed}{inside})"

    @property
    def parameters(self) -> dict[str, Any]:
        """Seed and settings as plain data."""
        return {"seed": self.seed, **written(self.settings)}


@dataclass(frozen=True)
class TrainingCell:
    """The training of a model that trials of an experiment need; it has one replication, and its log is the curve.

    Attributes:
        training: What to train.
    """

    training: Training
    seed: int = 0
    replications: ClassVar[int] = 1
    replays: ClassVar[bool] = False

    def checked(self) -> TrainingCell:
        """The same, if there is such a recipe with such settings.

        Raises:
            UsageError: There is none, or the seed is none.
        """
        if not isinstance(self.training, Training):
            raise BadParameter(
                f"what needs() returns must be a list of Training(recipe, seed, settings), got {self.training!r}"
            )
        checks.seed("the seed of a training", self.training.seed)
        changed(self.training.recipe, settings_of(self.training.recipe), self.training.settings)
        return self

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.training.label

    @property
    def names(self) -> dict[str, str]:
        """Label of the training."""
        return {"training": self.training.label}

    @cached_property
    def key(self) -> str:
        """Hash of what the cell is."""
        return key_of({"training": self.training.recipe, "parameters": self.training.parameters})


@dataclass(frozen=True)
class TrialCell:
    """One trial of an experiment: the unit of comparison.

    Attributes:
        trial: Trial with its parameters.
        seed: Seed of all randomness.
        replications: Number of replications R. Not part of the key: a longer run continues a shorter one.
        keep: Replications below this number have their tensors kept.
        reference: Whether the others of its task are compared with it. No part of the key.
    """

    trial: Spec
    seed: int
    replications: int
    keep: int = 0
    reference: bool = False

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.trial.label

    @cached_property
    def key(self) -> str:
        """Hash of what the cell is: a letter and 15 hexadecimal digits."""
        parameters = written(self.trial.parameters)
        for place, content in getattr(lookup("trial", self.trial.name).target, "where", {}).items():
            if parameters[content]:
                del parameters[place]
        return key_of({"trial": [self.trial.name, parameters], "seed": self.seed, "noise": NOISE_VERSION})

    replays: ClassVar[bool] = True

    @property
    def names(self) -> dict[str, str]:
        """Label of the trial."""
        return {"trial": self.trial.label}

    @cached_property
    def trainings(self) -> list[TrainingCell]:
        """The models that the trial needs.

        Raises:
            UsageError: It asks for what is no training, for a recipe or a setting that there is not, or breaks.
        """
        built = self.trial.build()
        try:
            needed = [TrainingCell(training).checked() for training in built.needs()] if hasattr(built, "needs") else []
        except BanditsError as error:
            raise type(error)(f"trial {self.label} needs a model, but {error}") from error
        except (Exception, SystemExit) as error:
            raise BadParameter(f"trial {self.label}: needs() breaks: {in_one_line(error)}") from error
        return needed

    @property
    def gpus(self) -> float:
        """Share of a GPU that the trial wants."""
        return float(getattr(lookup("trial", self.trial.name).target, "gpus", 0.0))


@dataclass(frozen=True, kw_only=True)
class NeuralExperiment:
    """A declared experiment with neural models: every trial runs every replication.

    Attributes:
        name: Snake-case name; names the run folder.
        trials: Trials, from `trial`.
        replications: Number of independent replications R of each trial.
        seed: Seed of all randomness; replication r uses (seed, r).
        smoke: What the small version replaces: fields, and parameters as ``name.parameter`` or ``*.parameter``.
        keep: Tensors of replications below this number are kept for the report.
        against: Of each task one of the trials, which the others are compared with; without it every pair is.
        summary: One line that says what it shows.
        pretrained: What ``--model`` runs instead: trials with the parameters ``model`` and ``weights``, for `on`.
    """

    kind: Literal["neural"] = field(default="neural", init=False)
    name: str
    trials: Sequence[Spec]
    replications: int
    seed: int = 0
    smoke: Mapping[str, Any] = field(default_factory=dict)
    keep: int = 8
    against: Sequence[Spec] = ()
    summary: str = ""
    pretrained: NeuralExperiment | None = None

    def __post_init__(self) -> None:
        """Check what was declared and bring it into its plain form; the declaration is frozen from then on."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.name):
            raise BadParameter(f"an experiment's name is made of letters, digits, _ . and -, got {self.name!r}")
        if unknown := [name for name in self.smoke if name not in _SMOKED and "." not in name]:
            raise BadParameter(
                f"smoke may contain {', '.join(_SMOKED)} and parameters such as '*.steps'; got {unknown[0]!r}"
            )
        vars(self).update(
            trials=declared("trial", self.trials, self.name),
            replications=whole("replications", self.replications, 1, MAX_REPLICATIONS),
            seed=whole("seed", self.seed, 0, 2**64 - 1),
            keep=whole("keep", self.keep, 0, MAX_REPLICATIONS),
            against=declared("trial", self.against, self.name) if self.against else (),
        )

    def replace(self, **changes: Any) -> NeuralExperiment:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def smoked(self) -> NeuralExperiment:
        """Return the small version, by default at most 2 replications."""
        fields = {name: value for name, value in self.smoke.items() if name in _SMOKED}
        small = self.replace(**(fields or {"replications": min(2, self.replications)}))
        for target, value in self.smoke.items():
            if target not in _SMOKED:
                small = small.override(target, value)
        return small

    def override(self, target: str, value: Any) -> NeuralExperiment:
        """Return a copy where ``name.parameter`` of a trial has another value; ``*.parameter`` is all that have it.

        Raises:
            BadParameter: The target is not of that form, or names nothing in this experiment.
        """
        return self._with_values(target, [value])

    def sweep(self, target: str, values: Sequence[Any]) -> NeuralExperiment:
        """Return a copy with a trial for each value of ``name.parameter``.

        Raises:
            BadParameter: The target names nothing in this experiment, or there is no value.
        """
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise BadParameter(f"sweep of {target}: give a list of values, got {values!r}")
        return self._with_values(target, values)

    def _with_values(self, target: str, values: Sequence[Any]) -> NeuralExperiment:
        name, dot, parameter = target.partition(".")
        if not dot or not parameter.isidentifier():
            raise BadParameter(f"'{target}' is not of the form name.parameter, such as psld.steps=100")
        names = {spec.name for spec in self.trials}
        meant = {spec.name for spec in self.trials if name == spec.name or (name == "*" and _has(spec, parameter))}
        if not meant and name != "*":
            raise BadParameter(f"no trial of this experiment is called '{name}'.{did_you_mean(name, names)}")
        if not meant:
            raise BadParameter(f"no trial of this experiment has the parameter '{parameter}'")

        def changed(specs: Sequence[Spec]) -> list[Spec]:
            """With the values; those that differed in this parameter alone are one then."""
            found = (
                one
                for spec in specs
                for one in ([spec.with_parameters(**{parameter: v}) for v in values] if spec.name in meant else [spec])
            )
            return list(
                {json.dumps([one.name, written(one.parameters)], sort_keys=True): one for one in found}.values()
            )

        return self.replace(trials=changed(self.trials), against=changed(self.against) if len(values) == 1 else ())

    def on(self, model: str, weights: str) -> NeuralExperiment:
        """Return a copy whose trials use the pre-trained model at this place, with this digest.

        Raises:
            BadParameter: No trial takes one.
        """
        if not any(_has(spec, "model") and _has(spec, "weights") for spec in self.trials):
            raise BadParameter(f"no trial of '{self.name}' uses a pre-trained model")
        placed = {"model": model, "weights": weights}

        def put(specs: Sequence[Spec]) -> list[Spec]:
            return [dataclasses.replace(s, given={**s.given, **placed}) if _has(s, "model") else s for s in specs]

        small = {name: put(value) if name == "trials" else value for name, value in self.smoke.items()}
        return self.replace(trials=put(self.trials), smoke=small)

    def plan(self) -> tuple[list[TrialCell | TrainingCell], list[Any]]:
        """Build every trial once, which checks its parameters: the cells, and an empty list of pairs left out.

        What a trial needs from outside is checked, too.

        The models that trials need come first, each once.

        Raises:
            UsageError: A name or a parameter is wrong, or a trial is declared twice.
        """
        references = {TrialCell(spec, self.seed, 1).key for spec in self.against}
        cells: dict[str, TrialCell] = {}
        trainings: dict[str, TrainingCell] = {}
        for spec in self.trials:
            built = spec.build()
            if not hasattr(built, "run"):
                raise BadParameter(f"trial {spec.label} has no method run(batch)")
            if hasattr(built, "check"):
                built.check()
            statements(spec)
            cell = TrialCell(spec, self.seed, self.replications, self.keep)
            cell = dataclasses.replace(cell, reference=cell.key in references)
            trainings |= {training.key: training for training in cell.trainings}
            if cell.key in cells:
                raise BadParameter(f"{cell.label} is declared twice: remove one, or change a parameter")
            cells[cell.key] = cell
        return [*trainings.values(), *cells.values()], []

    def cells(self) -> list[TrialCell]:
        """Every trial, checked."""
        return [cell for cell in self.plan()[0] if isinstance(cell, TrialCell)]

    horizon: ClassVar[None] = None
    stream_version: ClassVar[int] = NOISE_VERSION

    def cell_table(self, cells: Sequence[TrialCell | TrainingCell]) -> pa.Table:
        """What cells.parquet says of the cells."""
        from .log import cell_table

        return cell_table(cells)

    def stages(
        self, cells: Sequence[TrialCell | TrainingCell], settings: Settings, batch: int | None = None
    ) -> list[list[Job]]:
        """A job for each cell: trainings, then trials. Models are trained on the CPU where no trial wants a GPU.

        Raises:
            UsageError: Torch, or what keeps trained weights, is not installed.
        """
        from .devices import device_for, need_packages, need_torch
        from .jobs import TrialJob
        from .training_jobs import TrainingJob

        need_torch(f"experiment '{self.name}'")
        if any(isinstance(cell, TrainingCell) for cell in cells):
            need_packages(f"experiment '{self.name}', which trains models,", "safetensors")
        trials: list[Job] = []
        most = 0.0
        for cell in cells:
            if isinstance(cell, TrialCell):
                device = device_for(settings, cell.gpus)
                share = 0.0 if device == "cpu" else settings.gpus_per_job or cell.gpus
                most = max(most, share)
                requires = tuple(training.key for training in cell.trainings)
                trials.append(TrialJob(cell, device, share, batch, requires))
        where = "cuda" if most else "cpu"
        trainings: list[Job] = [TrainingJob(cell, where, most) for cell in cells if isinstance(cell, TrainingCell)]
        return [stage for stage in (trainings, trials) if stage]

    def as_json(self) -> dict[str, Any]:
        """The declaration as resolved: plain data that `from_json` reads back."""
        return {
            "kind": self.kind,
            "name": self.name,
            "summary": self.summary,
            "trials": [spec.as_json() for spec in self.trials],
            "replications": self.replications,
            "seed": self.seed,
            "keep": self.keep,
            "against": [spec.as_json() for spec in self.against],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> NeuralExperiment:
        """Read back what `as_json` wrote."""
        fields = {name: data[name] for name in ("name", "summary", "replications", "seed", "keep")}
        trials, against = (
            [Spec.from_json("trial", spec) for spec in data.get(name, ())] for name in ("trials", "against")
        )
        return NeuralExperiment(**fields, trials=trials, against=against)

    def main(self) -> None:
        """Run from the command line, with the options of ``bandits run``: for ``if __name__ == "__main__":``."""
        from ..cli import main_of_experiment

        main_of_experiment(self)


_SMOKED = ("replications", "trials", "seed", "keep", "against")


def key_of(identity: Mapping[str, Any]) -> str:
    """Hash of plain data: a letter first, so that no reader takes it for a number."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return "c" + hashlib.sha256(text.encode()).hexdigest()[:15]


def _has(spec: Spec, parameter: str) -> bool:
    return parameter in spec.parameters
