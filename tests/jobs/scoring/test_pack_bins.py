"""A cell is three numbers in one."""

import itertools

import numpy as np

from distill.scoring.drift import LENGTH_EDGES, UNKNOWN_EDGES
from jobs.scoring.pack_bins import pack, unpack


def test_what_was_packed_comes_back() -> None:
    every = itertools.product(range(len(LENGTH_EDGES) + 1), range(len(UNKNOWN_EDGES) + 1), (False, True))
    lengths, unknown, cut = zip(*every, strict=True)
    cells = pack(np.array(lengths, np.int8), np.array(unknown, np.int8), np.array(cut))
    assert len(set(cells.tolist())) == len(cells)
    assert [tuple(column.tolist()) for column in unpack(cells)] == [lengths, unknown, cut]
