"""Training: one loop, checkpoints that a killed training goes on from, and a cache of trained weights.

What step s draws is a function of (seed, s), and a checkpoint holds weights, their average and the optimiser's state:
a training that was killed ends at the same weights as one that was not. Weights lie in the cache folder under a key
made of the recipe's code, the data, the settings and the seed: whoever asks for the same model gets it from there.

The folder is ``BANDITS_CACHE``, or the platform's place for caches; safetensors and JSON, nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import PlayError, UsageError, in_one_line
from .devices import computing
from .errors import NumericalError, WeightsNotFound
from .recipe_settings import changed
from .weights import cache_folder, write_whole

__all__ = [
    "Draws",
    "Recipe",
    "Trained",
    "code_of",
    "content_key",
    "digest_of",
    "is_kept",
    "obtain",
    "place_of",
    "train",
    "untrained",
    "with_changes",
]

CHECKPOINT_S = 10.0


class Draws:
    """Random numbers of one training step: functions of (seed, step) alone, drawn on the CPU."""

    def __init__(self, seed: int, step: int, device: torch.device) -> None:
        self._generator = np.random.Generator(np.random.PCG64([seed, step, 1]))
        self._device = device

    def rows(self, x: Tensor, count: int) -> Tensor:
        """So many samples of the data, with replacement."""
        return x[torch.from_numpy(self._generator.integers(len(x), size=count)).to(x.device)]

    def integers(self, high: int, count: int) -> Tensor:
        """Whole numbers below ``high``, (count,)."""
        return torch.from_numpy(self._generator.integers(high, size=count)).to(self._device)

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal draws of the shape of ``x``."""
        drawn = self._generator.standard_normal(tuple(x.shape), dtype=np.float32)
        return torch.from_numpy(drawn).to(device=self._device, dtype=x.dtype)


class Recipe(Protocol):
    """How a model is trained: plain functions of the settings.

    Attributes:
        name: What `Training.recipe` calls it.
        settings: Every setting with its value, among them ``steps``, ``batch``, ``rate`` and ``average`` (decay of
            the average of the weights; 0 keeps the last ones).
        uses: Functions, classes and modules outside the recipe whose code decides what comes out. A class does not
            bring those that it is made of.
    """

    name: str
    settings: Mapping[str, Any]
    uses: tuple[Any, ...]

    def data(self, settings: Mapping[str, Any], seed: int) -> Tensor:
        """What is learnt from, (N, ...)."""

    def build(self, settings: Mapping[str, Any], data: Tensor) -> nn.Module:
        """The untrained model; its weights are drawn from torch's generator, which is seeded."""

    def loss(self, model: nn.Module, x: Tensor, draws: Draws, settings: Mapping[str, Any]) -> Tensor:
        """Mean loss of a batch."""

    def finish(self, model: nn.Module, data: Tensor) -> None:
        """What is done with the trained model, such as scaling its latents."""

    def gates(self, model: nn.Module, settings: Mapping[str, Any], seed: int) -> dict[str, tuple[float, float]]:
        """Each measure of quality with the most that it may be, with the recipe's own settings."""


@dataclass(frozen=True)
class Trained:
    """A trained model, and what is known of it.

    Attributes:
        model: The model, on the CPU, with averaged weights.
        key: Content key.
        facts: Recipe, settings, seed, curve as [step, loss] pairs, gates, seconds, torch and digest of the weights.
    """

    model: nn.Module
    key: str
    facts: dict[str, Any]


