"""The worked instances of the project's specification, section 1.5, under their names there."""

from __future__ import annotations

import math

from bandits import environment
from bandits.specs import Spec

INF = math.inf


def _play(means: list[float], **who_sees_whom: object) -> Spec:
    return environment("gaussian_side_observations", means=means, **who_sees_whom)


MIXED = [
    [1, INF, INF, INF, 2],
    [INF, 1, 2, 1, INF],
    [INF, 0.5, 1, INF, 1],
    [1, INF, 0.8, 0.5, INF],
    [INF, 1.5, INF, 1, 1],
]
INSTANCES = {
    "E1": _play([0.9, 0.7, 0.5, 0.3], graph="standard"),
    "E2": _play([0.9, 0.7, 0.5, 0.3], graph="full"),
    "E3": _play([1.0, 0.8, 0.5, 0.6, 0.3, 0.7], graph="cycle"),
    "E4": _play([1.0, 0.9, 0.8, 0.7, 0.5, 0.2], graph=[[0, 1], [2, 4], [3, 5]]),
    "E5": _play([0.2, 1.0, 0.8, 0.6, 0.4], graph="revealing"),
    "E7b": _play([1.0, 0.7, 0.5], sigma=[[INF] * 3, [1] * 3, [1] * 3]),
    "E7c": _play([1.0, 0.6], sigma=[[INF, 1], [1, INF]]),
    "E9": _play([1.0] + [0.5] * 5, graph=[[1, 2], [2, 3], [3, 4], [4, 5], [5, 1]]),
    "E10": _play([1.0, 0.8, 0.7, 0.5, 0.6], sigma=MIXED),
    "E11": _play([1.0, 0.7, 0.5], sigma=[[INF] * 3, [1, 0.5, 2], [2, 1, 0.5]]),
    "E12": _play([0.5, 1.0] + [0.8] * 30, graph="revealing"),
}
