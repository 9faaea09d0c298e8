"""The rounded tables: no window's sum leaves 16 bits, and what is lost is half a step."""

import numpy as np
import pytest

from distill.intrinsics.lanes import LANES
from distill.scoring.channel import best_window, empty_table, largest, round_table, step_sizes, sum_of


def test_no_sum_of_table_rows_overflows_and_each_entry_is_off_by_half_a_step() -> None:
    random = np.random.default_rng(0)
    widths, filters, taps = (1, 2, 5), 4, 8
    table = (random.normal(size=(50, taps, filters)) * random.uniform(0, 100, (taps, filters))).astype(np.float32)
    table[:, 0, 3] = 0  # a filter of nothing
    each = np.eye(taps * filters, dtype=np.float32).reshape(taps * filters, taps, filters).transpose(1, 0, 2).copy()
    embeddings = table.reshape(50, -1)
    steps = step_sizes(largest(embeddings, each), widths)
    of_taps = np.repeat(steps, widths, axis=0)
    room = empty_table(50, taps * filters)
    round_table(embeddings, each, of_taps, room)
    rounded = room.reshape(50, taps, filters)
    assert (np.abs(rounded * of_taps - table).max(0) <= of_taps / 2 * 1.01).all()
    tops = np.add.reduceat(np.abs(rounded.astype(np.int64)).max(0), [0, 1, 3])
    assert 32_000 < tops.max() <= 32_767


@pytest.mark.parametrize("filters", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("tokens", [0, 1, 2, 5, 20])
def test_the_best_window_is_the_one_that_numpy_finds(filters: int, width: int, tokens: int) -> None:
    random = np.random.default_rng(tokens)
    table = empty_table(7, (width + 1) * filters)  # a tap of another width before
    table[:] = random.integers(-32767 // width, 32767 // width, table.shape)
    ids = random.integers(0, 7, tokens).astype(np.int32)
    ids[-1:] = 6  # behind whose row no other lies
    best = np.empty(filters + LANES, np.int16)
    best_window(ids, table.reshape(-1), table.shape[1], filters, filters, width, best)
    taps = table.reshape(7, width + 1, filters)[ids, 1:].astype(np.int64)
    count = min(width, tokens)
    windows = [sum(taps[i + k, k] for k in range(count)) for i in range(tokens - count + 1)] if tokens else []
    expected = np.max(windows, axis=0) if len(windows) else np.zeros(filters)
    assert best[:filters].tolist() == expected.tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100])
def test_halves_are_summed_side_by_side(count: int) -> None:
    numbers = np.random.default_rng(count).normal(size=count).astype(np.float32)
    assert sum_of(numbers.copy()) == pytest.approx(numbers.astype(np.float64).sum(), abs=1e-5)
