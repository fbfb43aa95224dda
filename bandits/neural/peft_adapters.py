"""The same arrangement through the library ``peft``: one LoRA adapter per task, with the base thawed.

``peft`` freezes the base when it wraps a model, and ``set_adapter`` freezes only the inactive adapters: thawing the
base once is enough for retraining. Nothing is downloaded: give a model that is in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from . import checks
from .errors import AdapterError

__all__ = ["fresh_adapter", "trainable", "with_adapters"]


def with_adapters(
    model: nn.Module,
    targets: Sequence[str],
    *,
    tasks: Sequence[str],
    rank: int,
    alpha: float | None = None,
    dropout: float = 0.0,
    heads: Sequence[str] = (),
    seed: int = 0,
) -> Any:
    """Wrap a model with one LoRA adapter per task for retraining: base and first adapter trainable.

    Args:
        model: Any torch model, such as transformers' ``RobertaForSequenceClassification``.
        targets: Names of linear layers, as ``peft`` matches them.
        tasks: Names of the adapters.
        rank: Rank of every adapter.
        alpha: LoRA's alpha; the rank unless given.
        dropout: Probability of LoRA's dropout.
        heads: Layers of which every task gets a copy of its own, such as "classifier".
        seed: Seed of the adapters' random factors; torch's global generator is left as it was.

    Returns:
        A ``peft.PeftModel``; ``set_adapter(task)`` activates a task.

    Raises:
        AdapterError: A target matches no layer, a name occurs twice, or a layer cannot have that rank.
    """
    checks.named_once("tasks", tasks)
    wrapped = _attached(model, tasks, _config(model, targets, rank, alpha, dropout, heads), seed)
    for name, parameter in wrapped.named_parameters():
        if not any(part in name for part in ("lora_", "modules_to_save", "original_module")):
            parameter.requires_grad_(True)
    wrapped.set_adapter(tasks[0])
    return wrapped


def fresh_adapter(
    retrained: Any,
    targets: Sequence[str],
    *,
    rank: int,
    alpha: float | None = None,
    dropout: float = 0.0,
    heads: Sequence[str] = (),
    seed: int = 0,
) -> Any:
    """Throw the tasks' adapters and heads away, freeze the base and attach one fresh adapter for a new task.

    Args:
        retrained: What `with_adapters` returned, after retraining.
        targets: Names of linear layers.
        rank: Rank of the adapter.
        alpha: LoRA's alpha.
        dropout: Probability of LoRA's dropout.
        heads: Layers that the new task learns with its adapter, from where the base had them before retraining.
        seed: Seed of the adapter's random factors.
    """
    from peft.utils import ModulesToSaveWrapper

    inside = retrained.base_model.model.named_modules()
    untrained = {name: m.original_module for name, m in inside if isinstance(m, ModulesToSaveWrapper)}
    base = retrained.unload()
    for name, head in untrained.items():  # unload would leave the head of the task that was active last
        base.set_submodule(name, head)
    return _attached(base, ["new"], _config(base, targets, rank, alpha, dropout, heads), seed)


def trainable(model: nn.Module) -> int:
    """Number of parameters that get a gradient."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _attached(model: nn.Module, names: Sequence[str], config: Any, seed: int) -> Any:
    from peft import get_peft_model

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what the libraries say to one another
        torch.manual_seed(seed)
        wrapped = get_peft_model(model, config, adapter_name=names[0])
        for name in names[1:]:
            wrapped.add_adapter(name, config)
    return wrapped


def _config(
    model: nn.Module, targets: Sequence[str], rank: int, alpha: float | None, dropout: float, heads: Sequence[str]
) -> Any:
    from peft import LoraConfig

    checks.named_once("targets", targets)
    checks.positive("alpha", 1 if alpha is None else alpha)
    checks.probability("dropout", dropout)
    for target in targets:
        found = [m for name, m in model.named_modules() if name == target or name.endswith(f".{target}")]
        layers = [m for m in found if isinstance(m, nn.Linear)]
        if not layers:
            raise AdapterError(f"targets: no linear layer of the model is called '{target}'")
        for layer in layers:
            checks.rank(rank, layer.in_features, layer.out_features)
    return LoraConfig(
        r=rank,
        lora_alpha=rank if alpha is None else alpha,  # type: ignore[arg-type]  # peft scales by a fraction, too
        lora_dropout=dropout,
        target_modules=list(targets),
        modules_to_save=list(heads) or None,
    )
