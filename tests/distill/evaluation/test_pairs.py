"""The scores of a pair on labels: the texts in the band have those of both, and the band holds a share of the rows."""

import numpy as np
import pytest

from distill.evaluation.out_of_fold import NightLabels
from distill.evaluation.pairs import band_of_share, final
from distill.scoring.scorer import probability_of
from distill.scoring.second_reader import Band, Combination

STUDENT = np.array([-4.0, -1.0, 0.5, 2.0, 5.0])
NIGHTS = NightLabels(np.array([0, 0, 1, 1, 1]), probability_of(STUDENT), np.array([50.0, 20.0, 10.0, 10.0, 10.0]))


def test_texts_in_the_band_have_the_score_of_both() -> None:
    reader = np.array([9.0, 3.0, -2.0, 1.0, -9.0])
    scores = final(NIGHTS, reader, Combination(0.25, 0.5, 0.75), Band(0.5, 1.5)).scores
    expected = STUDENT.copy()
    expected[1:4] = [0.25 - 0.5 + 2.25, 0.25 + 0.25 - 1.5, 0.25 + 1.0 + 0.75]
    assert scores == pytest.approx(probability_of(expected), rel=1e-5)
    assert scores[[0, 4]].tolist() == NIGHTS.scores[[0, 4]].tolist()


def test_the_text_that_is_the_end_of_the_band_is_read() -> None:
    """A band ends at a text's margin, of which a score keeps seven digits."""
    margins = np.random.default_rng(0).normal(size=200) * 4
    ones = np.ones(200)
    nights = NightLabels(np.ones(200, np.int64), probability_of(margins), ones)
    for end in margins:
        scores = final(nights, ones, Combination(50.0, 1.0, 1.0), Band(0.25, abs(end - 0.25))).scores
        assert scores[margins == end] > 0.999, end


def test_the_band_grows_from_the_threshold_until_it_holds_its_share_of_the_rows() -> None:
    half = 0.5  # a margin of 0; the nearest labels have the margins 0.5, -1, 2, -4, 5
    radii = [band_of_share(NIGHTS, half, share).radius for share in (0.05, 0.1, 0.29, 0.3, 0.4, 0.9, 1.0)]
    assert radii == pytest.approx([0.0, 0.5, 0.5, 1.0, 2.0, 4.0, 5.0], abs=1e-5)
    assert band_of_share(NIGHTS, half, 0.3).threshold == 0.0