def obtain(
    recipe: Recipe,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """The trained model: from the cache, or trained now and kept there.

    Two processes that want the same model train it once; the second waits.

    Args:
        recipe: How it is trained.
        seed: Seed of initial weights, order of data and noise.
        changes: Settings that differ from the recipe's.
        device: Where to train, if need be.
        report: Told a line on progress now and then.

    Raises:
        BadParameter: The recipe has no such setting.
        PlayError: The trained model does not pass a gate; it is not kept.
        NumericalError: The loss is no number.
        WeightsNotFound: What the cache holds is damaged.
        UsageError: The cache has no such model and cannot be written to.
    """
    settings = with_changes(recipe, changes or {})
    data = recipe.data(settings, seed)
    place = place_of(recipe, settings, seed, data)
    if not is_kept(place):
        with _locked(place):
            if not is_kept(place):
                _make(recipe, settings, seed, data, place, torch.device(device), report)
    model = untrained(recipe, settings, data)
    weights, facts = place.with_suffix(".safetensors"), _facts(place.with_suffix(".json"))
    try:
        model.load_state_dict(_read(weights)[0])
    except RuntimeError as error:
        raise _damaged(weights, "holds another model") from error
    if (found := digest_of(model)) != facts["digest"]:
        raise _damaged(weights, f"has the digest {found}, and {place.name}.json says {facts['digest']}")
    return Trained(model.eval().requires_grad_(False), place.name.rpartition("-")[2], facts)


def is_kept(place: Path) -> bool:
    """Whether the cache has the model of that place: weights and what is known of them."""
    return place.with_suffix(".json").is_file() and place.with_suffix(".safetensors").is_file()


def place_of(recipe: Recipe, settings: Mapping[str, Any], seed: int, data: Tensor) -> Path:
    """Where the model is kept, without the ending of a file."""
    return cache_folder() / "weights" / f"{recipe.name}-{content_key(recipe, settings, seed, data)}"


def with_changes(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a recipe, some changed.

    Raises:
        BadParameter: The recipe has no such setting, or one that cannot have this value.
    """
    return changed(recipe.name, recipe.settings, changes)


def content_key(recipe: Recipe, settings: Mapping[str, Any], seed: int, data: Tensor) -> str:
    """Hash of what decides the weights: code (without comments and documentation), data, settings and seed."""
    digest = hashlib.sha256()
    digest.update(code_of(recipe).encode())
    digest.update(json.dumps([recipe.name, dict(settings), seed], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(data.numpy()).tobytes())
    return digest.hexdigest()[:16]


def code_of(recipe: Recipe) -> str:
    """Hash of the code that decides the weights, as it was when this process first asked."""
    kind = type(recipe)
    return _digest_of_code((kind.data, kind.build, kind.loss, kind.finish, train, Draws, *recipe.uses))


@cache
def _digest_of_code(things: tuple[Any, ...]) -> str:
    return hashlib.sha256("".join(_code(thing) for thing in things).encode()).hexdigest()


def _code(thing: Any) -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def untrained(recipe: Recipe, settings: Mapping[str, Any], data: Tensor) -> nn.Module:
    """The model before any training, on the CPU, so that its weights are the same wherever it is used."""
    with torch.device("cpu"):
        return recipe.build(settings, data)


def train(
    recipe: Recipe,
    settings: Mapping[str, Any],
    seed: int,
    data: Tensor,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[nn.Module, list[tuple[int, float]]]:
    """Train a model: Adam, an average of the weights, a checkpoint every few seconds.

    Args:
        recipe: What to train.
        settings: All settings of the recipe.
        seed: Seed of initial weights, order of data and noise.
        data: What is learnt from, (N, ...).
        device: Where.
        checkpoint: File to go on from and to write to; removed by nobody here.
        report: Told a line at every checkpoint.

    Returns:
        The model with averaged weights on the CPU, and its loss as pairs (step, mean since the pair before).

    Raises:
        NumericalError: The loss is no number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = untrained(recipe, settings, data).to(device)
    weights = model.state_dict()  # shares memory with the model
    average = {name: tensor.detach().clone() for name, tensor in weights.items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["rate"])
    steps, decay = int(settings["steps"]), float(settings["average"])
    first, curve = 0, list[tuple[int, float]]()
    losses = torch.zeros(2, dtype=torch.float64, device=device)  # their sum and number: nobody waits for each of them
    if checkpoint is not None and checkpoint.is_file():
        first, curve, kept = _restore(checkpoint, model, average, optimizer)
        losses.copy_(kept)
        report(f"goes on from step {first} of {steps}")
    x, last = data.to(device), time.monotonic()
    model.train()
    for step in range(first, steps):
        draws = Draws(seed, step, device)
        loss = recipe.loss(model, draws.rows(x, settings["batch"]), draws, settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimizer.step()
        with torch.no_grad():
            for name, tensor in weights.items():
                average[name].lerp_(tensor, 1.0 - min(decay, (1 + step) / (10 + step)))
        losses[0] += loss.detach()
        losses[1] += 1
        if (step + 1) % max(1, steps // 50) == 0 or step + 1 == steps:
            mean = float(losses[0] / losses[1])
            if not np.isfinite(mean):
                raise NumericalError(f"the loss of '{recipe.name}' is {mean} at step {step + 1}: lower its rate")
            curve.append((step + 1, mean))
            losses.zero_()
        if checkpoint is not None and time.monotonic() - last > CHECKPOINT_S:
            _save(checkpoint, step + 1, model, average, optimizer, curve, losses)
            report(f"step {step + 1} of {steps}, loss {curve[-1][1]:.4g}" if curve else f"step {step + 1} of {steps}")
            last = time.monotonic()
    model.load_state_dict(average)
    return model.cpu().eval(), curve


def _make(
    recipe: Recipe,
    settings: Mapping[str, Any],
    seed: int,
    data: Tensor,
    place: Path,
    device: torch.device,
    report: Callable[[str], None],
) -> None:
    """Train, judge and keep a model."""
    begun, checkpoint = time.monotonic(), place.with_suffix(".checkpoint.safetensors")
    with computing(device):
        model, curve = train(recipe, settings, seed, data, device, checkpoint, report)
    with computing(torch.device("cpu")), torch.no_grad():
        model.requires_grad_(False)
        recipe.finish(model, data)
        gates = recipe.gates(model, settings, seed)
    for name, (value, most) in gates.items():
        if dict(settings) == dict(recipe.settings) and not value <= most:
            raise PlayError(
                f"'{recipe.name}' with seed {seed} is too poor to use: {name} {value:.4g}, at most {most:g}"
            )
    facts = {
        "recipe": recipe.name,
        "settings": dict(settings),
        "seed": seed,
        "curve": curve,
        "gates": {name: list(gate) for name, gate in gates.items()},
        "seconds": time.monotonic() - begun,
        "torch": str(torch.__version__),
        "device": device.type,
        "digest": digest_of(model),
    }
    _write(place.with_suffix(".safetensors"), dict(model.state_dict()), {"recipe": recipe.name})
    write_whole(place.with_suffix(".json"), json.dumps(facts, indent=2).encode())
    checkpoint.unlink(missing_ok=True)


def digest_of(model: nn.Module) -> str:
    """Hash of a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def _save(
    path: Path,
    step: int,
    model: nn.Module,
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    curve: list[tuple[int, float]],
    losses: Tensor,
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    _write(path, tensors | {"losses": losses}, {"step": str(step), "curve": json.dumps(curve)})


def _restore(
    path: Path, model: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> tuple[int, list[tuple[int, float]], Tensor]:
    tensors, said = _read(path)
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    for name, tensor in average.items():
        tensor.copy_(tensors[f"average.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, i, part = name.split(".")
            state.setdefault(int(i), {})[part] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    curve = [(int(step), float(loss)) for step, loss in json.loads(said["curve"])]
    return int(said["step"]), curve, tensors["losses"]


def _write(path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> None:
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_whole(path, save(plain, dict(said)))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 - a safetensors file has keys() and cannot be iterated
    except (OSError, SafetensorError) as error:
        raise _damaged(path, in_one_line(error)) from error


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts
    except (OSError, ValueError) as error:
        raise _damaged(path, in_one_line(error)) from error


def _damaged(path: Path, why: str) -> WeightsNotFound:
    return WeightsNotFound(f"cannot use {path} ({why}): remove it, and it is made anew")


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold a model of the cache while it is made; a second process waits."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.with_suffix(".lock").open("w") as lock:
            try:
                import fcntl
            except ImportError:  # not on Windows: both train, and one of two equal files stays
                pass
            else:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:  # no folder, a disk that is full
        why = error.strerror or type(error).__name__
        raise UsageError(
            f"{place.name} is to be trained, and {place.parent} cannot be written to ({why}): set BANDITS_CACHE"
        ) from error
