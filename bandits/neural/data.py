"""Images that come inside installed packages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError

__all__ = ["Digits", "load_digits"]


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
