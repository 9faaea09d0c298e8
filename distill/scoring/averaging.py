"""The averaging part in the scorer: what a token adds to its hidden layer is one row of a table.

The layer is linear in the embeddings, so a channel's table is E A_g, (ids, units), rounded as the convolutions' tables
are (`distill.scoring.channel`). The rows of a text are added as whole numbers, so their order changes nothing.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.intrinsics.prefetch import prefetch
from distill.scoring.channel import Floats, sum_of


class AverageTable(NamedTuple):
    """A channel's part of the hidden layer: table int16 (ids, units), in `steps`, float32 (units,)."""

    table: npt.NDArray[np.int16]
    steps: Floats


class AverageHead(NamedTuple):
    """The weights behind the sum over the channels: bias float32 (units,), output float32 (2, units)."""

    bias: Floats
    output: Floats


@numba.njit(cache=True)
def add_average(
    ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], channel: AverageTable, hidden: Floats
) -> None:
    """Add the mean of the rows of each text's tokens to its hidden layer, (texts, units)."""
    units = channel.table.shape[1]
    flat = channel.table.reshape(-1)
    total = np.empty(units, np.int32)
    for text in range(len(offsets) - 1):
        if text + 2 < len(offsets):  # as in `add_channel`
            for token in ids[offsets[text + 1] : min(offsets[text + 2], offsets[text + 1] + 64)]:
                for at in range(token * units, (token + 1) * units, 32):
                    prefetch(flat, at)  # type: ignore[call-arg]
        total[:] = 0
        for token in ids[offsets[text] : offsets[text + 1]]:
            for unit in range(units):
                total[unit] += channel.table[token, unit]
        count = np.float32(max(offsets[text + 1] - offsets[text], 1))
        for unit in range(units):  # 256 rows of 16 bits are a whole number of 24: exact
            hidden[text, unit] += np.float32(total[unit]) * channel.steps[unit] / count


@numba.njit(cache=True)
def add_hidden(hidden: Floats, head: AverageHead, logits: npt.NDArray[np.float64]) -> None:
    """Add what the hidden layer gives to the logits of every text, (texts, 2)."""
    sums = np.empty((2, len(head.bias)), np.float32)
    for text in range(len(hidden)):
        for unit in range(len(head.bias)):
            feature = max(hidden[text, unit] + head.bias[unit], np.float32(0))
            sums[0, unit] = feature * head.output[0, unit]
            sums[1, unit] = feature * head.output[1, unit]
        logits[text, 0] += sum_of(sums[0])
        logits[text, 1] += sum_of(sums[1])
