"""The combination of two margins: what made the labels is found again, and the share of complaints does not move it."""

import numpy as np
import pytest

from distill.errors import BadInput
from distill.evaluation.combination import LEAST_BESIDE_VALID, ReadLabels, fit

NOBODY = ReadLabels(np.empty(0, np.int64), np.empty(0), np.empty(0))


def drawn(rows: int, log_odds: tuple[float, float, float], seed: int, spread: float = 3.0) -> ReadLabels:
    """Labels with these log odds: an intercept, and a factor for each of two correlated margins."""
    random = np.random.default_rng(seed)
    student = random.normal(0, spread, rows)
    reader = 0.6 * student + random.normal(0, spread, rows)
    odds = log_odds[0] + log_odds[1] * student + log_odds[2] * reader
    return ReadLabels((random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64), student, reader)


def test_a_final_margin_has_the_probability_of_both_on_the_students_scale() -> None:
    labels = drawn(20_000, (-1.0, 0.4, 0.8), 0)
    fitted = fit(NOBODY, labels)
    assert (fitted.nights, fitted.valid) == (0, 20_000) and str(fitted) == "20000 labels of valid"
    numbers = fitted.combination
    assert numbers.reader / numbers.student == pytest.approx(2, rel=0.1)
    final = numbers.margins(labels.student, labels.reader)
    for low in (-4.0, 0.0, 1.0):
        of_final, of_student = ((m >= low) & (m < low + 1) for m in (final, labels.student))
        assert labels.labels[of_final].mean() == pytest.approx(labels.labels[of_student].mean(), abs=0.05)
    assert all(round(number, 3) == number for number in (numbers.intercept, numbers.student, numbers.reader))


def test_fewer_complaints_leave_the_combination() -> None:
    labels = drawn(60_000, (-1.0, 0.4, 0.8), 1)
    kept = (labels.labels == 0) | (np.random.default_rng(2).random(len(labels.labels)) < 0.1)
    rare = ReadLabels(labels.labels[kept], labels.student[kept], labels.reader[kept])
    assert rare.labels.mean() < 0.1 < labels.labels.mean()
    all_of, few = (fit(NOBODY, one).combination for one in (labels, rare))
    final = [one.margins(labels.student, labels.reader) for one in (all_of, few)]
    assert np.abs(final[0] - final[1]).mean() < 0.15 * final[0].std()


def test_few_labels_of_nights_weigh_as_much_as_all_of_valid() -> None:
    valid, nights = drawn(20_000, (0.0, 0.2, 1.0), 3), drawn(2_000, (0.0, 1.0, 0.2), 4)
    of_valid, of_nights = fit(NOBODY, valid).combination, fit(nights, NOBODY).combination
    both = fit(nights, valid)
    assert (both.nights, both.valid) == (2_000, 20_000)
    ratios = [one.reader / one.student for one in (of_nights, both.combination, of_valid)]
    assert ratios[0] < 0.4 < ratios[1] < 2.5 < ratios[2]


def test_fewer_labels_of_nights_are_left_out_beside_valid() -> None:
    valid, nights = drawn(2_000, (0.0, 0.2, 1.0), 3), drawn(LEAST_BESIDE_VALID - 1, (0.0, 1.0, 0.2), 4)
    assert fit(nights, valid) == fit(NOBODY, valid)
    assert fit(nights, NOBODY).nights == LEAST_BESIDE_VALID - 1


def test_too_few_labels_are_left_out_or_refused() -> None:
    few = drawn(39, (0.0, 1.0, 1.0), 5)
    assert fit(few, drawn(500, (0.0, 1.0, 1.0), 6)).nights == 0
    with pytest.raises(
        BadInput, match=r"39 labels of nights and 0 of valid .* too few .*: 40 are needed, 10 of either"
    ):
        fit(few, NOBODY)
    junk = drawn(500, (-50.0, 1.0, 1.0), 7)
    with pytest.raises(BadInput, match="too few"):
        fit(NOBODY, junk)


@pytest.mark.parametrize("odds", [(0.0, -1.0, 0.0), (0.0, 1.0, -0.8)])
def test_a_reader_that_means_the_opposite_is_refused(odds: tuple[float, float, float]) -> None:
    with pytest.raises(BadInput, match="a higher margin does not mean a complaint"):
        fit(NOBODY, drawn(2_000, odds, 8))
