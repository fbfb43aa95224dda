"""Trial: LoRA-ML and its controls on linear tasks that share a matrix (the paper's synthetic linear study)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

from bandits import register_trial
from bandits.neural import checks

if TYPE_CHECKING:
    from torch import Tensor

    from bandits.neural.batch import Batch

    from .linear_tasks import Statistics

_METHODS = ("lora_ml", "standard_retraining", "least_squares")


@register_trial("meta_lora_linear", source="Meta-Learning Adaptable Foundation Models, linear study; released code")
class MetaLoraLinear:
    """Retrains on T linear tasks, fine-tunes on a new one and logs |A + U V^T - A* - U* U*^T|^2 along the way.

    Adapters of the new task have rank k, or 3k where there are two tasks, as in the released code: two tasks leave the
    base undetermined. At that rank standard retraining is as good as LoRA-ML, so that two tasks show no benefit.

    Args:
        method: "lora_ml"; "standard_retraining", one matrix for all tasks; or "least_squares", a full matrix from the
            new task's samples alone.
        d: Dimension.
        k: Rank of each task's own part.
        tasks: T.
        samples: Samples of each of these tasks.
        new_samples: Samples of the new task.
        noise_std: Standard deviation of the noise.
        outer: Steps of the base in LoRA-ML, with 10 of the adapters before each.
        restarts: Starts of LoRA-ML, of which the one of least loss is kept.
        steps: Steps of fine-tuning.
    """

    at_once: ClassVar = 64
    task: ClassVar = ("d", "k", "tasks", "samples", "new_samples", "noise_std")

    def __init__(
        self,
        *,
        method: str = "lora_ml",
        d: int = 10,
        k: int = 1,
        tasks: int = 3,
        samples: int = 5000,
        new_samples: int = 100,
        noise_std: float = 0.1,
        outer: int = 3000,
        restarts: int = 1,
        steps: int = 3000,
    ) -> None:
        checks.choice("method", method, _METHODS)
        checks.at_least("d", d, 1)
        checks.at_least("tasks", tasks, 1, "retraining needs a task")
        checks.rank(k, d, d, field="k")
        checks.rank((3 if tasks == 2 else 1) * k, d, d, field="the rank of the new task's adapter")
        checks.at_least("samples", samples, d, "a matrix has as many columns")
        checks.at_least("new_samples", new_samples, d, "a matrix has as many columns")
        checks.not_negative("noise_std", noise_std, checks.HUGE)
        for field, count in {"outer": outer, "restarts": restarts, "steps": steps}.items():
            checks.at_least(field, count, 1)
        self.method, self.d, self.k, self.tasks = method, d, k, tasks
        self.samples, self.new_samples, self.noise_std = samples, new_samples, noise_std
        self.outer, self.restarts, self.steps = outer, restarts, steps

    def run(self, batch: Batch) -> None:
        """Log ``test_error`` by step of fine-tuning, and ``base_error`` |A - A*|_F of what was retrained."""
        import torch

        from .linear_lora_ml import fine_tune, fine_tuning_rank, least_squares
        from .linear_tasks import draw_tasks, observe

        def noise(stream: str) -> Noise:
            return batch.noise(stream, dtype=torch.float64)

        if TYPE_CHECKING:
            from bandits.neural.noise import Noise

        truth = draw_tasks(noise("tasks"), d=self.d, k=self.k, tasks=self.tasks)
        targets = truth.targets
        new = observe(noise("new task"), targets[:, -1], samples=self.new_samples, noise_std=self.noise_std)

        def log(step: int, M: Tensor) -> None:
            batch.log(step, "test_error", (M - targets[:, -1]).square().sum((1, 2)))

        if self.method == "least_squares":
            log(self.steps, least_squares(new))
            return
        data = observe(noise("data"), targets[:, :-1], samples=self.samples, noise_std=self.noise_std)
        A = self._retrained(data, batch)
        batch.log(0, "base_error", (A - truth.A).square().sum((1, 2)).sqrt())
        rank = fine_tuning_rank(k=self.k, tasks=self.tasks)
        record = sorted({0, *(self.steps * i // 20 for i in range(1, 21))})
        _, path = fine_tune(A, new, noise("fine-tuning"), rank=rank, steps=self.steps, record=record)
        for step, M in path.items():
            log(step, M)

    def _retrained(self, data: Statistics, batch: Batch) -> Tensor:
        """The base, (B, d, d)."""
        from .linear_lora_ml import lora_ml, standard_retraining

        if self.method == "standard_retraining":
            return standard_retraining(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what the theory does not promise, this trial may show
            noise = batch.noise("adapters", dtype=data.C.dtype)
            return lora_ml(data, noise, k=self.k, outer=self.outer, restarts=self.restarts).A
