"""Pack three values of a scored row into one number, so that a day's files have fewer columns.

A cell packs the bin of the text's length, the bin of its share of unknown tokens (`distill.scoring.drift`), and whether
the text was cut.
"""

import numpy as np
import numpy.typing as npt

from distill.scoring.drift import LENGTH_EDGES, UNKNOWN_EDGES, Bins

Cells = npt.NDArray[np.int16]

_SIZES = (len(LENGTH_EDGES) + 1, len(UNKNOWN_EDGES) + 1, 2)


def pack(lengths: Bins, unknown: Bins, cut: npt.NDArray[np.bool_]) -> Cells:
    """The cells of rows, (rows,)."""
    return ((lengths.astype(np.int16) * _SIZES[1] + unknown) * _SIZES[2] + cut).astype(np.int16)


def unpack(cells: Cells) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The bins of lengths and of unknown shares, and whether cut, of cells, (rows,) each."""
    lengths, unknown, cut = np.unravel_index(cells, _SIZES)
    return lengths, unknown, cut == 1
