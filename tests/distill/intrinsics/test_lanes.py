"""Sums and maxima of many 16-bit numbers at once, against numpy."""

import numba
import numpy as np
import numpy.typing as npt
import pytest

from distill.intrinsics import lanes
from distill.intrinsics.lanes import LANES

Shorts = npt.NDArray[np.int16]


@numba.njit
def sum_and_largest(a: Shorts, b: Shorts, at: int, sums: Shorts, most: Shorts) -> None:
    lanes.store(sums, at, lanes.add(lanes.load(a, at), lanes.load(b, at)))
    lanes.store(most, at, lanes.largest(lanes.load(a, at), lanes.load(b, at)))


@pytest.mark.parametrize("at", [0, 1, 7, LANES])
def test_lanes_are_those_from_the_index_on_and_no_others(at: int) -> None:
    random = np.random.default_rng(at)
    a, b = random.integers(-(2**15), 2**15, (2, 3 * LANES)).astype(np.int16)
    sums, most = np.zeros((2, 3 * LANES), np.int16)
    sum_and_largest(a, b, at, sums, most)
    here = slice(at, at + LANES)
    assert (sums[here] == a[here] + b[here]).all()  # both wrap in 16 bits
    assert (most[here] == np.maximum(a[here], b[here])).all(), "signed"
    for numbers in (sums, most):
        assert not numbers[:at].any() and not numbers[at + LANES :].any()
