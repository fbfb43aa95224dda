"""A judge of restored digits: which digit an image shows, by a small perceptron trained on labelled ones.

The recipe ``digit_classifier`` gives an image of 8 x 8 pixels and its label as one row of 65 numbers. It learns with
noise on the pixels, so that a trace of noise in a restored image does not decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from . import networks
from .data import load_digits
from .networks import mlp
from .recipe_settings import SETTINGS
from .training import Draws

__all__ = ["Classifier", "Classifying"]


class Classifier(nn.Module):
    """Logits (B, classes) of images (B, ...).

    Args:
        size: Numbers in one image.
        classes: Number of classes.
        width: Width of each hidden layer.
        depth: Number of hidden layers.
    """

    def __init__(self, size: int, classes: int = 10, width: int = 128, depth: int = 1) -> None:
        super().__init__()
        self.net = mlp(size, *[width] * depth, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the precision of the weights."""
        out: Tensor = self.net(x.flatten(1).to(next(self.parameters()).dtype))
        return out


@dataclass(frozen=True, eq=False)
class Classifying:
    """A classifier of the digits: cross-entropy, with noise on the images."""

    name: str = "digit_classifier"
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS["digit_classifier"])
    uses: tuple[Any, ...] = (Classifier, networks, load_digits)

    def data(self, settings: Mapping[str, Any], seed: int) -> Tensor:
        """Images and labels, (N, 65)."""
        digits = load_digits()
        return torch.cat([digits.train.flatten(1), digits.train_labels[:, None].float()], dim=1)

    def build(self, settings: Mapping[str, Any], data: Tensor) -> nn.Module:
        """The untrained network."""
        return Classifier(data.shape[1] - 1, 10, settings["width"], settings["depth"])

    def loss(self, model: nn.Module, x: Tensor, draws: Draws, settings: Mapping[str, Any]) -> Tensor:
        """Mean cross-entropy of a batch."""
        images, labels = x[:, :-1], x[:, -1].long()
        blurred = images + settings["blur"] * draws.normal_like(images)
        loss: Tensor = nn.functional.cross_entropy(model(blurred), labels)
        return loss

    def finish(self, model: nn.Module, data: Tensor) -> None:
        """Nothing."""

    def gates(self, model: nn.Module, settings: Mapping[str, Any], seed: int) -> dict[str, tuple[float, float]]:
        """Share of the 200 held-out digits that are taken for another: accuracy must be at least 0.95."""
        digits = load_digits()
        wrong = model(digits.test).argmax(1) != digits.test_labels
        return {"error_rate": (float(wrong.float().mean()), 0.05)}
