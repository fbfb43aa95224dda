"""Images that come inside installed packages."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError

__all__ = ["PHOTOGRAPHS", "Digits", "load_digits", "load_photographs"]

PHOTOGRAPHS = (  # package and file: what lies inside the wheels, for other files scikit-image would ask the network
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/brick.png"),
    ("skimage", "data/grass.png"),
    ("skimage", "data/gravel.png"),
)


@dataclass(frozen=True)
class Digits:
    """The 8 x 8 digits of scikit-learn in three parts; images (N, 1, 8, 8) in [-1, 1], labels (N,) int64.

    Attributes:
        train, train_labels: 1500 to learn from.
        validation, validation_labels: 97 to choose parameters by.
        test, test_labels: 200 to judge by.
    """

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor
    test: Tensor
    test_labels: Tensor


@cache
def load_digits() -> Digits:
    """Read the digits, once in a process, and split them by one fixed permutation.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise UsageError("the digits come with scikit-learn: pip install 'bandits[neural]'") from error
    found = load()
    order = np.random.RandomState(0).permutation(len(found.data))
    x = torch.from_numpy(found.data[order] / 8.0 - 1.0).float().reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(found.target[order]).long()
    ends = (0, 1500, 1597, 1797)
    parts = [part for a, b in pairwise(ends) for part in (x[a:b], labels[a:b])]
    return Digits(*parts)


def load_photographs(numbers: Sequence[int], side: int) -> Tensor:
    """Photographs of `PHOTOGRAPHS` by number: the largest square in the middle, resized to side x side pixels.

    Six are in colour; the last four, of which three are textures, are grey, and have three equal channels. Nothing is
    downloaded: files are read from inside the packages.

    Returns:
        Images (N, 3, side, side) in [-1, 1].

    Raises:
        UsageError: A package that has them is not installed, or has no such file.
    """
    from PIL import Image, ImageOps

    images = []
    for number in numbers:
        with Image.open(_photograph(*PHOTOGRAPHS[number])) as image:
            square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
        images.append(torch.from_numpy(np.array(square)).permute(2, 0, 1))
    return torch.stack(images).float() / 127.5 - 1


def _photograph(package: str, file: str) -> Path:
    found = importlib.util.find_spec(package)
    place = Path(str(found.origin)).parent / file if found else None
    if place is None or not place.is_file():
        raise UsageError(
            f"the photograph {file} comes inside {'scikit-learn' if package == 'sklearn' else 'scikit-image'}: "
            "pip install 'bandits[neural]'"
        )
    return place
