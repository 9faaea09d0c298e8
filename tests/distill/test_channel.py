"""The rounded tables: no window's sum leaves 16 bits, and what is lost is half a step."""

import numpy as np

from distill.channel import largest, rounded_table, step_sizes


def test_no_sum_of_table_rows_overflows_and_each_entry_is_off_by_half_a_step() -> None:
    random = np.random.default_rng(0)
    widths, filters, taps = (1, 2, 5), 4, 8
    table = (random.normal(size=(50, taps, filters)) * random.uniform(0, 100, (taps, filters))).astype(np.float32)
    table[:, 0, 3] = 0  # a filter of nothing
    each = np.eye(taps * filters, dtype=np.float32).reshape(taps * filters, taps, filters).transpose(1, 0, 2).copy()
    embeddings = table.reshape(50, -1)
    steps = step_sizes(largest(embeddings, each), widths)
    of_taps = np.repeat(steps, widths, axis=0)
    rounded = rounded_table(embeddings, each, of_taps).reshape(50, taps, filters)
    assert (np.abs(rounded * of_taps - table).max(0) <= of_taps / 2 * 1.01).all()
    tops = np.add.reduceat(np.abs(rounded.astype(np.int64)).max(0), [0, 1, 3])
    assert 32_000 < tops.max() <= 32_767
