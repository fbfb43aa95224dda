"""What a trial is given to run: some replications at once, their noise, a device, models, and a place to log."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import BadParameter
from ..protocol import FloatArray
from .errors import ShapeError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .cache import ModelCache
    from .noise import Noise
    from .stable_diffusion import StableDiffusion

__all__ = ["Batch"]

T = TypeVar("T")

_digests: dict[Hashable, str] = {}  # of the trained models that this process has loaded


class Batch:
    """Replications that run at once; B of them, always the first axis.

    Args:
        seed: Seed of the experiment.
        replications: Numbers of the replications, increasing.
        device: Where to compute.
        models: Cache of this process.

    Attributes:
        seed, replications, device: As given.
        rows, tensors, weights: What was logged, kept, and which trained models were used.
    """

    def __init__(
        self, seed: int, replications: Sequence[int], device: torch.device, models: ModelCache | None = None
    ) -> None:
        self.seed, self.replications, self.device = seed, tuple(replications), device
        self._models = models
        self.rows: list[tuple[int, str, FloatArray]] = []
        self._logged: set[tuple[int, str]] = set()
        self.tensors: dict[str, NDArray[Any]] = {}
        self.weights: list[str] = []

    @property
    def size(self) -> int:
        """Number of replications B."""
        return len(self.replications)

    def noise(self, *salt: int | str, dtype: torch.dtype | None = None) -> Noise:
        """Random numbers, one stream per replication; another salt is another stream: ``batch.noise("data")``.

        They are float32 unless ``dtype`` says else.
        """
        import torch

        from .noise import Noise

        return Noise(self.seed, self.replications, self.device, dtype or torch.float32, salt)

    def model(self, key: Hashable, load: Callable[[], T]) -> T:
        """The model of that key on this device, loaded once per process while there is room.

        What ``load`` draws from torch's own generator is the same in every process.
        """
        if self._models is None:
            from .cache import ModelCache

            self._models = ModelCache(limit=2**30)
        return self._models.get(key, load, self.device)

    def trained(self, recipe: str, seed: int = 0, *, dtype: torch.dtype | None = None, **settings: Any) -> Any:
        """The trained model of a recipe of `bandits.neural.recipes` on this device.

        It comes from the cache of weights, or is trained now. A trial that says so in ``needs`` finds it there.

        Weights are float32 unless ``dtype`` says else. Guided samplers amplify rounding, which differs with the size of
        a batch and with the device: with float64 what comes of it stays far below 1e-5.
        """
        from .recipes import trained

        key = ("trained", recipe, seed, dtype, tuple(sorted(settings.items())))

        def load() -> Any:
            found = trained(recipe, seed, self.device, **settings)
            _digests[key] = f"{recipe}-{found.key}: {found.facts['digest']}"
            return found.model if dtype is None else found.model.to(dtype)

        model = self.model(key, load)
        self.weights.append(_digests[key])
        return model

    def pretrained(
        self, model: str, weights: str = "", *, dtype: str = "float32", checkpointing: bool = False
    ) -> StableDiffusion:
        """The pre-trained pipeline at a place, on this device; see `bandits.neural.stable_diffusion.load`.

        Args:
            model: Folder, or name in the local cache of the hub.
            weights: Digest that it must have; any will do where it is empty.
            dtype: "float32", "bfloat16" or "float64".
            checkpointing: Trade time for memory in gradients.

        Raises:
            WeightsNotFound: There is no pipeline, or one with another digest.
        """
        import torch

        from .pretrained import expect
        from .stable_diffusion import load

        key = ("pretrained", model, weights, dtype, checkpointing)
        found = self.model(
            key, lambda: load(model, device=self.device, dtype=getattr(torch, dtype), checkpointing=checkpointing)
        )
        expect(model, found.digest, weights)
        self.weights.append(f"pipeline: {found.digest}")
        return found

    def log(self, step: int, metric: str, values: Tensor | FloatArray | float) -> None:
        """Log one number per replication, (B,), or one number that holds for all.

        Raises:
            ShapeError: There is not one number for each replication.
            BadParameter: The metric has been logged at that step: a replication would count twice.
        """
        found = _array(values).astype(np.float64)
        if found.shape not in ((), (self.size,)):
            raise ShapeError(f"metric '{metric}' has shape {found.shape}, expected one number each, ({self.size},)")
        if (int(step), str(metric)) in self._logged:
            raise BadParameter(f"metric '{metric}' is logged twice at step {step}: once for each replication and step")
        self._logged.add((int(step), str(metric)))
        self.rows.append((int(step), str(metric), np.broadcast_to(found, (self.size,)).copy()))

    def keep(self, name: str, tensor: Tensor | FloatArray) -> None:
        """Keep a tensor (B, ...) of the first replications for the report: an image, a series.

        Raises:
            ShapeError: Its first axis is not the batch.
        """
        found = _array(tensor)
        if found.shape[:1] != (self.size,):
            raise ShapeError(f"tensor '{name}' has shape {found.shape}, expected ({self.size}, ...)")
        self.tensors[str(name)] = found


def _array(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a tensor: half precision has no counterpart in NumPy
        values = values.detach().to(device="cpu")
        return np.asarray(
            (values.float() if values.element_size() < 4 and values.is_floating_point() else values).numpy()
        )
    return np.asarray(values)
