"""Who asks whom: gossip matrices by name, from numbers, from a file, and what reaches whom along them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.number_files import ENDINGS, read_numbers
from bandits.protocol import FloatArray, IntArray
from bandits.streams import Streams

__all__ = ["NETWORKS", "gossip_matrix", "is_connected", "reached", "resolve"]

BoolArray = NDArray[np.bool_]

NETWORKS = ("complete", "ring", "star", "grid", "erdos_renyi", "same_bandit")
_ATTEMPTS = 10_000


def gossip_matrix(
    network: str | Sequence[Sequence[float]], bandit: IntArray, edge_probability: float | None, seed: int
) -> FloatArray:
    """Probability that the row's learner asks the column's, shape (N, N), checked.

    Args:
        network: One of `NETWORKS`, each uniform over neighbours, or N lists of N numbers.
        bandit: The bandit that each learner learns, shape (N,).
        edge_probability: Of each pair in "erdos_renyi", 0.3 if None; the graph is drawn anew until the learners of
            each bandit are connected.
        seed: Decides the random graph, the same for all replications.
    """
    if edge_probability is not None and network != "erdos_renyi":
        raise ValueError("edge_probability is of use with network='erdos_renyi' alone: leave it out")
    if not isinstance(network, str):
        return _stochastic(_square(network, bandit.size), "network")
    if network in NETWORKS:
        return _uniform(_edges(network, bandit, 0.3 if edge_probability is None else edge_probability, seed))
    raise ValueError(
        f"network must be {', '.join(NETWORKS)}, N lists of N numbers, or the name of a .csv or .parquet file, "
        f"got '{network}'"
    )


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a file's name by the means or the gossip matrix in it, and a graph object by its gossip matrix.

    Raises:
        ValueError: The file holds no table of numbers, or the graph's nodes are not the learners 0..N-1.
    """
    plain = dict(given)
    for name in ("network", "means"):
        file: Any = given.get(name)
        if isinstance(file, os.PathLike) or (isinstance(file, str) and file.lower().endswith(ENDINGS)):
            rows = read_numbers(file)
            for r, row in enumerate(rows if name == "means" else [], start=1):
                if None in row:
                    raise ValueError(f"{file}: row {r}, column {row.index(None) + 1} is empty, expected an arm's mean")
            plain[name] = [[0.0 if entry is None else entry for entry in row] for row in rows]
    network: Any = given.get("network")
    if all(hasattr(network, name) for name in ("nodes", "edges", "has_edge")):
        plain["network"] = _of_graph(network)
    return plain


def _of_graph(graph: Any) -> list[list[float]]:
    """Matrix of a graph: a learner asks each neighbour in proportion to the edge's "weight", which is 1 if not given.

    An edge of a directed graph points from who asks to who is asked; parallel edges add up; loops do not count.
    """
    n = len(graph.nodes)
    if set(graph.nodes) != set(range(n)):
        raise ValueError(
            f"the nodes of the network must be the learners 0..{n - 1}; "
            "networkx.convert_node_labels_to_integers numbers them"
        )
    weights = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j and graph.has_edge(i, j):
                parallel = graph[i][j].values() if getattr(graph, "is_multigraph", bool)() else [graph[i][j]]
                weights[i, j] = sum(_weight(edge.get("weight", 1.0), i, j) for edge in parallel)
    rows: list[list[float]] = _uniform(weights).tolist()
    return rows


def _weight(weight: Any, i: int, j: int) -> float:
    if not isinstance(weight, int | float | np.number) or not 0 <= weight < np.inf:
        raise ValueError(
            f"the edge ({i}, {j}) of the network has the weight {weight!r}, expected a number of at least 0"
        )
    return float(weight)


def _square(rows: Sequence[Sequence[float]], n: int) -> FloatArray:
    for i, row in enumerate(rows):
        if len(row) != n:
            raise ValueError(f"network[{i}] has {len(row)} entries, expected {n}: one for each learner")
    if len(rows) != n:
        raise ValueError(f"network has {len(rows)} rows, expected {n}: one for each learner")
    return np.array([[float(entry) for entry in row] for row in rows])


def _stochastic(matrix: FloatArray, name: str) -> FloatArray:
    """Check that rows are probabilities, or zero for a learner that asks nobody."""
    for i, j in np.argwhere(~(matrix >= 0) | np.isinf(matrix)):
        raise ValueError(f"{name}[{i}][{j}] = {matrix[i, j]:g} is not a probability: entries are at least 0")
    total = matrix.sum(axis=1)
    for i in np.flatnonzero((np.abs(total - 1.0) > 1e-9) & (total != 0.0)):
        raise ValueError(
            f"row {i} of {name} sums to {total[i]:.10g}, expected 1 (or all zeros for a learner that asks nobody)"
        )
    return _uniform(matrix)


def _uniform(weights: FloatArray) -> FloatArray:
    """Rows in proportion to the weights, zero where they are."""
    total = weights.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return shares


def _edges(network: str, bandit: IntArray, edge_probability: float, seed: int) -> FloatArray:
    n = bandit.size
    learner = np.arange(n)
    apart = learner[:, None] - learner[None, :]
    if network == "complete":
        edges = apart != 0
    elif network == "same_bandit":
        edges = (apart != 0) & (bandit[:, None] == bandit[None, :])
    elif network == "ring":
        edges = (apart != 0) & ((apart % n == 1) | (-apart % n == 1))
    elif network == "star":
        edges = (apart != 0) & ((learner[:, None] == 0) | (learner[None, :] == 0))
    elif network == "grid":
        width = next(w for w in range(int(np.sqrt(n)), 0, -1) if n % w == 0)
        row, column = learner // width, learner % width
        steps = np.abs(row[:, None] - row[None, :]) + np.abs(column[:, None] - column[None, :])
        edges = steps == 1
    else:
        edges = _random_graph(bandit, edge_probability, seed)
    return np.asarray(edges, dtype=np.float64)


def _random_graph(bandit: IntArray, edge_probability: float, seed: int) -> BoolArray:
    """Erdos-Renyi graph, drawn anew until the learners of each bandit are connected among themselves."""
    if not 0 < edge_probability <= 1:
        raise ValueError(f"edge_probability must lie in (0, 1], got {edge_probability}")
    n = bandit.size
    upper = np.triu_indices(n, 1)
    stream = Streams(seed, 1).network
    for attempt in range(_ATTEMPTS):
        edges = np.zeros((n, n), dtype=np.bool_)
        edges[upper] = stream.uniforms(attempt, upper[0].size)[:, 0] < edge_probability
        edges |= edges.T
        if all(is_connected(edges[np.ix_(bandit == m, bandit == m)]) for m in range(int(bandit.max()) + 1)):
            return edges
    raise ValueError(
        f"no random graph with edge_probability {edge_probability} connects the learners of each bandit, "
        f"in {_ATTEMPTS} attempts: raise it"
    )


def is_connected(edges: BoolArray) -> bool:
    """Whether every learner reaches every other along the edges (n, n), in their direction."""
    return all(bool(reached(edges, np.arange(len(edges)) == i).all()) for i in range(len(edges)))


def reached(edges: BoolArray, sources: BoolArray) -> BoolArray:
    """Who hears, directly or through others, from one of the sources (n,): an edge leads from who asks to the asked."""
    known = sources.copy()
    while True:
        more = known | (edges & known[None, :]).any(axis=1)
        if (more == known).all():
            return known
        known = more
