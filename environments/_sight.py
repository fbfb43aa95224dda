"""Who sees whom, and how well: instances with side observations from matrices, named graphs and numbered draws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence, Sized
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from bandits.protocol import FloatArray
from bandits.streams import Stream, Streams

__all__ = ["Entry", "Graph", "Sigma", "instance"]

Entry = float | str | None
Sigma = float | Sequence[float] | Sequence[Sequence[Entry]]
Graph = Literal["standard", "full", "cycle", "star", "revealing", "random"] | Sequence[Sequence[int]]

_SEED = 15101508  # of the numbered draws, whatever the seed of the run
_MEANS, _SEES, _LEVELS = 0, 1, 2  # their tables


def instance(
    *,
    means: Sequence[float] | None,
    sigma: Sigma,
    graph: Graph | None,
    directed: bool,
    n_arms: int | None,
    density: float | None,
    draw: int,
) -> tuple[FloatArray, FloatArray]:
    """Means (K,) and noise levels (K, K), infinite where nothing is seen: checked, and what is left out drawn.

    Raises:
        ValueError: Parameters contradict each other, one is missing, or an entry is wrong.
    """
    if not 0 <= draw < 2**32 - 1:
        raise ValueError(f"draw must lie in 0..{2**32 - 2}, got {draw}")
    if draw and means is not None and graph != "random":
        raise ValueError(f"draw={draw} numbers what is drawn, and nothing is: leave out means, or say graph='random'")
    if directed and (graph is None or isinstance(graph, str)):
        raise ValueError("directed says that a list of pairs is one of edges i -> j: give such a list for graph")
    rows = _rows(sigma)
    mean = None if means is None else _finite(means)
    count = _count(rows if mean is None else mean, n_arms)
    drawn = Streams(_SEED, first=draw).instance
    mean = drawn.uniforms(_MEANS, count).ravel() if mean is None else mean
    if (density is not None) != (graph == "random"):
        raise ValueError("graph='random' and density, the share of the other arms that an arm sees, go together")
    if rows is not None:
        if graph is not None:
            raise ValueError("graph goes with one number for sigma: a matrix of levels says already who sees whom")
        return mean, _matrix(rows, count)
    low, high = _interval(sigma, graph)
    if density is not None:
        return mean, _drawn(drawn, density, low, high, count)
    return mean, np.where(_sees(graph, directed, count), low, np.inf)


def _rows(sigma: Sigma) -> Sequence[Sequence[Entry]] | None:
    """Sigma as a matrix, or None where it is one number or a list of numbers."""
    if isinstance(sigma, int | float) or (len(sigma) and all(isinstance(level, int | float) for level in sigma)):
        return None
    return cast(Sequence[Sequence[Entry]], sigma)


def _drawn(stream: Stream, density: float, low: float, high: float, n_arms: int) -> FloatArray:
    """Noise levels (K, K) of a random graph: each arm sees itself, and each other one with probability ``density``."""
    if not 0 <= density <= 1:
        raise ValueError(f"density must lie in [0, 1], got {density:g}: the share of the other arms that an arm sees")
    sees, share = (stream.uniforms(table, n_arms**2).reshape(n_arms, n_arms) for table in (_SEES, _LEVELS))
    levels = np.where(sees < density, low + (high - low) * share, np.inf)
    np.fill_diagonal(levels, low if low == high else low * math.sqrt(high / low))
    return levels


def _count(known: Sized | None, n_arms: int | None) -> int:
    """Number of arms, from what has an entry for each, if anything has."""
    if known is not None:
        if n_arms not in (None, len(known)):
            raise ValueError(f"n_arms is {n_arms}, but means or sigma have {len(known)} entries: leave n_arms out")
        return len(known)
    if n_arms is None:
        raise ValueError("give means, or n_arms to have them drawn")
    if not 1 <= n_arms <= 4096:
        raise ValueError(f"n_arms must lie in 1..4096, got {n_arms}")
    return n_arms


def _finite(means: Sequence[float]) -> FloatArray:
    values = np.asarray(means, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"means must be a list of numbers, one for each arm and at least one, got {means!r}")
    for k in np.flatnonzero(~np.isfinite(values)):
        raise ValueError(f"means[{k}] = {values[k]:g} is not a finite number")
    return values


def _interval(sigma: Any, graph: Graph | None) -> tuple[float, float]:
    """Smallest and largest level where sigma is no matrix."""
    if isinstance(sigma, int | float):
        if graph is None:
            raise ValueError(f"sigma is the one number {sigma:g}: say who sees whom with graph=, or give K lists of K")
        if not 0 <= sigma < np.inf:
            raise ValueError(f"sigma must be at least 0 and finite beside a graph, got {sigma:g}")
        return float(sigma), float(sigma)
    if graph != "random" or len(sigma) != 2:
        raise ValueError(
            f"sigma is a list of {len(sigma)} numbers: give K lists of K, or [low, high] to graph='random'"
        )
    low, high = sigma
    if not 0 < low <= high < np.inf:
        raise ValueError(f"sigma=[low, high] must have 0 < low <= high, both finite, got [{low:g}, {high:g}]")
    return float(low), float(high)


def _matrix(sigma: Sequence[Sequence[Entry]], n_arms: int) -> FloatArray:
    """Noise levels (K, K), checked: infinite where nothing is seen."""
    if len(sigma) != n_arms:
        raise ValueError(f"sigma has {len(sigma)} rows, expected {n_arms}: one for each of the means")
    for i, row in enumerate(sigma):
        if len(row) != n_arms:
            raise ValueError(f"sigma[{i}] has {len(row)} entries, expected {n_arms}: sigma is K lists of K numbers")
    matrix = np.array([[_level(entry, i, j) for j, entry in enumerate(row)] for i, row in enumerate(sigma)])
    for j in np.flatnonzero(~np.isfinite(matrix).any(axis=0)):
        warnings.warn(
            f"no arm sees arm {j}: column {j} of sigma is infinite, so no agent can know whether it is the best",
            stacklevel=2,
        )
    return matrix


def _level(entry: Entry, i: int, j: int) -> float:
    """One noise level as a number."""
    wanted = "a noise level is a number of at least 0, or inf where nothing is seen"
    if entry is None:
        return np.inf
    try:
        level = float(entry)
    except ValueError as error:
        raise ValueError(f"sigma[{i}][{j}] = {entry!r}: {wanted}") from error
    if not level >= 0:
        raise ValueError(f"sigma[{i}][{j}] = {level:g}: {wanted}")
    return level


def _sees(graph: Graph | None, directed: bool, n_arms: int) -> NDArray[np.bool_]:
    """Whether playing the row's arm shows the column's arm, (K, K)."""
    sees = np.eye(n_arms, dtype=np.bool_)
    arms = np.arange(n_arms)
    if graph == "full":
        sees[:] = True
    elif graph == "cycle":
        sees[arms, (arms + 1) % n_arms] = sees[arms, arms - 1] = True
    elif graph in ("star", "revealing"):
        sees[0] = True
        sees[:, 0] |= graph == "star"
    elif graph is not None and not isinstance(graph, str):
        for group in graph:
            for k in group:
                if not 0 <= k < n_arms:
                    raise ValueError(f"graph names the arm {k}, expected 0..{n_arms - 1}")
            if directed and len(group) != 2:
                raise ValueError(f"graph has {list(group)}: with directed=true each entry is a pair [i, j], i sees j")
            sees[np.ix_(group[:1] if directed else group, group)] = True
    return sees
