"""Arrays begin at a cache line, whatever their shape and type."""

import numpy as np
import pytest

from bandits.arrays import empty, full, zeros


@pytest.mark.parametrize("shape", [1, 1000, (3, 7), (2, 3, 5)])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.bool_])
def test_an_array_begins_at_a_cache_line(shape, dtype):
    kept = [empty(shape, dtype) for _ in range(5)]
    for array in kept:
        assert array.ctypes.data % 64 == 0 and array.flags.c_contiguous and array.flags.writeable
        assert array.shape == np.empty(shape).shape and array.dtype == dtype


def test_values_are_those_of_numpy():
    np.testing.assert_array_equal(zeros((2, 3), np.int64), np.zeros((2, 3), np.int64), strict=True)
    np.testing.assert_array_equal(full(4, 1e100), np.full(4, 1e100), strict=True)
