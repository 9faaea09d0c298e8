"""A channel of the scorer: its look-up table, and the sums and maxima over the rows of a text's tokens.

The table holds whole numbers of 16 bits, in steps of the filter's own: half the memory of floats, and memory access
takes the time. The steps are as small as no sum of w rows overflows, step = sum over taps of max |table| / 32767, so
that a feature is off by at most w / 2 of them (`Scorer.rounding` bounds what that does to a logit).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.intrinsics import lanes
from distill.intrinsics.lanes import LANES
from distill.intrinsics.prefetch import prefetch

Floats = npt.NDArray[np.float32]


class Channel(NamedTuple):
    """One channel's part of the network.

    table int16 (ids, taps * filters) as `empty_table` makes it, in `steps`; steps float32 (widths * filters,), what 1
    in the table is of each filter; widths int64 (widths,); biases float32 (widths * filters,); output float32
    (2, widths * filters), the output layer's part for them; bag float32 (ids, 2), what a token adds to the logits
    through the embeddings' sum.
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
    highest = np.zeros_like(row)
    for i in range(len(embeddings)):
        multiply(embeddings[i], taps, row)
        np.maximum(highest, np.abs(row), highest)
    return highest


def empty_table(ids: int, columns: int) -> npt.NDArray[np.int16]:
    """Room for a table, int16 (ids, columns), behind which there is memory for one more load of LANES.

    Made by numpy, which asks for large pages: rows are read from all over the table.
    """
    return np.zeros(ids * columns + LANES, np.int16)[: ids * columns].reshape(ids, columns)


@numba.njit(cache=True)
def round_table(embeddings: Floats, taps: Floats, steps: Floats, table: npt.NDArray[np.int16]) -> None:
    """Fill the table, (ids, taps * filters), in whole steps, (taps, filters), of each column."""
    count, filters = len(steps), len(steps[0])
    row = np.empty((count, filters), np.float32)
    for i in range(len(embeddings)):
        multiply(embeddings[i], taps, row)
        for t in range(count):
            for f in range(filters):
                table[i, t * filters + f] = np.int16(np.rint(row[t, f] / steps[t, f]))


def rounded_table(embeddings: Floats, taps: Floats, widths: Sequence[int]) -> tuple[npt.NDArray[np.int16], Floats]:
    """The table of embeddings (ids, d) and taps (t, d, filters), as in `Channel`, and its steps (widths * filters,)."""
    steps = step_sizes(largest(embeddings, taps), widths)
    table = empty_table(len(embeddings), taps.shape[0] * taps.shape[2])
    round_table(embeddings, taps, np.repeat(steps, widths, axis=0), table)
    return table, steps.ravel()


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
    """Add a channel's contribution to the logits of every text, (texts, 2)."""
    filters = len(channel.biases) // len(channel.widths)
    flat, columns = channel.table.reshape(-1), channel.table.shape[1]
    best = np.empty(filters + LANES, np.int16)  # the lanes beyond the filters are not used
    sums = np.empty((2, filters), np.float32)  # per filter, so that the sums over widths need no order
    for text in range(len(offsets) - 1):
        tokens = ids[offsets[text] : offsets[text + 1]]
        # Rows are scattered in memory: those of the next text are prefetched while this one is summed.
        if text + 2 < len(offsets):
            for token in ids[offsets[text + 1] : min(offsets[text + 2], offsets[text + 1] + 64)]:
                for at in range(token * columns, (token + 1) * columns, 32):
                    prefetch(flat, at)  # type: ignore[call-arg]
        sums[:] = np.float32(0)
        tap = 0
        for w in range(len(channel.widths)):
            best_window(tokens, flat, columns, tap * filters, filters, channel.widths[w], best)
            for f in range(filters):
                at = w * filters + f
                feature = max(best[f] * channel.steps[at] + channel.biases[at], np.float32(0))
                sums[0, f] += feature * channel.output[0, at]
                sums[1, f] += feature * channel.output[1, at]
            tap += channel.widths[w]
        junk, valid = 0.0, 0.0
        for token in tokens:
            junk += channel.bag[token, 0]
            valid += channel.bag[token, 1]
        root = math.sqrt(max(len(tokens), 1))
        logits[text, 0] += junk / root + sum_of(sums[0])
        logits[text, 1] += valid / root + sum_of(sums[1])


@numba.njit(cache=True)
def add_wide(
    ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], halves: Floats, logits: npt.NDArray[np.float64]
) -> None:
    """Add a wide channel to the logits of every text, (texts, 2); halves: half of each id's weight, (ids,)."""
    for text in range(len(offsets) - 1):
        total = 0.0
        for token in ids[offsets[text] : offsets[text + 1]]:
            total += halves[token]
        half = total / math.sqrt(max(offsets[text + 1] - offsets[text], 1))
        logits[text, 0] -= half
        logits[text, 1] += half


@numba.njit(cache=True)
def best_window(
    tokens: npt.NDArray[np.int32],
    flat: npt.NDArray[np.int16],
    columns: int,
    first: int,
    filters: int,
    width: int,
    best: npt.NDArray[np.int16],
) -> None:
    """The greatest sum of a window of `width` tokens, for every filter.

    flat: the table, a row being `columns` long, the filters of the first tap of this width from its `first` on. best
    int16 (filters + LANES,), of which `filters` are of interest.
    """
    # The padding of a short text has the embedding zero, so it adds nothing.
    last = min(width, len(tokens)) - 1
    best[:] = -32768 if last >= 0 else 0
    for block in range(0, filters if last >= 0 else 0, LANES):
        top = lanes.load(best, block)  # type: ignore[call-arg, var-annotated]
        for i in range(len(tokens) - last):
            at = first + block
            total = lanes.load(flat, tokens[i] * columns + at)
            for k in range(1, last + 1):
                at += filters
                total = lanes.add(total, lanes.load(flat, tokens[i + k] * columns + at))
            top = lanes.largest(top, total)
        lanes.store(best, block, top)


@numba.njit(cache=True)
def sum_of(numbers: Floats) -> np.float32:
    """The sum in one fixed order on every machine: one half is added to the other. The numbers are overwritten."""
    count = len(numbers)
    while count > 1:
        half = (count + 1) // 2
        for i in range(count - half):
            numbers[i] += numbers[half + i]
        count = half
    total: np.float32 = numbers[0]
    return total
