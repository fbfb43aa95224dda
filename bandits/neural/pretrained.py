"""Pre-trained pipelines for experiments: found, looked at and pinned by their digest before anything runs.

What a run depends on is the digest of a pipeline, a hash of its weights and settings; the folder is only where it lies.
A run may go on elsewhere with a copy in another folder, and another model in the same folder is noticed.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadParameter
from ..registry import entries
from .devices import device_for, need_packages
from .errors import AdapterError, WeightsNotFound
from .trials import NeuralExperiment

if TYPE_CHECKING:
    from ..scheduler import Settings

__all__ = ["Pipeline", "examine", "expect", "moved", "remark", "with_model"]

LARGE = 256  # pixels on a side from which a CPU takes long


@dataclass(frozen=True)
class Pipeline:
    """What is known of a pipeline that was looked at.

    Attributes:
        digest: Hash of its weights and settings.
        side: Pixels on a side of the images that it was made for.
        reduction: Pixels of an image on each place of the latents, on a side.
        indices: Number of indices of its noise schedule.
    """

    digest: str
    side: int
    reduction: int
    indices: int

    def side_of(self, size: int) -> int:
        """Side of images of the size asked for; 0 asks for the pipeline's own.

        Raises:
            AdapterError: Its latents cannot have that size.
        """
        if size % self.reduction:
            raise AdapterError(f"size must be a multiple of {self.reduction}, as the pipeline's VAE has it, got {size}")
        return size or self.side


_examined: dict[tuple[Any, ...], Pipeline] = {}


def examine(model: str) -> Pipeline:
    """Load a pipeline on the CPU and try its prompt; once per process, as long as its files stay as they are.

    Raises:
        UsageError: A package is not installed.
        WeightsNotFound: There is no pipeline at that place. No download is tried.
        AdapterError: The pipeline is there and cannot be used.
    """
    need_packages("a pre-trained pipeline", "torch", "diffusers", "transformers")
    from .stable_diffusion import load, locate

    folder = locate(model)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [(str(path), path.stat()) for path in files]
    state = tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)
    if state not in _examined:
        adapter = load(model)
        adapter.prompt("")
        _examined[state] = Pipeline(adapter.digest, adapter.image_shape[-1], adapter.reduction, len(adapter.schedule))
        del adapter
        gc.collect()  # gigabytes, in cycles
    return _examined[state]


def expect(model: str, found: str, weights: str) -> None:
    """Refuse a pipeline with another digest than the one that is meant; an empty one means any.

    Raises:
        WeightsNotFound: With both.
    """
    if weights and found != weights:
        raise WeightsNotFound(
            f"the pipeline at '{model}' is another than the run's: its digest is {found}, expected {weights}; give the "
            "folder of the run's own with --model, or start a new run"
        )


def with_model(declared: NeuralExperiment, model: str) -> NeuralExperiment:
    """What an experiment does on a pre-trained pipeline, pinned by its digest.

    Raises:
        BadParameter: The experiment has no trials for one, or the pipeline cannot be used.
    """
    if declared.pretrained is None:
        having = [e.name for e in entries("experiment") if getattr(e.target, "pretrained", None) is not None]
        raise BadParameter(
            f"'{declared.name}' has no trials for a pre-trained model: --model belongs to {', '.join(sorted(having))}"
        )
    return declared.pretrained.on(place_of(model), examine(model).digest)


def place_of(model: str) -> str:
    """A folder by its full path, so that workers find it from wherever they are; a hub name as it is."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else model


def moved(declared: NeuralExperiment, model: str) -> NeuralExperiment:
    """The same experiment where the pipeline lies in another place; it must be the same pipeline.

    Raises:
        BadParameter: No trial uses a pipeline.
        WeightsNotFound: It is another one.
    """
    used = [spec.parameters for spec in declared.trials]
    weights = next((str(one["weights"]) for one in used if one.get("weights")), "")
    placed = declared.on(place_of(model), weights)
    expect(model, examine(model).digest, weights)
    return placed


def remark(declared: NeuralExperiment, settings: Settings) -> str | None:
    """A line for those who run a large pipeline without a GPU."""
    used = [spec.parameters for spec in declared.trials if {"model", "size"} <= set(spec.parameters)]
    side = max((examine(one["model"]).side_of(one["size"]) for one in used), default=0)
    if side < LARGE or device_for(settings, 1.0) != "cpu":
        return None
    return (
        f"images of {side} pixels on the CPU: a real pipeline takes long for every step; --set '*.size={side // 2}', "
        "fewer --replications or '*.steps' make it less"
    )
