"""The stream precision of a model on nights' labels that it has not learned, and its ranking against another model.

Every label represents 1 / inclusion probability rows of its night.

The precision at a threshold is estimated from the labels that score as much, in two ways. The share of complaints,
sum w y / sum w, varies so much on one night's hundred labels that the lowest threshold which seems to have the target
precision often has less. Calibrated probabilities, sum w p / sum w with p a logistic function of the score's log odds,
fitted on all labels (Platt 1999), vary little, but are too low at high scores while labels are few. The estimate is

    (PRIOR_LABELS * calibrated + n * share) / (PRIOR_LABELS + n),    n = (sum w)^2 / sum w^2

the mean of a beta distribution whose prior is the calibrated probability (empirical Bayes; n after Kish 1965).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from distill.evaluation.comparison import Check

LEAST_LABELS = 40  # with fewer there is no estimate
LEAST_COMPLAINTS = 10
LEAST_ABOVE = 10  # labels at or above a threshold that can be chosen
LARGEST_WEIGHT = 20.0  # times the mean, in the fit: one label of a sparse stratum must not decide alone
PRIOR_LABELS = 30  # that the calibrated probability counts as
RESAMPLES = 200
LOSS = 0.02  # of average precision, beyond which a challenger is worse on the nights


@dataclass(frozen=True)
class NightLabels:
    """Labelled rows of nights' samples, with scores of a model that has learned none of them.

    labels: int64 (rows,), 1 valid complaint. scores: float32 (rows,). weights: float64 (rows,), 1 / inclusion
    probability.
    """

    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]

    @property
    def enough(self) -> bool:
        """Whether there are enough labels for an estimate."""
        complaints = int(self.labels.sum())
        return len(self.labels) >= LEAST_LABELS and LEAST_COMPLAINTS <= complaints < len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> "NightLabels":
        """Some rows, by number."""
        return NightLabels(self.labels[rows], self.scores[rows], self.weights[rows])


@dataclass(frozen=True)
class StartThreshold:
    """A threshold for a model without labelled nights, with its estimated precision and 95% interval."""

    value: float
    precision: float
    lower: float
    upper: float
    labels: int
    labels_above: int


def start_threshold(nights: NightLabels, candidates: Sequence[float], target: float) -> StartThreshold | None:
    """The lowest candidate with an estimated precision of `target` or more, else the most precise; None without labels.

    candidates: ascending. None also when there are too few labels above every candidate.
    """
    if not nights.enough:
        return None
    usable = [one for one in candidates if (nights.scores >= np.float32(one)).sum() >= LEAST_ABOVE]
    if not usable:
        return None
    estimates = precisions(nights, usable)
    good = np.flatnonzero(estimates >= target)
    chosen = int(good[0]) if len(good) else int(estimates.argmax())
    lower, upper = interval(nights, usable[chosen])
    above = int((nights.scores >= np.float32(usable[chosen])).sum())
    return StartThreshold(usable[chosen], float(estimates[chosen]), lower, upper, len(nights.labels), above)


def precisions(nights: NightLabels, thresholds: Sequence[float]) -> npt.NDArray[np.float64]:
    """The estimated precision at each threshold, float64 (thresholds,); at each some label scores as much."""
    odds = log_odds(nights.scores)[:, None]
    weights = np.minimum(nights.weights / nights.weights.mean(), LARGEST_WEIGHT)
    fitted = LogisticRegression(C=1.0).fit(odds, nights.labels, sample_weight=weights)
    expected = fitted.predict_proba(odds)[:, 1]
    estimates = []
    for threshold in thresholds:
        above = nights.scores >= np.float32(threshold)
        weights = nights.weights[above]
        calibrated, share = (np.average(values[above], weights=weights) for values in (expected, nights.labels))
        labels = weights.sum() ** 2 / (weights**2).sum()
        estimates.append((PRIOR_LABELS * calibrated + labels * share) / (PRIOR_LABELS + labels))
    return np.array(estimates)


def interval(nights: NightLabels, threshold: float) -> tuple[float, float]:
    """The middle 95% of the estimate over resampled labels."""
    random, drawn = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        sample = nights.take(random.integers(len(nights.labels), size=len(nights.labels)))
        if 0 < sample.labels.sum() < len(sample.labels) and (sample.scores >= np.float32(threshold)).any():
            drawn.append(precisions(sample, [threshold])[0])
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return float(lower), float(upper)


def log_odds(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The log odds of probabilities, clipped away from 0 and 1."""
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def nights_check(champion: NightLabels, challenger: NightLabels) -> Check:
    """Whether the challenger ranks the nights' labels, which neither has learned, as well as the champion.

    Average precision, weighted (the area below the curve of precision and recall), since the thresholds of both are
    chosen apart.
    """
    if not challenger.enough:
        return Check("nights", True, None, -LOSS, f"{len(challenger.labels)} labels of nights are too few to judge by")
    before, after = (
        average_precision_score(nights.labels, nights.scores, sample_weight=nights.weights)
        for nights in (champion, challenger)
    )
    change = float(after - before)
    reason = (
        f"average precision on {len(challenger.labels)} labels of nights is {after:.4f}, the champion's {before:.4f} "
        f"(at least {-LOSS:+.4f})"
    )
    return Check("nights", change >= -LOSS, change, -LOSS, reason)
