"""PEFT-ML for any torch model: joint training of the base and of one adapter per task.

Paper: "Meta-Learning Adaptable Foundation Models", the neural algorithm of its released code. The vision study there
accumulates the gradients of all tasks before a step, the language study steps after every task.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bandits.neural import checks
from bandits.neural.errors import NumericalError

__all__ = ["retrain", "retrain_step"]


def retrain_step(
    activate: Callable[[str], Any],
    losses: Mapping[str, Callable[[], Tensor]],
    optimiser: torch.optim.Optimizer,
    *,
    accumulate_tasks: bool = True,
) -> dict[str, float]:
    """Take one batch of every task; only that task's adapter and head are active for it.

    Args:
        activate: Makes a task's adapter the active one: ``model.set_adapter`` of peft, or of ours.
        losses: For each task, what computes the loss of its batch.
        optimiser: Of the base and all adapters.
        accumulate_tasks: One step after all tasks, or one after each.

    Returns:
        The losses.

    Raises:
        NumericalError: A loss is NaN or infinite; it names the task.
    """
    checks.named_once("tasks", list(losses))
    values: dict[str, float] = {}
    pending: dict[Tensor, Tensor] = {}
    optimiser.zero_grad(set_to_none=True)
    for task, loss in losses.items():
        activate(task)
        value = loss()
        values[task] = value.item()
        if not math.isfinite(values[task]):
            raise NumericalError(f"the loss of task '{task}' is {values[task]}: lower the learning rate")
        value.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        if not accumulate_tasks:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        else:  # activating the next task clears the gradient of this one's adapter
            pending.update(
                {p: p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None}
            )
    if accumulate_tasks:
        for parameter, gradient in pending.items():
            parameter.grad = gradient
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return values


def retrain(
    model: nn.Module,
    activate: Callable[[str], Any],
    epochs: Sequence[Sequence[Mapping[str, Callable[[], Tensor]]]],
    optimiser: torch.optim.Optimizer,
    *,
    validate: Callable[[], float],
    accumulate_tasks: bool = True,
) -> list[float]:
    """Train for the given epochs, each a list of `retrain_step` losses, and keep the weights of the best validation.

    Args:
        model: Ends with the weights of its best epoch.
        activate: Makes a task's adapter the active one.
        epochs: For each epoch, for each step, the losses of all tasks.
        optimiser: Of the base and all adapters.
        validate: Mean validation accuracy over the training tasks; the first of equals is kept.
        accumulate_tasks: One step after all tasks, or one after each.

    Returns:
        What ``validate`` said after each epoch.
    """
    checks.at_least("epochs", len(epochs), 1)
    scores: list[float] = []
    best: dict[str, Tensor] = {}
    for steps in epochs:
        model.train()
        for losses in steps:
            retrain_step(activate, losses, optimiser, accumulate_tasks=accumulate_tasks)
        model.eval()
        scores.append(validate())
        if scores[-1] > max(scores[:-1], default=-float("inf")):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return scores
