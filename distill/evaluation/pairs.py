"""The final scores of nights' labels by a pair: a student, and a second reader of the texts nearest to a threshold.

`distill.scoring.second_reader` has the formula. The student's margin is the log odds of its score here, so that scores
of students that have not learned a label serve too.
"""

from dataclasses import replace

import numpy as np

from distill.evaluation.out_of_fold import NightLabels, log_odds
from distill.scoring.scorer import Margins, margin_of, probability_of
from distill.scoring.second_reader import Band, Combination, distances


def final(nights: NightLabels, reader: Margins, combination: Combination, band: Band) -> NightLabels:
    """The labels with the pair's scores; nights: with the student's. reader: its margins, float64 (rows,)."""
    margins = log_odds(nights.scores)
    # By scores: the margin of the text that is the band's end has lost digits in its score, and would be outside.
    low, high = probability_of(np.array([band.low, band.high]))
    read = (nights.scores >= low) & (nights.scores <= high)
    scores = nights.scores.copy()
    scores[read] = probability_of(combination.margins(margins[read], reader[read]))
    return replace(nights, scores=scores)


def band_of_share(nights: NightLabels, threshold: float, share: float) -> Band:
    """The band around a threshold, a score, that holds this share of the nights' rows by the labels' weights."""
    apart = distances(log_odds(nights.scores), margin_of(threshold))
    order = np.argsort(apart, kind="stable")
    within = np.cumsum(nights.weights[order]) <= share * nights.weights.sum()
    return Band(margin_of(threshold), float(apart[order[within]].max(initial=0.0)))
