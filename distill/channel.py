"""A channel of the scorer: its look-up table, and the sums and maxima over the rows of a text's tokens.

The table holds whole numbers of 16 bits, in steps of the filter's own: half the memory of floats, which is what the
time goes into. The steps are as small as no sum of w rows overflows, step = sum over taps of max |table| / 32767, so
that a feature is off by at most w / 2 of them (`Scorer.rounding` bounds what that does to a logit).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.prefetch import prefetch

Floats = npt.NDArray[np.float32]


class Channel(NamedTuple):
    """One channel's part of the network.

    table int16 (ids, taps * filters), in `steps`; steps float32 (widths * filters,), what 1 in the table is of each
    filter; widths int64 (widths,); biases float32 (widths * filters,); output float32 (2, widths * filters), the output
    layer's part for them; bag float32 (ids, 2), what a token adds to the logits through the embeddings' sum.
    """

    table: npt.NDArray[np.int16]
    steps: Floats
    widths: npt.NDArray[np.int64]
    biases: Floats
    output: Floats
    bag: Floats


def step_sizes(largest: Floats, widths: Sequence[int]) -> Floats:
    """The value of 1 in a rounded table, (widths, filters): no window's sum leaves 16 bits; largest (taps, filters)."""
    sums = np.add.reduceat(largest, np.cumsum([0, *widths[:-1]]))
    # A tap rounds up by half a step at most, for which there is room in what is left of 32767.
    return np.maximum(sums / np.float32(32767 - max(widths)), np.float32(1e-30)).astype(np.float32)


@numba.njit(cache=True)
def multiply(embedding: Floats, taps: Floats, row: Floats) -> None:
    """A token's row of the table: embedding (d,) and taps (t, d, f) -> row (t, f)."""
    row[:] = np.float32(0)
    for t in range(len(taps)):
        for d in range(len(embedding)):
            for f in range(taps.shape[2]):
                row[t, f] += embedding[d] * taps[t, d, f]


@numba.njit(cache=True)
def largest(embeddings: Floats, taps: Floats) -> Floats:
    """The greatest absolute value in each column of the table, (taps, filters), without its floats in memory."""
    row = np.empty((taps.shape[0], taps.shape[2]), np.float32)
    found = np.zeros_like(row)
    for i in range(len(embeddings)):
        multiply(embeddings[i], taps, row)
        np.maximum(found, np.abs(row), found)
    return found


@numba.njit(cache=True)
def rounded_table(embeddings: Floats, taps: Floats, steps: Floats) -> npt.NDArray[np.int16]:
    """The table in whole steps, (taps, filters), of each column: int16 (ids, taps * filters)."""
    count, filters = len(steps), len(steps[0])
    row = np.empty((count, filters), np.float32)
    table = np.empty((len(embeddings), count * filters), np.int16)
    for i in range(len(embeddings)):
        multiply(embeddings[i], taps, row)
        for t in range(count):
            for f in range(filters):
                table[i, t * filters + f] = np.int16(np.rint(row[t, f] / steps[t, f]))
    return table


@numba.njit(cache=True)
def float_table(embeddings: Floats, taps: Floats) -> Floats:
    """The table as it is, float32 (ids, taps * filters)."""
    table = np.empty((len(embeddings), taps.shape[0], taps.shape[2]), np.float32)
    for i in range(len(embeddings)):
        multiply(embeddings[i], taps, table[i])
    return table.reshape(len(embeddings), -1)


@numba.njit(cache=True)
def add_channel(
    ids: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    channel: Channel,
    logits: npt.NDArray[np.float64],
) -> None:
    """Add what a channel says of every text to its logits, (texts, 2)."""
    filters = len(channel.biases) // len(channel.widths)
    flat, columns = channel.table.reshape(-1), channel.table.shape[1]
    best = np.empty(filters, np.int16)
    said = np.empty((2, filters), np.float32)  # side by side, so that the sums over widths need no order
    for text in range(len(offsets) - 1):
        tokens = ids[offsets[text] : offsets[text + 1]]
        # Rows lie all over the memory: those of the next text are on their way while this one is summed.
        if text + 2 < len(offsets):
            for token in ids[offsets[text + 1] : min(offsets[text + 2], offsets[text + 1] + 64)]:
                for at in range(token * columns, (token + 1) * columns, 32):
                    prefetch(flat, at)  # type: ignore[call-arg]
        said[:] = np.float32(0)
        tap = 0
        for w in range(len(channel.widths)):
            best_window(tokens, channel.table, tap, channel.widths[w], best)
            for f in range(filters):
                at = w * filters + f
                feature = max(best[f] * channel.steps[at] + channel.biases[at], np.float32(0))
                said[0, f] += feature * channel.output[0, at]
                said[1, f] += feature * channel.output[1, at]
            tap += channel.widths[w]
        for label in range(2):
            total = 0.0
            for token in tokens:
                total += channel.bag[token, label]
            total /= math.sqrt(max(len(tokens), 1))
            for f in range(filters):
                total += said[label, f]
            logits[text, label] += total


@numba.njit(cache=True)
def best_window(
    tokens: npt.NDArray[np.int32], table: npt.NDArray[np.int16], tap: int, width: int, best: npt.NDArray[np.int16]
) -> None:
    """Of every filter the greatest sum of a window of `width` tokens, whose taps are in the table from `tap` on."""
    filters = len(best)
    sums = np.empty(filters, np.int16)
    # What fills up a short text has the embedding zero, and so adds nothing.
    last = min(width, len(tokens)) - 1
    best[:] = -32768 if last >= 0 else 0
    for i in range(len(tokens) - last if last >= 0 else 0):
        begin = tap * filters
        window = table[tokens[i], begin : begin + filters]
        for k in range(1, last):
            begin += filters
            row = table[tokens[i + k], begin : begin + filters]
            for f in range(filters):
                sums[f] = window[f] + row[f]
            window = sums
        if last == 0:
            for f in range(filters):
                best[f] = max(best[f], window[f])
        else:
            begin += filters
            row = table[tokens[i + last], begin : begin + filters]
            for f in range(filters):
                best[f] = max(best[f], np.int16(window[f] + row[f]))
