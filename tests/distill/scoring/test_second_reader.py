"""Final scores: those of the band alone change, by the formula, and readings survive their way to the executors."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from distill.scoring.scorer import Scorer, margin_of, probability_of
from distill.scoring.second_reader import Band, Combination, Readings, SecondScorer, rounded_margins
from distill.text.normalisation import normalise, text_hash
from tests.jobs import tiny_model

SCORER = Scorer(tiny_model.tiny_bundle(1))
TEXTS = [*tiny_model.TEXTS, None, "！！！", f" {tiny_model.TEXTS[0]}\u200b"]
NUMBERS = Combination(-0.5, 0.25, 1.5)


def read(texts: list[str], radius: float) -> Readings:
    margins = {text_hash(normalise(text)): float(i) - 2 for i, text in enumerate(texts)}
    return Readings(Band(margin_of(float(SCORER.threshold)), radius), NUMBERS, margins)


def test_texts_in_the_band_that_were_read_have_the_final_margin() -> None:
    plain = SCORER.score(TEXTS)
    apart = np.abs(plain.margins[:5] - margin_of(float(SCORER.threshold)))
    radius = float(np.sort(apart)[2])  # three of five are in the band, that at its edge included
    inside = apart <= radius
    unread = int(np.flatnonzero(inside)[0])
    readings = read(tiny_model.TEXTS, radius)
    del readings.margins[text_hash(normalise(tiny_model.TEXTS[unread]))]
    scored = SecondScorer(SCORER, readings).score(pa.array(TEXTS))
    assert scored.student_scores is not None and scored.reader_scores is not None
    np.testing.assert_array_equal(scored.student_scores, plain.scores)
    for i in range(5):
        reader = float(i) - 2
        if inside[i] and i != unread:
            assert scored.scores[i] == probability_of(-0.5 + 0.25 * plain.margins[i : i + 1] + 1.5 * reader)[0]
            assert scored.reader_scores[i] == np.float32(1 / (1 + math.exp(-reader)))
        else:
            assert scored.scores[i] == plain.scores[i] and np.isnan(scored.reader_scores[i])
    assert np.isnan(scored.scores[5:7]).all() and np.isnan(scored.reader_scores[5:7]).all()
    assert scored.scores[7] == scored.scores[0], "one text, in other spaces"
    assert scored.reasons.to_pylist() == plain.reasons.to_pylist()


def test_a_batch_of_nothing() -> None:
    scored = SecondScorer(SCORER, read([], 1.0)).score(pa.array([], pa.string()))
    assert len(scored.scores) == 0


@given(st.dictionaries(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(-2000, 2000), max_size=20))
def test_readings_arrive_as_they_were_sent(steps: dict[str, int]) -> None:
    readings = Readings(Band(1 / 3, 0.1), NUMBERS, {key: step / 64 for key, step in steps.items()})
    content = readings.to_bytes()
    assert Readings.from_bytes(content) == readings
    other_order = Readings(readings.band, NUMBERS, dict(reversed(readings.margins.items())))
    assert other_order.to_bytes() == content


def test_a_readers_margin_is_rounded_to_64ths() -> None:
    logits = np.array([[0.0, 1 / 64 + 1e-6], [0.5, 0.0], [-1.0, 1.0 + 0.9 / 64]], np.float32)
    assert rounded_margins(logits).tolist() == [1 / 64, -0.5, 2 + 1 / 64]
