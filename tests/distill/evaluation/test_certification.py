"""Certified precision: by hand, and by simulated streams of nights that are looked at daily."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.evaluation.certification import BETS, Nights, certify, evidence, lower_bound, precision

THRESHOLDS = [0.0, 0.5, 0.8, 0.95, 0.99]
CANDIDATES = list(zip(THRESHOLDS, range(5), strict=True))[1:]
FLOOR, CONFIDENCE = 0.9, 0.95


def nights(*rows: list[tuple[int, int, int, int]]) -> Nights:
    """Nights of bands of (rows, drawn, complaints, junk)."""
    made = np.array(rows)
    return Nights(*(made[:, :, i] for i in range(4)))


def test_evidence_by_hand() -> None:
    # One band: 60 of 600 rows drawn, one is junk; each label stands for 10 rows, so it weighs 1.
    one = nights([(600, 60, 59, 1)])
    assert math.exp(evidence(one, 0.1)) == pytest.approx(np.mean(np.exp(BETS * 6) * (1 - BETS)))
    # Two bands, the upper one drawn twice as densely: its junk costs half, and the weight is the lower one's density.
    two = nights([(400, 40, 40, 0), (200, 40, 39, 1)])
    assert math.exp(evidence(two, 0.1)) == pytest.approx(np.mean(np.exp(BETS * 6) * (1 - BETS / 2)))


def test_the_bound_is_that_of_clean_labels_and_falls_with_each_error() -> None:
    bounds = [lower_bound(nights([(6000, 100, 100 - k, k)]), CONFIDENCE) for k in range(4)]
    # Between the best bet alone and all the others lost.
    assert 1 - (math.log(20) + math.log(5)) / 95 < bounds[0] < 1 - math.log(20) / 95
    assert evidence(nights([(6000, 100, 98, 2)]), 1 - bounds[2]) == pytest.approx(math.log(20))
    assert bounds == sorted(bounds, reverse=True)
    assert lower_bound(nights([(6000, 0, 0, 0)]), CONFIDENCE) == 0


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0.02, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_a_missing_label_never_raises_the_bound(bands: list[tuple[int, float, float]]) -> None:
    drawn = [(n, max(1, round(n * share)), good) for n, share, good in bands]
    full = nights([(n, d, round(d * good), d - round(d * good)) for n, d, good in drawn])
    some = Nights(full.rows, full.drawn, full.complaints // 2, full.junk // 2)
    assert lower_bound(some, CONFIDENCE) <= lower_bound(full, CONFIDENCE)


def test_a_row_of_the_estimate_counts_for_those_it_stands_for() -> None:
    assert precision(nights([(400, 40, 20, 20), (100, 50, 50, 0)])) == pytest.approx((200 + 100) / 500)
    assert precision(nights([(400, 40, 0, 0), (100, 50, 50, 0)])) is None
    # A night without a label in a band is estimated there from the other night.
    assert precision(nights([(100, 0, 0, 0)], [(100, 10, 5, 5)])) == pytest.approx(0.5)


def test_the_lowest_certified_threshold_is_chosen_and_the_rest_is_not_tested() -> None:
    # Above 0.95 everything is a complaint, between 0.8 and 0.95 half is.
    week = nights(*[[(9000, 4, 0, 4), (500, 10, 1, 9), (200, 20, 10, 10), (200, 40, 40, 0), (200, 40, 40, 0)]] * 5)
    result = certify(week, CANDIDATES, 0.95, FLOOR, CONFIDENCE)
    assert [one.certified for one in result.candidates] == [False, False, True, True]
    assert [one.tested for one in result.candidates] == [False, True, True, True]
    assert result.chosen and (result.chosen.threshold, result.chosen.certified) == (0.95, True)
    assert result.chosen.lower > FLOOR and result.chosen.estimate == 1 and result.need is None
    assert result.chosen.labels == 400 and result.chosen.effective == pytest.approx(400)


def test_without_enough_labels_the_estimate_is_used_and_the_need_is_said() -> None:
    night = nights([(9000, 4, 0, 4), (500, 10, 1, 9), (200, 20, 10, 10), (200, 10, 10, 0), (200, 10, 10, 0)])
    result = certify(night, CANDIDATES, 0.95, FLOOR, CONFIDENCE)
    assert result.chosen and (result.chosen.threshold, result.chosen.certified) == (0.95, False)
    assert result.need and result.need.threshold == 0.95 and 30 < result.need.labels < 200
    more = round((20 + result.need.labels) / 2)
    enough = nights([(9000, 4, 0, 4), (500, 10, 1, 9), (200, 20, 10, 10), (200, more, more, 0), (200, more, more, 0)])
    assert certify(enough, CANDIDATES, 0.95, FLOOR, CONFIDENCE).chosen == pytest.approx(
        certify(enough, CANDIDATES, 0.95, FLOOR, CONFIDENCE).candidates[2]
    )
    assert certify(enough, CANDIDATES, 0.95, FLOOR, CONFIDENCE).candidates[2].certified


def test_junk_everywhere_is_never_certified_and_no_labels_would_help() -> None:
    bad = nights(*[[(9000, 20, 0, 20), (500, 20, 5, 15), (200, 20, 5, 15), (200, 20, 8, 12), (200, 20, 10, 10)]] * 9)
    result = certify(bad, CANDIDATES, 0.95, FLOOR, CONFIDENCE)
    assert result.chosen and not result.chosen.certified and result.chosen.threshold == 0.99 and result.need is None
    nothing = nights([(9000, 0, 0, 0)] * 5)
    assert certify(nothing, CANDIDATES, 0.95, FLOOR, CONFIDENCE).chosen is None


ROWS = np.array([14000, 500, 300, 200, 250])
DRAWN = np.array([10, 18, 22, 24, 26])


def simulate(random: np.random.Generator, junk: np.ndarray, days: int, drift: float) -> tuple[Nights, np.ndarray]:
    """Nights whose bands hold junk in these shares, drifting with the share of the classes; and the share by night."""
    swing = np.exp(drift * np.cumsum(random.normal(size=(days, 1)), axis=0))  # of the odds of junk
    shares = junk * swing / (1 - junk + junk * swing)
    rows = random.poisson(ROWS * np.where(np.arange(5) > 0, 1 + drift * random.normal(size=(days, 1)).clip(-1, 1), 1))
    bad = random.binomial(rows, shares)
    drawn = np.minimum(DRAWN, rows)
    junk_drawn = random.hypergeometric(bad, rows - bad, drawn)
    return Nights(rows, drawn, drawn - junk_drawn, junk_drawn), bad


@pytest.mark.slow
@pytest.mark.parametrize("drift", [0.0, 0.3])
@pytest.mark.parametrize(
    "junk",
    [
        (0.99, 0.5, 0.2, 0.101, 0.1),  # nowhere good enough, by a hair
        (0.99, 0.3, 0.12, 0.1, 0.08),  # good enough at the top alone, by a hair
        (0.99, 0.4, 0.1, 0.03, 0.01),
    ],
)
def test_the_promise_holds_in_2000_streams_that_are_looked_at_every_night(
    junk: tuple[float, ...], drift: float
) -> None:
    """A stream counts as wrong if on any of ten nights what is certified is not so, or the bound is above the truth."""
    random, streams, wrong = np.random.default_rng(7), 2000, 0
    for _ in range(streams):
        made, bad = simulate(random, np.array(junk), 10, drift)
        for day in range(1, 11):
            past = Nights(*(part[:day] for part in (made.rows, made.drawn, made.complaints, made.junk)))
            chosen = certify(past, CANDIDATES, 0.95, FLOOR, CONFIDENCE).chosen
            if chosen and chosen.certified:
                band = THRESHOLDS.index(chosen.threshold)
                rows = past.rows[:, band:]
                weight = rows.sum(axis=1) * (past.drawn[:, band:] / rows).min(axis=1)
                truth = 1 - np.average(bad[:day, band:].sum(axis=1) / rows.sum(axis=1), weights=weight)
                if truth < max(FLOOR, chosen.lower):
                    wrong += 1
                    break
    assert wrong <= (1 - CONFIDENCE) * streams, wrong


def test_500_labels_of_five_nights_certify_a_region_that_is_97_percent_complaints() -> None:
    random, certified = np.random.default_rng(3), 0
    for _ in range(200):
        made, _ = simulate(random, np.array((0.99, 0.4, 0.05, 0.03, 0.01)), 5, 0.1)
        chosen = certify(made, CANDIDATES, 0.95, FLOOR, CONFIDENCE).chosen
        certified += bool(chosen and chosen.certified and chosen.threshold <= 0.8)
    assert certified >= 180
