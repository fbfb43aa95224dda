"""What files and graph objects say of who sees whom, as plain data for a declaration."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from typing import Any

from bandits.number_files import read_numbers

__all__ = ["resolve"]


def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a file's name for sigma by the matrix in it, and a graph object by its edges.

    Raises:
        ValueError: The file holds no square matrix, or the graph's nodes are not the arms 0..K-1.
    """
    plain = dict(given)
    sigma: Any = given.get("sigma")
    graph: Any = given.get("graph")
    if isinstance(sigma, str | os.PathLike):
        plain["sigma"] = _square(sigma)
    if all(hasattr(graph, name) for name in ("nodes", "edges", "is_directed")):
        plain["graph"] = _edges(graph, given)
        if graph.is_directed():
            plain["directed"] = True
    return plain


def _square(file: str | os.PathLike[str]) -> list[list[float]]:
    """The matrix in a file, an empty cell standing for infinity."""
    rows = read_numbers(file)
    for r, row in enumerate(rows, start=1):
        if len(row) != len(rows):
            raise ValueError(f"{file}: row {r} of {len(rows)} has {len(row)} entries, expected K rows of K for sigma")
    return [[math.inf if level is None else level for level in row] for row in rows]


def _edges(graph: Any, given: Mapping[str, Any]) -> list[list[int]]:
    """Edges of a graph object such as networkx makes, sorted, without loops: every arm sees itself anyway."""
    nodes, directed = list(graph.nodes), bool(graph.is_directed())
    if given.get("directed", directed) != directed:
        kind = "directed" if directed else "undirected"
        raise ValueError(f"the graph is {kind}, but directed={given['directed']}: leave directed out")
    means = given.get("means")
    expected = given.get("n_arms") if means is None else len(means)
    if expected not in (None, len(nodes)):
        raise ValueError(f"the graph has {len(nodes)} nodes, but there are {expected} arms")
    try:
        numbers = {operator.index(node) for node in nodes}
    except TypeError:
        numbers = set()
    if numbers != set(range(len(nodes))):
        raise ValueError(
            f"the nodes of the graph must be the arms 0..{len(nodes) - 1}; "
            "networkx.convert_node_labels_to_integers numbers them"
        )
    pairs = {(int(edge[0]), int(edge[1])) for edge in graph.edges}
    return [
        list(pair) for pair in sorted(pairs if directed else {(min(p), max(p)) for p in pairs}) if pair[0] != pair[1]
    ]
