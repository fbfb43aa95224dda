"""Classification as a contextual bandit: see the features of a row, name its class, learn whether that was right.

Each round draws a row of a labelled data set, uniformly and with replacement. The context is its features; the arms are
the classes; the reward is 1 for the right one and 0 for any other, and nothing tells which one would have been right.
Regret is the number of errors: knowing the label makes none. So it need not grow slowly even for the best linear rule,
unless that makes no errors. Features are standardised over all rows, constant ones are left out, and a constant 1 is
added.

References:
    [1] Dudik, Langford and Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011, Section 5.
    [2] Bietti, Agarwal and Langford, "A Contextual Bandit Bake-off", JMLR 22 (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bandits.kernels import kernel
from bandits.protocol import Context, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._data import digest_of, is_file, labelled

__all__ = ["Classification"]


@kernel
def show_rows(features: FloatArray, labels: IntArray, row: IntArray, context: FloatArray, label: IntArray) -> None:
    """Features of each lane's row into context (d, B), and its label: features is (n, d)."""
    for b in range(row.size):
        label[b] = labels[row[b]]
        for i in range(features.shape[1]):
            context[i, b] = features[row[b], i]


@kernel
def judge(action: IntArray, label: IntArray, reward: FloatArray, regret: FloatArray) -> None:
    """Reward 1 and regret 0 for the right class, the other way round for a wrong one."""
    for b in range(action.size):
        right = action[b] == label[b]
        reward[b] = 1.0 if right else 0.0
        regret[b] = 0.0 if right else 1.0


@register_environment("classification", source="Dudik, Langford and Li (2011), Sect. 5")
class Classification:
    """A labelled data set whose classes are the arms.

    Args:
        streams: Random streams of the batch; rows are drawn from ``context``.
        data: "digits" or "breast_cancer" (of scikit-learn), "covertype_like" (synthetic, drawn once and for all, with
            the shape of UCI's Covertype), or the name of a CSV or Parquet file with a header and numbers.
        label: Column of the file that holds the classes, numbers or words, in whose order the arms are numbered.
        digest: Hash of the file's content, filled in where the environment is declared. It makes the content part of
            what a cell is: a file that has changed since is refused.
        intercept: Add a feature that is always 1.
    """

    examples = ({"data": "breast_cancer"},)

    @staticmethod
    def resolve(given: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in the digest of a file."""
        data = given.get("data")
        if not is_file(data) or given.get("digest") is not None:
            return dict(given)
        return {**given, "digest": digest_of(str(data))}

    def __init__(
        self,
        streams: Streams,
        *,
        data: str,
        label: str | None = None,
        digest: str | None = None,
        intercept: bool = True,
    ) -> None:
        found = labelled(data, label, digest, intercept)
        self._features, self._labels, self._stream = found.features, found.labels, streams.context
        d = self._features.shape[1]
        self._context, self._label = np.empty((d, streams.size)), np.empty(streams.size, dtype=np.int64)
        self._feedback = Feedback(np.empty(streams.size), np.empty(streams.size))
        context = Context(
            n_features=d,
            per_arm=False,
            feature_norm=found.longest,
            feature_range=(float(self._features.min()), float(self._features.max())),
        )
        self.problem = Problem(n_arms=found.n_classes, reward_range=(0.0, 1.0), context=context)

    def observe(self, t: int) -> FloatArray:
        """Features of the round's row: (d, B)."""
        row = self._stream.integers(t, len(self._labels))
        show_rows(self._features, self._labels, row, self._context, self._label)
        return self._context

    def step(self, t: int, action: IntArray) -> Feedback:
        """Judge the answers; call `observe` first."""
        judge(action, self._label, self._feedback.reward, self._feedback.regret)
        return self._feedback

    def best_action(self, t: int) -> IntArray:
        """For the oracle: the right class of the row that was observed last, shape (B,)."""
        return self._label

    def bound(self) -> None:
        """None is known."""
