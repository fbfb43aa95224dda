"""Trial: LoRA-ML and its controls on shallow networks (the paper's synthetic shallow study)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bandits import register_trial
from bandits.neural import checks

if TYPE_CHECKING:
    from bandits.neural.batch import Batch
    from bandits.neural.noise import Noise

_METHODS = ("lora_ml", "standard_retraining", "random_base")


@register_trial("meta_lora_shallow", source="Meta-Learning Adaptable Foundation Models, shallow study; released code")
class MetaLoraShallow:
    """Retrains c^T sigmoid(A x) on T tasks, fine-tunes on a new one and logs its mean squared error on new samples.

    Args:
        method: "lora_ml", "standard_retraining", or "random_base": no retraining at all.
        d: Dimension.
        k: Rank of each task's own part.
        tasks: T. After two tasks the adapter of the new one has rank 3k, else k.
        samples: Samples of each of these tasks.
        new_samples: Samples of the new task.
        noise_std: Standard deviation of the noise.
        epochs: Steps of retraining.
        steps: Steps of fine-tuning.
    """

    gpus: ClassVar = 0.25
    at_once: ClassVar = 16
    task: ClassVar = ("d", "k", "tasks", "samples", "new_samples", "noise_std")

    def __init__(
        self,
        *,
        method: str = "lora_ml",
        d: int = 10,
        k: int = 1,
        tasks: int = 3,
        samples: int = 1000,
        new_samples: int = 100,
        noise_std: float = 0.1,
        epochs: int = 40_000,
        steps: int = 15_000,
    ) -> None:
        checks.choice("method", method, _METHODS)
        checks.at_least("d", d, 1)
        checks.rank(k, d, d, field="k")
        counts = {"tasks": tasks, "samples": samples, "new_samples": new_samples, "epochs": epochs, "steps": steps}
        for field, count in counts.items():
            checks.at_least(field, count, 1)
        checks.rank((3 if tasks == 2 else 1) * k, d, d, field="the rank of the new task's adapter")
        checks.not_negative("noise_std", noise_std, checks.HUGE)
        self.method, self.d, self.k, self.tasks = method, d, k, tasks
        self.samples, self.new_samples, self.noise_std = samples, new_samples, noise_std
        self.epochs, self.steps = epochs, steps

    def run(self, batch: Batch) -> None:
        """Log ``test_loss``, against outputs without noise, by step of fine-tuning."""
        import torch

        from .linear_lora_ml import fine_tuning_rank
        from .shallow import draw_shallow, fine_tune, init_net, observe, retrain

        def noise(stream: str) -> Noise:
            return batch.noise(stream, dtype=torch.float64)

        truth = draw_shallow(noise("tasks"), d=self.d, k=self.k, tasks=self.tasks)
        old, last = slice(0, self.tasks), slice(self.tasks, None)
        new = observe(noise("new task"), truth, last, samples=self.new_samples, noise_std=self.noise_std)
        test = observe(noise("test"), truth, last, samples=1000, noise_std=0.0)
        net = init_net(noise("start"), self.d)
        if self.method != "random_base":
            data = observe(noise("data"), truth, old, samples=self.samples, noise_std=self.noise_std)
            k = self.k if self.method == "lora_ml" else None
            net = retrain(net, data, noise("adapters"), k=k, epochs=self.epochs)
        record = sorted({self.steps * i // 10 for i in range(11)})
        _, path = fine_tune(
            net,
            new,
            noise("fine-tuning"),
            rank=fine_tuning_rank(k=self.k, tasks=self.tasks),
            steps=self.steps,
            record=record,
            measure=lambda low_rank: (net(test.x, low_rank) - test.y).square().mean((1, 2)),
        )
        for step, loss in path.items():
            batch.log(step, "test_loss", loss)
