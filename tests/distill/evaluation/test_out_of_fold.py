"""Labels of nights: the precision at a threshold is that of the stream; which of two models ranks them worse."""

import numpy as np
import pytest

from distill.evaluation import out_of_fold
from distill.evaluation.out_of_fold import (
    LEAST_ABOVE,
    LEAST_LABELS,
    NightLabels,
    log_odds,
    nights_check,
    precisions,
    start_threshold,
)

CANDIDATES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def stream(random: np.random.Generator, rows: int = 16_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a night and its labels: a complaint in 25, and scores that promise more than they keep."""
    labels = (random.random(rows) < 0.04).astype(np.int64)
    odds = np.where(labels == 1, random.normal(3.0, 2.0, rows), random.normal(-5.0, 2.5, rows))
    return (1 / (1 + np.exp(-odds))).astype(np.float32), labels


def drawn(random: np.random.Generator, scores: np.ndarray, labels: np.ndarray) -> NightLabels:
    """A hundred labels, most of them of rows with a high score."""
    high = scores >= 0.5
    parts = []
    for stratum, size in ((high, 85), (~high, 15)):
        rows = np.flatnonzero(stratum)
        chosen = random.choice(rows, size, replace=False)
        parts.append((chosen, np.full(size, len(rows) / size)))
    rows, weights = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return NightLabels(labels[rows], scores[rows], weights)


def test_the_estimate_of_a_hundred_labels_promises_no_more_than_the_stream_keeps() -> None:
    errors = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        scores, labels = stream(random)
        errors.append(precisions(drawn(random, scores, labels), [0.9])[0] - labels[scores >= 0.9].mean())
    assert -0.08 < np.mean(errors) < 0.01, "a few points too low on average, never too high"


def test_the_threshold_has_the_target_precision_on_more_nights_than_that_of_the_plain_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(out_of_fold, "RESAMPLES", 5)
    reached, plain = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        scores, labels = stream(random)
        nights = drawn(random, scores, labels)
        start = start_threshold(nights, CANDIDATES, 0.9)
        assert start is not None and start.lower <= start.upper and start.labels == 100
        reached.append(labels[scores >= np.float32(start.value)].mean())
        plain.append(labels[scores >= np.float32(by_share(nights, 0.9))].mean())
    assert np.mean(reached) > 0.88 and np.mean(np.array(reached) >= 0.85) > 0.9
    assert np.quantile(reached, 0.1) > np.quantile(plain, 0.1)


def by_share(nights: NightLabels, target: float) -> float:
    """The lowest candidate where the labels' own share reaches the target, else the strictest."""
    for threshold in CANDIDATES:
        above = nights.scores >= np.float32(threshold)
        if above.sum() >= LEAST_ABOVE and np.average(nights.labels[above], weights=nights.weights[above]) >= target:
            return threshold
    return CANDIDATES[-1]


def test_where_no_candidate_reaches_the_target_it_is_the_most_precise() -> None:
    random = np.random.default_rng(1)
    scores, labels = stream(random)
    nights = drawn(random, scores, labels)
    start = start_threshold(nights, CANDIDATES, 0.9999)
    assert start is not None
    usable = [one for one in CANDIDATES if (nights.scores >= np.float32(one)).sum() >= LEAST_ABOVE]
    assert start.value == usable[int(precisions(nights, usable).argmax())] and start.precision < 0.9999


@pytest.mark.parametrize("keep", ["few", "junk", "low"])
def test_too_few_labels_say_nothing(keep: str) -> None:
    random = np.random.default_rng(2)
    scores, labels = stream(random)
    nights = drawn(random, scores, labels)
    rows = {
        "few": np.arange(LEAST_LABELS - 1),
        "junk": np.flatnonzero(nights.labels == 0),
        "low": np.flatnonzero(nights.scores < 0.5),
    }[keep]
    assert start_threshold(nights.take(rows), CANDIDATES, 0.9) is None


def test_a_challenger_that_ranks_the_nights_worse_fails_and_one_that_ranks_them_better_passes() -> None:
    random = np.random.default_rng(3)
    scores, labels = stream(random)
    good = drawn(random, scores, labels)
    noise = log_odds(good.scores) + random.normal(0, 6, len(good.scores))
    bad = NightLabels(good.labels, (1 / (1 + np.exp(-noise))).astype(np.float32), good.weights)
    assert not nights_check(good, bad).passed
    assert nights_check(bad, good).passed and nights_check(good, good).passed
    few = np.arange(10)
    assert nights_check(good.take(few), bad.take(few)).passed, "ten labels are too few to judge by"


def test_a_row_counts_for_as_many_as_it_stands_for() -> None:
    """Two models that differ in one row of a sparse stratum alone: its weight decides which is better."""
    labels = np.array([1] * 20 + [0] * 21)
    scores = np.array([0.9] * 20 + [0.1] * 21, np.float32)
    wrong = scores.copy()
    wrong[-1] = 0.95
    light, heavy = np.ones(41), np.ones(41)
    heavy[-1] = 500
    losses = [
        nights_check(NightLabels(labels, scores, weights), NightLabels(labels, wrong, weights)).value
        for weights in (light, heavy)
    ]
    assert losses[0] is not None and losses[1] is not None and losses[1] < losses[0] < 0
