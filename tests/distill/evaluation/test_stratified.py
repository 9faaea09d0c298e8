"""The sample for people: whom it draws, what it estimates, and how often its interval holds the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.evaluation.stratified import LEAST, Stratum, allocate, neyman, precision, recall

strata = st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), min_size=1, max_size=6)


@given(strata, st.integers(0, 120))
def test_a_draw_has_its_size_and_no_stratum_gives_more_than_it_has(strata: list[tuple[int, float]], size: int) -> None:
    rows, guesses = [n for n, _ in strata], [p for _, p in strata]
    drawn = allocate(rows, neyman(rows, guesses), size)
    assert sum(drawn) == min(size, sum(rows))
    assert all(0 <= d <= n for d, n in zip(drawn, rows, strict=True))
    if size >= LEAST * len(rows):
        assert all(d >= min(n, LEAST) for d, n in zip(drawn, rows, strict=True))


def test_rows_go_where_they_are_many_and_open() -> None:
    # Neyman: in proportion to rows * sqrt(p (1 - p)), which is 300 : 100 : 100.
    rows = [1000, 1000, 200]
    assert allocate(rows, neyman(rows, [0.1, 0.0101, 0.5]), 500) == [300, 100, 100]


def test_estimates_by_hand() -> None:
    strata = [Stratum(True, 100, 10, 10), Stratum(True, 300, 20, 15), Stratum(False, 1000, 50, 2)]
    good, caught = precision(strata), recall(strata)
    assert good and caught
    assert good.value == pytest.approx((100 + 225) / 400)
    assert caught.value == pytest.approx(325 / 365)
    assert good.lower < good.value < good.upper and caught.lower < caught.value < caught.upper


def test_what_is_labelled_whole_is_known() -> None:
    whole = precision([Stratum(True, 7, 7, 6), Stratum(True, 1, 1, 1)])
    assert whole and whole.lower == whole.value == whole.upper == pytest.approx(7 / 8)


def test_without_enough_labels_nothing_is_said() -> None:
    judged, open_one = Stratum(True, 100, 10, 9), Stratum(False, 900, LEAST - 1, 0)
    assert precision([judged, open_one]) is not None
    assert recall([judged, open_one]) is None
    assert precision([judged, Stratum(True, 50, 0, 0)]) is None
    assert precision([Stratum(False, 9, 9, 0)]) is None and precision([]) is None
    assert recall([Stratum(True, 9, 9, 0), Stratum(False, 9, 9, 0)]) is None
    assert precision([judged, Stratum(True, 0, 0, 0)]) is not None


@pytest.mark.parametrize("shares", [(0.99, 0.9, 0.3, 0.01), (0.97, 0.6, 0.1, 0.001)])
def test_the_interval_holds_the_truth_as_often_as_it_says(shares: tuple[float, ...]) -> None:
    """By drawing samples of a day whose truth is known; a good interval holds it in about 95 of 100."""
    random, rows = np.random.default_rng(0), [800, 400, 1000, 8000]
    accepted, drawn = [True, True, False, False], allocate(rows, neyman(rows, shares), 150)
    truth = [round(n * p) for n, p in zip(rows, shares, strict=True)]
    exact = sum(truth[:2]) / sum(rows[:2]), sum(truth[:2]) / sum(truth)
    held = np.zeros(2)
    for _ in range(200):
        strata = [
            Stratum(a, n, d, int(random.hypergeometric(k, n - k, d)))
            for a, n, d, k in zip(accepted, rows, drawn, truth, strict=True)
        ]
        for which, estimate in enumerate((precision(strata), recall(strata))):
            assert estimate
            held[which] += estimate.lower <= exact[which] <= estimate.upper
    assert (held / 200 > 0.9).all(), held / 200
