"""Which size of a neural experiment runs where: full size on a GPU, smoke size on a CPU, unless the user says else."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import BadParameter, UsageError
from ..scheduler import Settings
from .devices import device_for
from .trials import NeuralExperiment

__all__ = ["sized"]


def sized(
    experiment: NeuralExperiment,
    settings: Settings,
    *,
    smoke: bool = False,
    full: bool = False,
    pick: Callable[[NeuralExperiment], NeuralExperiment] = lambda declared: declared,
) -> tuple[NeuralExperiment, str | None]:
    """The experiment at the size that fits the device, and a line that says so where it is not what was asked for.

    Trials that want no GPU run at full size everywhere. ``pick`` selects trials, of either size: what the smoke size
    says of a trial that is not selected does not matter.

    Raises:
        UsageError: The full size is asked for on a GPU, and there is none.
    """
    if smoke and full:
        raise BadParameter("--smoke and --full both say which size to run: give one of them")
    wanted = max(cell.gpus for cell in pick(experiment).cells())
    on_cpu = wanted > 0 and device_for(settings, wanted) == "cpu"
    lacks = on_cpu and settings.device != "cpu"
    if full and lacks and settings.device == "cuda":
        raise UsageError(f"no GPU is visible: --device cpu --full runs '{experiment.name}' at full size on the CPU")
    small = smoke or (on_cpu and not full)
    chosen = pick(experiment.smoked() if small else experiment)
    if not on_cpu:
        return chosen, None
    size = "at its smoke size" if small else "at full size"
    remedy = "" if smoke or full else " (--full for the full size)"
    reason = "no GPU is visible: " if lacks else ""
    return chosen, f"{reason}{experiment.name} runs on the CPU {size}{remedy}"
