"""Differences of models on the same rows, by hand and on rows drawn anew."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from distill.evaluation.comparison import Ranked
from distill.evaluation.paired import paired_difference


def test_the_area_is_that_of_scikit_learn_with_ties_and_with_rows_that_count_often() -> None:
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 300), random.integers(0, 40, 300).astype(np.float32)
    assert Ranked(labels, scores).auc() == pytest.approx(roc_auc_score(labels, scores))
    times = random.integers(0, 4, 300)
    assert Ranked(labels, scores).auc(times) == pytest.approx(roc_auc_score(labels, scores, sample_weight=times))


def auc(ranked: Ranked, times: np.ndarray | None) -> float:
    return ranked.auc(times)


def test_the_mean_is_over_the_pairs_and_the_second_less_the_first() -> None:
    """Areas by hand: of (1, 2, 3) with labels 0, 1, 1 it is 1, of (2, 1, 3) 1/2, of (3, 2, 1) 0."""
    labels, right, half, wrong = (
        np.array([0, 1, 1]),
        *(np.array(s, np.float32) for s in ([1, 2, 3], [2, 1, 3], [3, 2, 1])),
    )
    assert paired_difference(labels, [(half, right), (wrong, right)], auc, resamples=1).mean == pytest.approx(0.75)


def noisy(labels: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return (labels + noise * np.random.default_rng(seed).normal(size=len(labels))).astype(np.float32)


def test_the_interval_holds_the_difference_of_all_texts_and_narrows_with_rows() -> None:
    """Of scores with normal noise s the area is Phi(1 / (s sqrt 2)): 0.760 for s = 1, 0.714 for s = 1.25."""
    widths = []
    for rows in (500, 8000):
        labels = np.random.default_rng(rows).integers(0, 2, rows)
        pairs = [(noisy(labels, 1.25, seed), noisy(labels, 1.0, 10 + seed)) for seed in range(3)]
        found = paired_difference(labels, pairs, auc, resamples=300)
        assert found.low < 0.760 - 0.714 < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_a_model_does_not_differ_from_itself() -> None:
    labels = np.array([0, 1] * 40)
    same = noisy(labels, 1, 0)
    found = paired_difference(labels, [(same, same)] * 3, auc, resamples=50)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_seeds_that_disagree_widen_the_interval() -> None:
    """Two models of opposite differences: rows alone would give an interval around 0 of one width, seeds another."""
    labels = np.random.default_rng(3).integers(0, 2, 3000)
    good, bad = noisy(labels, 1, 1), noisy(labels, 2, 2)
    found = paired_difference(labels, [(bad, good), (good, bad)], auc, resamples=200)
    alone = paired_difference(labels, [(bad, good)], auc, resamples=200)
    assert found.mean == pytest.approx(0) and found.low < -alone.low + 0.02 and found.high > alone.low
