"""Trial: LoRA-ML and its controls on tasks made of scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bandits import register_trial
from bandits.errors import BadParameter
from bandits.neural import checks

if TYPE_CHECKING:
    from bandits.neural.batch import Batch
    from bandits.neural.noise import Noise

    from .batched_mlp import MLP
    from .digit_tasks import TaskSet

_METHODS = ("lora_ml", "standard_retraining", "last_layer_ml", "reptile", "random_base")
_MOST_SHOTS = {  # how many samples of a new task there are to learn from, and why
    "conflicting": (1200, "there are 1200 images to learn from"),
    "pairs": (200, "of the 354 images of an 8 or a 9 some 236 are to learn from, which ones is drawn"),
}


@register_trial("meta_lora_digits", source="after Meta-Learning Adaptable Foundation Models, vision study; in small")
class MetaLoraDigits:
    """Retrains a network 64-64-64-2 on tasks, fine-tunes adapters on few samples of new ones and logs the accuracy.

    "conflicting" tasks are this project's own: each asks whether a digit is in its five of the ten classes. "pairs" is
    shaped like the paper's CIFAR-10 study, and too easy to tell the methods apart: the base that was not retrained does
    as well as any. Always run that control.

    Args:
        method: "lora_ml"; "standard_retraining"; "last_layer_ml", a last layer per task instead of an adapter;
            "reptile"; or "random_base": no retraining at all.
        suite: "conflicting" or "pairs".
        tasks: Conflicting tasks to retrain on; of pairs there are four.
        shots: Samples of a new task, for each of which it is learnt anew; at most 1200, of pairs 200.
        rank: Rank of the adapters, on every layer.
        epochs: Full-batch steps of retraining.
        outer: Outer steps of Reptile, each of 20 inner steps for every task.
        steps: Steps of fine-tuning.
    """

    gpus: ClassVar = 0.5
    at_once: ClassVar = 10
    task: ClassVar = ("suite", "tasks", "shots", "rank")

    def __init__(
        self,
        *,
        method: str = "lora_ml",
        suite: str = "conflicting",
        tasks: int = 10,
        shots: Sequence[int] = (20, 50, 100),
        rank: int = 2,
        epochs: int = 400,
        outer: int = 100,
        steps: int = 200,
    ) -> None:
        checks.choice("method", method, _METHODS)
        checks.choice("suite", suite, ("conflicting", "pairs"))
        checks.rank(rank, 64, 2)
        checks.whole("tasks", tasks, 1, 252, "there are 252 ways to choose five of ten classes")
        for field, count in {"epochs": epochs, "outer": outer, "steps": steps}.items():
            checks.at_least(field, count, 1)
        if isinstance(shots, str) or not isinstance(shots, Sequence) or not shots:
            raise BadParameter(f"shots must list the numbers of samples of a new task, got {shots!r}")
        for n in shots:
            checks.whole("shots", n, 1, *_MOST_SHOTS[suite])
        self.method, self.suite, self.tasks, self.shots = method, suite, tasks, tuple(shots)
        self.rank, self.epochs, self.outer, self.steps = rank, epochs, outer, steps

    def run(self, batch: Batch) -> None:
        """Log ``accuracy_n``, the mean over the new tasks after learning from n samples, by step of fine-tuning."""
        import torch

        from .batched_mlp import init_mlp
        from .digit_retraining import fine_tune
        from .digit_tasks import conflicting, few_shot, pairs

        def noise(stream: str) -> Noise:
            return batch.noise(stream, dtype=torch.float64)

        data = pairs(noise("tasks")) if self.suite == "pairs" else conflicting(noise("tasks"), tasks=self.tasks)
        base = self._retrained(init_mlp(noise("start"), [64, 64, 64, 2]), data.train, noise("adapters"))
        record = sorted({self.steps * i // 10 for i in range(11)})
        for n in self.shots:
            few, start = few_shot(noise("few"), data.new, n), noise("fine-tuning")
            path = fine_tune(base, few, data.test, start, rank=self.rank, steps=self.steps, record=record)
            for step, accuracy in path.items():
                batch.log(step, f"accuracy_{n}", accuracy.mean(1))

    def _retrained(self, base: MLP, tasks: TaskSet, noise: Noise) -> MLP:
        from .digit_retraining import last_layer_ml, lora_ml, reptile, standard_retraining

        if self.method == "lora_ml":
            return lora_ml(base, tasks, noise, rank=self.rank, epochs=self.epochs)
        if self.method == "standard_retraining":
            return standard_retraining(base, tasks, epochs=self.epochs)
        if self.method == "last_layer_ml":
            return last_layer_ml(base, tasks, noise, epochs=self.epochs)
        if self.method == "reptile":
            return reptile(base, tasks, outer=self.outer)
        return base
