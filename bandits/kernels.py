"""Compiled functions: how the engine's numba kernels are declared, and the arithmetic that they share.

``@kernel`` compiles a function over arrays, ``@inline`` a scalar function for use inside kernels. Every result is
built from IEEE +, -, *, / and sqrt and integer operations alone, without fused or reordered arithmetic, so it is the
same bits for any batch width and on any machine; that is why `log` and `exp` are our own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import config, float64, int64, njit, uint64
from numba.core import types
from numba.extending import intrinsic

from .protocol import FloatArray, IntArray

__all__ = [
    "HUGE",
    "argmax",
    "argmax_random",
    "cache_folder",
    "count_pulls",
    "exp",
    "inline",
    "inner_products",
    "inverse_root",
    "kernel",
    "log",
    "log1p",
    "place",
    "power",
]

F = TypeVar("F", bound=Callable[..., Any])

HUGE = 1e150  # stands for infinity where 0 * inf would be NaN: the index of an arm that was never played


def _source_digest() -> str:
    """Hash of every engine file that kernels may call.

    numba revalidates a cached kernel against its own file only, so a change in a function that it inlines from another
    file would go unnoticed; a cache folder per state of the source cannot be stale.
    """
    digest = hashlib.sha256()
    home = Path(__file__).resolve().parent
    for folder in (
        home,
        home / "agents",
        home / "environments",
        home.parent / "agents",
        home.parent / "environments",
    ):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def cache_folder() -> str:
    """Writable folder for compiled kernels, made on first use; those of other versions go after a week unused."""
    digest = _source_digest()
    try:
        base = config.CACHE_DIR or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = Path(base) / "bandits" / f"kernels-{digest}"
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        for other in folder.parent.glob("kernels-*"):
            if time.time() - other.stat().st_mtime > 7 * 86400:
                shutil.rmtree(other, ignore_errors=True)
    except (OSError, RuntimeError):  # no home, or one that cannot be written: compile afresh in each process
        folder = Path(tempfile.mkdtemp(prefix="bandits-kernels-"))
    return str(folder)


_CACHE_FOLDER = cache_folder()


def _compile(function: F, **options: Any) -> F:
    before = config.CACHE_DIR
    config.CACHE_DIR = _CACHE_FOLDER
    try:
        compiled: F = njit(error_model="numpy", cache=True, **options)(function)
    finally:
        config.CACHE_DIR = before
    return compiled


def kernel(function: F) -> F:
    """Compile a function over whole arrays. It must take everything that it uses as an argument.

    The compiled code is kept on disk. Division by zero gives inf or NaN, as in NumPy: numba's own default raises, and
    the branch for that keeps a loop from being vectorised.
    """
    return _compile(function)


def inline(function: F) -> F:
    """Compile a scalar function that kernels call; its code is copied into the caller."""
    return _compile(function, inline="always")


@intrinsic
def _bits_of(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _float_of(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


_SQRT_HALF = 0x3FE6A09E << 32  # upper bits of sqrt(1/2)
_ONE = 0x3FF00000 << 32
_MANTISSA = 0x000FFFFFFFFFFFFF
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


@inline
def log(x: float) -> float:
    """Natural logarithm within 1 ulp (coefficients of fdlibm's e_log.c).

    Of positive normal numbers only: 0, infinity and NaN give no sensible answer, so that no branch is needed.
    """
    bits = _bits_of(float64(x)) + int64(_ONE - _SQRT_HALF)
    exponent = float64((bits >> int64(52)) - int64(1023))
    f = _float_of((bits & int64(_MANTISSA)) + int64(_SQRT_HALF)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    even = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    result: float = s * (half + odd + even) + exponent * _LN2_LOW - half + f + exponent * _LN2_HIGH
    return result


@inline
def exp(x: float) -> float:
    """Exponential, within 1 ulp (coefficients of fdlibm's e_exp.c); 0 below -708, e^709 above 709, NaN for NaN."""
    y = x if x > -708.0 else -708.0
    y = y if y < 709.0 else 709.0
    n = np.floor(y * 1.44269504088896338700 + 0.5)
    high = y - n * _LN2_HIGH
    low = n * _LN2_LOW
    r = high - low
    z = r * r
    p1 = 4.13813679705723846039e-08
    c = r - z * (
        1.66666666666666019037e-01
        + z
        * (-2.77777777770155933842e-03 + z * (6.61375632143793436117e-05 + z * (-1.65339022054652515390e-06 + z * p1)))
    )
    fraction = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    scale = _float_of((int64(n) + int64(1023)) << int64(52))
    result = 0.0 if x < -708.0 else fraction * scale
    return result if x == x else x


@inline
def log1p(x: float) -> float:
    """``log(1 + x)`` for finite x > -1, accurate near 0: log(u) corrected for the rounding of u = 1 + x."""
    u = 1.0 + x
    return x if u == 1.0 else log(u) * (x / (u - 1.0))


@inline
def power(x: float, y: float) -> float:
    """``x ** y`` for x > 0, as exp(y log x): relative error grows like ``|y log x|`` ulps."""
    return exp(y * log(x))


@inline
def inverse_root(x: float) -> float:
    """``1 / sqrt(x)`` within 2 ulp, for x in [1e-300, 1e300]: a third of the time of a root and a division.

    The first guess, from halving the exponent, is within 3.5 %; each Newton step squares that error.
    """
    half = 0.5 * x
    y = _float_of(int64(0x5FE6EB50C7B537A9) - (_bits_of(float64(x)) >> int64(1)))
    y = y * (1.5 - half * y * y)
    y = y * (1.5 - half * y * y)
    y = y * (1.5 - half * y * y)
    result: float = y + y * (0.5 - half * y * y)
    return result


@inline
def place(k: int) -> int:
    """An arm or slot as an index: unsigned, so that no time goes into indices that count from the end."""
    result: int = uint64(k)
    return result


@kernel
def argmax(index: FloatArray, action: IntArray, best: FloatArray) -> None:
    """Write the lowest arm with the largest index, per lane: index (K, B), action (B,), best is scratch (B,)."""
    for b in range(action.size):
        best[b] = index[0, b]
        action[b] = 0
    for k in range(1, index.shape[0]):
        for b in range(action.size):
            value = index[k, b]
            better = value > best[b]
            best[b] = value if better else best[b]
            action[b] = k if better else action[b]


@kernel
def argmax_random(index: FloatArray, uniforms: FloatArray, action: IntArray, best: FloatArray) -> None:
    """Like `argmax`, but among equal arms the one with the largest uniform wins: uniforms (K, B)."""
    for b in range(action.size):
        best[b] = index[0, b]
        action[b] = 0
    for k in range(1, index.shape[0]):
        for b in range(action.size):
            value = index[k, b]
            tie = (value == best[b]) & (uniforms[k, b] > uniforms[action[b], b])
            better = (value > best[b]) | tie
            best[b] = value if better else best[b]
            action[b] = k if better else action[b]


@kernel
def inner_products(x: FloatArray, y: FloatArray, out: FloatArray) -> None:
    """Write ``sum over i of x[i, a] * y[i, a]`` for each arm a and lane: out is (K, B).

    x and y have the shape (d, K, B), or (d, 1, B) where one vector goes with all arms.
    """
    own_x, own_y = 1 if x.shape[1] > 1 else 0, 1 if y.shape[1] > 1 else 0
    for a in range(out.shape[0]):
        for b in range(out.shape[1]):
            out[a, b] = 0.0
        for i in range(x.shape[0]):
            for b in range(out.shape[1]):
                out[a, b] += x[i, a * own_x, b] * y[i, a * own_y, b]


@kernel
def count_pulls(action: IntArray, pulls: IntArray) -> None:
    """Count one more pull of each lane's action: pulls (K, B)."""
    for b in range(action.size):
        pulls[place(action[b]), b] += 1
