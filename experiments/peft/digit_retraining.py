"""Retraining a small network on many tasks so that it adapts well: LoRA-ML and its controls.

Paper: "Meta-Learning Adaptable Foundation Models". Every function takes a base network (B, 1, ...) and tasks, and
returns a new base; ``fine_tune`` then adapts any of them to new tasks in the same way. The base that is not
retrained at all is itself a control: a set-up where it does best shows nothing about retraining.

Full batches; the Adam steps are elementwise, so that replications and tasks stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import SGD, Adam

from bandits.neural import checks
from bandits.neural.noise import Noise

from .batched_mlp import MLP, Adapters, init_adapters, init_mlp, logits, mean_cross_entropy
from .descent import descend, stages
from .digit_tasks import TaskSet

__all__ = ["accuracy", "fine_tune", "last_layer_ml", "lora_ml", "reptile", "standard_retraining"]


def standard_retraining(base: MLP, tasks: TaskSet, *, epochs: int = 400, lr: float = 1e-3) -> MLP:
    """Fit one network to all tasks: min over W of sum_t L_t(W)."""
    _check(tasks, lr=lr)
    checks.at_least("epochs", epochs, 1)
    net = base.copy()
    descend(lambda: _loss(tasks, net), Adam(net.parameters, lr=lr), epochs)
    return net


def lora_ml(base: MLP, tasks: TaskSet, noise: Noise, *, rank: int = 2, epochs: int = 400, lr: float = 1e-3) -> MLP:
    """Fit the network together with an adapter per task: min over W of sum_t min over theta_t of L_t(W, theta_t).

    The adapters are thrown away.
    """
    _check(tasks, lr=lr)
    checks.at_least("epochs", epochs, 1)
    net, adapters = base.copy(), init_adapters(noise, base.sizes, tasks=tasks.labels.shape[1], rank=rank)
    descend(lambda: _loss(tasks, net, adapters), Adam([*net.parameters, *adapters.parameters], lr=lr), epochs)
    return net


def last_layer_ml(base: MLP, tasks: TaskSet, noise: Noise, *, epochs: int = 400, lr: float = 1e-3) -> MLP:
    """Fit the network with a last layer per task instead of an adapter; the base gets a fresh last layer at the end."""
    _check(tasks, lr=lr)
    checks.at_least("epochs", epochs, 1)
    body, heads = base.copy(), base.copy(tasks=tasks.labels.shape[1])
    net = MLP([*body.weights[:-1], heads.weights[-1]], [*body.biases[:-1], heads.biases[-1]])
    descend(lambda: _loss(tasks, net), Adam(net.parameters, lr=lr), epochs)
    fresh = init_mlp(noise, base.sizes[-2:])
    return MLP([*net.weights[:-1], *fresh.weights], [*net.biases[:-1], *fresh.biases])


def reptile(
    base: MLP,
    tasks: TaskSet,
    *,
    outer: int = 100,
    outer_lr: float = 1e-3,
    inner: int = 20,
    inner_lr: float = 0.1,
) -> MLP:
    """Move the base towards what a few SGD steps make of it for each task; Adam takes the outer steps.

    Args:
        base: The network.
        tasks: Tasks.
        outer: Outer steps, each over all tasks.
        outer_lr: Learning rate of Adam.
        inner: SGD steps of a task's copy.
        inner_lr: Learning rate of SGD; with 0.01, the paper's, Reptile does worse on these tasks.
    """
    _check(tasks, outer_lr=outer_lr, inner_lr=inner_lr)
    checks.at_least("outer", outer, 1)
    checks.at_least("inner", inner, 1)
    net = base.copy()
    optimiser = Adam(net.parameters, lr=outer_lr)
    for _ in range(outer):
        copies = net.copy(tasks=tasks.labels.shape[1])
        descend(lambda copies=copies: _loss(tasks, copies), SGD(copies.parameters, lr=inner_lr), inner)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for p, adapted in zip(net.parameters, copies.parameters, strict=True):
            p.grad = p.detach() - adapted.detach().mean(1, keepdim=True)
        optimiser.step()
    return net


def fine_tune(
    base: MLP,
    tasks: TaskSet,
    test: TaskSet,
    noise: Noise,
    *,
    rank: int = 2,
    steps: int = 200,
    lr: float = 5e-3,
    record: Sequence[int] = (),
) -> dict[int, Tensor]:
    """Fit one fresh adapter to each new task, with the base kept.

    Args:
        base: The network.
        tasks: Samples to fit.
        test: Samples to measure on.
        noise: Draws the starts of the adapters.
        rank: Rank of every adapter.
        steps: Steps of Adam.
        lr: Learning rate.
        record: Numbers of steps after which to measure; the last is always measured.

    Returns:
        Accuracy on ``test``, (B, T), after each number of steps.
    """
    _check(tasks, lr=lr)
    kept = MLP([W.detach() for W in base.weights], [b.detach() for b in base.biases])
    adapters = init_adapters(noise, base.sizes, tasks=tasks.labels.shape[1], rank=rank)
    optimiser = Adam(adapters.parameters, lr=lr)
    stops = stages(lambda: _loss(tasks, kept, adapters), optimiser, steps, [*record, steps])
    return {step: accuracy(kept, adapters, test) for step in stops}


def accuracy(base: MLP, adapters: Adapters | None, tasks: TaskSet) -> Tensor:
    """Share of each task's samples that are classified correctly, (B, T)."""
    with torch.no_grad():
        right = (logits(tasks.x, base, adapters).argmax(-1) == tasks.labels).to(tasks.weight)
    return (right * tasks.weight).sum(-1) / tasks.weight.sum(-1)


def _loss(tasks: TaskSet, net: MLP, adapters: Adapters | None = None) -> Tensor:
    return mean_cross_entropy(logits(tasks.x, net, adapters), tasks.labels, tasks.weight)


def _check(tasks: TaskSet, **learning_rates: float) -> None:
    checks.at_least("tasks", tasks.labels.shape[1], 1, "the list of tasks is empty")
    checks.same_batch(x=tasks.x, labels=tasks.labels, weight=tasks.weight)
    checks.finite("x", tasks.x)
    checks.at_least("samples", int(tasks.weight.sum(-1).min()), 1, "a task without samples cannot be learnt")
    for field, lr in learning_rates.items():
        checks.positive(field, lr)
