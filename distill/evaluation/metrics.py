"""Metrics of a model, and of the difference between two models' decisions.

Ratios of counts that a reader could take for exact have a 95% Wilson interval (Wilson 1927; Brown, Cai, DasGupta 2001
on its advantage over the normal interval). A ratio with denominator 0 is None, never 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from distill.errors import BadInput

Z_95 = 1.959963984540054  # the normal quantile that leaves 2.5% on each side


@dataclass(frozen=True)
class Threshold:
    """The lowest accepted score, with its metrics on the rows it was chosen on."""

    value: float
    target_precision: float
    precision: float
    precision_lower: float
    precision_upper: float
    recall: float
    selected: int
    positives: int
    rows: int

    @property
    def reached(self) -> bool:
        """Whether it has the target precision."""
        return self.precision >= self.target_precision


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall of the rows whose score is at or above a threshold, with 95% Wilson bounds."""

    threshold: float
    precision: float | None
    precision_lower: float
    precision_upper: float
    recall: float | None
    recall_lower: float
    recall_upper: float
    true_positives: int
    selected: int
    positives: int
    rows: int


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95% Wilson interval of a proportion; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    shrink = 1 + Z_95**2 / trials
    centre = (share + Z_95**2 / (2 * trials)) / shrink
    half = Z_95 / shrink * ((share * (1 - share) + Z_95**2 / (4 * trials)) / trials) ** 0.5
    # Rounding may put an end just inside the share that it must contain, mostly at 0 and 1.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def auc(labels: NDArray[Any], scores: NDArray[Any]) -> float:
    """Area under the ROC curve, scikit-learn's, of labels (rows,) of 0 and 1 and finite scores (rows,).

    Raises:
        BadInput: shapes differ, a label is not 0 or 1, a score is not finite, or only one class is there.
    """
    truth, scores = _rows(labels, scores)
    _both_classes(truth)
    return float(roc_auc_score(truth, scores))


def threshold_at_precision(labels: NDArray[Any], scores: NDArray[Any], target: float = 0.95) -> Threshold:
    """The lowest score t such that the rows with score >= t have at least the target precision.

    Rows of equal score get the same decision, so t is always one of the scores. Where no threshold has the target
    precision, t is the lowest of those with the highest precision, and the result is not `reached`.

    Args:
        labels: (rows,) of 0 and 1.
        scores: (rows,) finite.
        target: the precision to reach, above 0 and at most 1.

    Raises:
        BadInput: as `auc`, or a target out of range.
    """
    if not 0 < target <= 1:
        raise BadInput(f"target precision {target} is not above 0 and at most 1")
    truth, scores = _rows(labels, scores)
    _both_classes(truth)
    order = np.argsort(scores)[::-1]
    ranked = scores[order]
    caught = np.cumsum(truth[order])
    # A threshold can only cut after the last row of equal scores.
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    precisions = caught[ends] / (ends + 1)
    good_enough = np.flatnonzero(precisions >= min(target, precisions.max()))
    at = precision_recall_at(truth, scores, float(ranked[ends[good_enough[-1]]]))
    return Threshold(
        value=at.threshold,
        target_precision=target,
        precision=at.true_positives / at.selected,
        precision_lower=at.precision_lower,
        precision_upper=at.precision_upper,
        recall=at.true_positives / at.positives,
        selected=at.selected,
        positives=at.positives,
        rows=at.rows,
    )


def precision_recall_at(labels: NDArray[Any], scores: NDArray[Any], threshold: float) -> PrecisionRecall:
    """Precision and recall of `scores >= threshold`, for labels and scores of shape (rows,).

    Precision is None when no row is selected, recall is None when no label is 1.

    Raises:
        BadInput: shapes differ, a label is not 0 or 1, or a score or the threshold is not finite.
    """
    truth, scores = _rows(labels, scores)
    if not np.isfinite(threshold):
        raise BadInput(f"threshold {threshold} is not a finite number")
    chosen = scores >= threshold
    true_positives, selected, positives = (int(mask.sum()) for mask in (truth & chosen, chosen, truth))
    precision_lower, precision_upper = wilson(true_positives, selected)
    recall_lower, recall_upper = wilson(true_positives, positives)
    return PrecisionRecall(
        threshold=float(threshold),
        precision=_ratio(true_positives, selected),
        precision_lower=precision_lower,
        precision_upper=precision_upper,
        recall=_ratio(true_positives, positives),
        recall_lower=recall_lower,
        recall_upper=recall_upper,
        true_positives=true_positives,
        selected=selected,
        positives=positives,
        rows=len(truth),
    )


