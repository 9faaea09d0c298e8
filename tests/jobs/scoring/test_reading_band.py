"""The nearest texts of a task: those that sorting everything would give, however they are cut into batches."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.scoring.scorer import Scorer, margin_of
from distill.text.normalisation import normalise, text_hash, unscorable_reason
from jobs.scoring.reading_band import NEAR, Near, NearTexts, band_of
from tests.jobs import tiny_model

SCORER = Scorer(tiny_model.tiny_bundle(1))
THRESHOLD = margin_of(float(SCORER.threshold))
texts = st.lists(st.one_of(st.none(), st.text("物业乱收费退款 ！a\u200b", max_size=4)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(1, 6), st.integers(1, 20))
def test_the_nearest_are_those_of_a_sort(rows: list[str | None], most: int, size: int) -> None:
    near = NearTexts(SCORER, most)
    for first in range(0, len(rows), size):
        near.offer(pa.array(rows[first : first + size], pa.string()))
    found = near.rows()
    assert found.schema == NEAR
    distinct = sorted({normalise(text) for text in rows if text is not None})
    distinct = [text for text in distinct if unscorable_reason(text) is None]
    margins = SCORER.margins_normalised(distinct).tolist()
    pairs = list(zip(distinct, margins, strict=True))
    expected = sorted((abs(margin - THRESHOLD), text_hash(text), text, margin) for text, margin in pairs)
    given_rows = sorted((row["distance"], row["text_hash"], row["text"], row["margin"]) for row in found.to_pylist())
    assert given_rows[:most] == expected[:most]
    assert len(given_rows) >= min(most, len(expected))
    # More than asked for are those as near as the last, of which the hash decides later.
    assert all(row[0] == given_rows[most - 1][0] for row in given_rows[most:])


def test_the_band_holds_the_farthest_text_and_is_as_wide_on_both_sides() -> None:
    margins = SCORER.margins_normalised(tiny_model.TEXTS)
    near = sorted((Near(str(i), float(m)) for i, m in enumerate(margins)), key=lambda one: abs(one.margin - THRESHOLD))
    for count in range(1, len(near) + 1):
        band = band_of(near[:count], THRESHOLD)
        assert band.holds(margins).sum() == count
        assert band.high - THRESHOLD == pytest.approx(THRESHOLD - band.low)
