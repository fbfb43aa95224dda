"""Labelled data sets for `classification`: those of scikit-learn, a synthetic one, and a user's own tables."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bandits.errors import in_one_line
from bandits.protocol import FloatArray, IntArray
from bandits.streams import Streams

__all__ = ["BUILT_IN", "Labelled", "digest_of", "is_file", "labelled"]

BUILT_IN = ("digits", "breast_cancer", "covertype_like")
ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True)
class Labelled:
    """A data set.

    Attributes:
        features: Columns with mean 0 and standard deviation 1 over the rows, after them a 1 if asked for: (n, d).
        labels: Class of each row, 0..K-1, shape (n,).
        n_classes: K.
        longest: Length of the longest row of features.
    """

    features: FloatArray
    labels: IntArray
    n_classes: int
    longest: float


def is_file(data: Any) -> bool:
    """Whether the name is that of a table, not of a built-in set."""
    return isinstance(data, str) and data.lower().endswith(ENDINGS)


def digest_of(path: str) -> str:
    """Hash of a file's content, 16 hexadecimal digits."""
    return _digest(_bytes(path))


@lru_cache(maxsize=4)
def labelled(data: str, label: str | None, digest: str | None, intercept: bool) -> Labelled:
    """Load a data set: columns that do not vary are left out, the others standardised.

    Args:
        data: A name in `BUILT_IN`, or a path.
        label: Name of the column with the classes, for a path.
        digest: What `digest_of` the path must be.
        intercept: Add a feature that is always 1.

    Raises:
        ValueError: One line that says what is wrong with the name, the file, or its content.
    """
    if is_file(data):
        if label is None:
            raise ValueError(f"label is missing: name the column of {data} that holds the classes")
        features, labels = _table(data, label, digest)
    elif data in BUILT_IN:
        if label is not None or digest is not None:
            raise ValueError(f"label and digest go with a file of yours, and '{data}' is built in: leave them out")
        features, labels = covertype_like() if data == "covertype_like" else _from_scikit_learn(data)
    else:
        raise ValueError(f"data must be {', '.join(BUILT_IN)} or end in {' or '.join(ENDINGS)}, got '{data}'")
    features = standardised(features, data)
    if intercept:
        features = np.concatenate([features, np.ones((len(labels), 1))], axis=1)
    longest = max(math.sqrt(math.fsum(x * x for x in row)) for row in features.tolist())
    return Labelled(features, labels, int(labels.max()) + 1, longest)


def standardised(features: FloatArray, name: str) -> FloatArray:
    """Columns that vary, with mean 0 and standard deviation 1; sums are exact, so the same on any machine."""
    columns = []
    for column in features.T.tolist():
        mean = math.fsum(column) / len(column)
        sd = math.sqrt(math.fsum((x - mean) ** 2 for x in column) / len(column))
        if min(column) < max(column) and sd > 0:
            columns.append([(x - mean) / sd for x in column])
    if not columns:
        raise ValueError(f"{name} has no feature that varies: an agent could learn nothing from it")
    return np.ascontiguousarray(np.array(columns).T)


def _from_scikit_learn(name: str) -> tuple[FloatArray, IntArray]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ValueError(
            f"data '{name}' comes with scikit-learn, which is not installed: pip install 'bandits[data]', or take "
            f"covertype_like"
        ) from error
    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.int64)


def covertype_like(n_rows: int = 10_000) -> tuple[FloatArray, IntArray]:
    """Draw data shaped like UCI's Covertype: 7 classes as unbalanced, 10 numbers, 4 areas and 40 soils.

    Given its class, the numbers of a row are normal around a mean of the class, and its area and soil are drawn with
    probabilities of the class: a linear rule is right for some three quarters of the rows.
    """
    shares = np.array([0.365, 0.488, 0.061, 0.005, 0.016, 0.030, 0.035])
    classes = Streams(seed=0xC0DE, size=len(shares)).instance  # a lane per class
    means = 0.4 * classes.normals(0, 10)
    areas, soils = classes.uniforms(1, 4) ** 2, classes.uniforms(2, 40) ** 2
    rows = Streams(seed=0xDA7A, size=n_rows).instance  # a lane per row
    labels = rows.categorical(0, np.repeat(shares[:, None], n_rows, axis=1))
    numbers = means[:, labels] + rows.normals(1, 10)
    area, soil = rows.categorical(2, areas[:, labels]), rows.categorical(3, soils[:, labels])
    one_hot = np.concatenate([np.eye(4)[area], np.eye(40)[soil]], axis=1)
    return np.concatenate([numbers.T, one_hot], axis=1), labels


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror or error}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _table(path: str, label: str, digest: str | None) -> tuple[FloatArray, IntArray]:
    """Features and classes of a CSV or Parquet file with a header."""
    import pandas as pd
    import pyarrow as pa

    content = _bytes(path)
    if digest is not None and _digest(content) != digest:
        raise ValueError(
            f"{path} has changed: its digest is {_digest(content)}, expected {digest}; restore the file, or declare "
            f"the environment anew"
        )
    try:
        if path.lower().endswith(".parquet"):
            frame = pd.read_parquet(pa.BufferReader(content))  # Arrow's own file, as in `RunFolder.cells`
        else:
            frame = pd.read_csv(io.BytesIO(content))
    except Exception as error:
        raise ValueError(f"cannot read {path}: {in_one_line(error)}") from error
    if label not in frame.columns:
        raise ValueError(f"{path} has no column '{label}': it has {', '.join(map(str, frame.columns[:10]))}")
    if len(frame) == 0 or len(frame.columns) < 2:
        raise ValueError(f"{path} has {len(frame)} rows and {len(frame.columns)} columns: give a row, and a feature")
    names = [name for name in frame.columns if name != label]
    columns = [_numbers(frame[name], f"{path}: column '{name}'") for name in names]
    return np.stack(columns, axis=1), _classes(frame[label], f"{path}: column '{label}'")


def _numbers(column: Any, place: str) -> FloatArray:
    try:
        values: FloatArray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        words = "features are numbers: encode it, or leave the column out"
        raise ValueError(f"{place} is not made of numbers; {words}") from error
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(f"{place}, row {bad[0] + 1} is {values[bad[0]]:g}, expected a finite number")
    return values


def _classes(column: Any, place: str) -> IntArray:
    missing = np.flatnonzero(column.isna().to_numpy())
    if missing.size:
        raise ValueError(f"{place}, row {missing[0] + 1} is empty, expected a class")
    names = sorted(set(column.tolist()), key=lambda name: (isinstance(name, str), name))
    if len(names) < 2:
        raise ValueError(f"{place} holds one class, {names[0]!r}: there is nothing to learn")
    if len(names) > 1000:
        raise ValueError(f"{place} holds {len(names)} different values: is it a label?")
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[name] for name in column.tolist()], dtype=np.int64)