def by_group(
    labels: NDArray[Any], scores: NDArray[Any], groups: NDArray[Any], threshold: float
) -> dict[str, dict[str, int | float | None]]:
    """Metrics of each group (such as a source), by name: rows, positives, auc, precision, recall.

    All arrays are (rows,). A group of one class has no AUC: None, as are ratios of nothing.

    Raises:
        BadInput: as `precision_recall_at`, or groups of another length.
    """
    truth, scores = _rows(labels, scores)
    names = np.asarray(groups).astype(str)
    _same_shape(labels=truth, groups=names)
    report: dict[str, dict[str, int | float | None]] = {}
    for name in np.unique(names):
        here = names == name
        at = precision_recall_at(truth[here], scores[here], threshold)
        report[str(name)] = {
            "rows": at.rows,
            "positives": at.positives,
            "auc": auc(truth[here], scores[here]) if 0 < at.positives < at.rows else None,
            "precision": at.precision,
            "recall": at.recall,
        }
    return report


def coverage(labels: NDArray[Any], old: NDArray[np.bool_], new: NDArray[np.bool_]) -> float | None:
    """The share of the old model's true complaints that the new one catches too; None if it caught none.

    Args:
        labels: (rows,) of 0 and 1.
        old: (rows,) bool, the old model's decisions.
        new: (rows,) bool, the new model's decisions.

    Raises:
        BadInput: shapes differ, decisions are not bool, or a label is not 0 or 1.
    """
    truth = _truth(labels)
    _decisions(truth, old, new)
    caught = truth & old
    return _ratio(int((caught & new).sum()), int(caught.sum()))


def churn(old: NDArray[np.bool_], new: NDArray[np.bool_]) -> float:
    """Share of rows whose decision changes; arguments and errors as for `coverage`."""
    _decisions(old, old, new)
    return float(np.mean(old != new))


def negative_flips(labels: NDArray[Any], old: NDArray[np.bool_], new: NDArray[np.bool_]) -> float:
    """Share of all rows that were right with the old model and are wrong with the new; arguments as `coverage`."""
    truth = _truth(labels)
    _decisions(truth, old, new)
    return float(np.mean((old == truth) & (new != truth)))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _truth(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Labels as bool, checked."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or len(labels) == 0:
        raise BadInput(f"labels must be a row of at least one number, not an array of shape {labels.shape}")
    strange = labels[(labels != 0) & (labels != 1)]
    if len(strange):
        raise BadInput(f"labels must be 0 or 1: {len(strange)} are not, such as {strange[0]!r}")
    return labels.astype(np.bool_)


def _rows(labels: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    truth, scores = _truth(labels), np.asarray(scores)
    _same_shape(labels=truth, scores=scores)
    if scores.dtype.kind not in "iuf":
        raise BadInput(f"scores must be numbers, not {scores.dtype}")
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise BadInput(f"{bad} of {len(scores)} scores are NaN or infinite: the model is broken")
    return truth, scores.astype(np.float64)  # float64, as SQL compares with a threshold


def _both_classes(truth: NDArray[np.bool_]) -> None:
    if truth.all() or not truth.any():
        only = int(truth[0])
        raise BadInput(f"all {len(truth)} labels are {only}: rows of both classes are needed")


def _decisions(like: NDArray[np.bool_], old: NDArray[np.bool_], new: NDArray[np.bool_]) -> None:
    for name, decisions in (("old", old), ("new", new)):
        if decisions.dtype != np.bool_ or decisions.ndim != 1 or len(decisions) == 0:
            given = f"{decisions.dtype} of shape {decisions.shape}"
            raise BadInput(f"{name} decisions must be a row of bool, not {given}")
        _same_shape(rows=like, decisions=decisions)


def _same_shape(**arrays: NDArray[Any]) -> None:
    (first, a), (second, b) = arrays.items()
    if a.shape != b.shape:
        raise BadInput(f"{first} and {second} must be of the same length: shapes {a.shape} and {b.shape}")
