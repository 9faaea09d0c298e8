"""Champion against challenger on the same held-out rows: the checks of a promotion."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.labelled import TextRows
from distill.evaluation import metrics
from distill.models.bundle import Bundle
from distill.models.fitness import Bounds, promotion_blocker
from distill.scoring.scorer import Scorer

Scores = npt.NDArray[np.float32]

RESAMPLES = 1000
CONFIDENCE = 0.95  # one-sided, of the bound below the difference in recall
SOURCE_POSITIVES = 50  # a source with fewer complaints is not judged
TIMED_ROUNDS, TIMED_TEXTS = 5, 4000


@dataclass(frozen=True)
class Check:
    """One condition of a promotion: the measured value, its bound, and a sentence that compares them."""

    name: str
    passed: bool
    value: float | None
    bound: float
    reason: str


def compare(champion: Bundle, challenger: Bundle, rows: TextRows, target: float, bounds: Bounds) -> list[Check]:
    """Run every check against the champion.

    Recall at target precision uses the lowest threshold with that precision on these rows, so that neither model gains
    from an accidentally low threshold. Coverage and sources use the threshold of each bundle: both were chosen on the
    same rows for the same precision, while operating thresholds depend on the labelled nights. Raises BadModel for a
    bundle that is not a student.
    """
    old, new = Scorer(champion), Scorer(challenger)
    scores = [scorer.score_normalised(rows.texts) for scorer in (old, new)]
    caught = [score >= scorer.threshold for score, scorer in zip(scores, (old, new), strict=True)]
    slower = slowness(new, old, rows.texts)
    larger = size(challenger) / size(champion)
    covered = metrics.coverage(rows.labels, caught[0], caught[1])
    return [
        recall_check(rows.labels, scores[0], scores[1], target, bounds.recall_loss),
        Check(
            "coverage",
            covered is None or covered >= bounds.coverage,
            covered,
            bounds.coverage,
            "the champion catches nothing"
            if covered is None
            else f"catches {covered:.1%} of what the champion catches (at least {bounds.coverage:.1%})",
        ),
        source_check(rows, caught[0], caught[1], bounds.source_loss),
        Check(
            "speed",
            slower <= bounds.slower,
            slower,
            bounds.slower,
            f"takes {slower:.2f} times as long a text (at most {bounds.slower:g})",
        ),
        Check(
            "size",
            larger <= bounds.larger,
            larger,
            bounds.larger,
            f"is {larger:.2f} times as large (at most {bounds.larger:g})",
        ),
    ]


def threshold_check(challenger: Bundle) -> Check:
    """Whether the threshold has its target precision on the rows it was chosen on."""
    chosen = challenger.manifest["threshold"]
    reached, target = chosen["precision"], chosen["target_precision"]
    reason = promotion_blocker(challenger.manifest) or f"has precision {reached:.4f} at its threshold on valid"
    return Check("threshold", reached >= target, reached, target, reason)


def recall_check(labels: npt.NDArray[Any], old: Scores, new: Scores, target: float, loss: float) -> Check:
    """Whether recall at the target precision holds, by a paired bootstrap over the rows (Efron, Tibshirani 1993)."""
    before, after = (Ranked(labels, scores).recall(target) for scores in (old, new))
    low = lower_bound(labels, old, new, target)
    return Check(
        "recall",
        low >= -loss,
        low,
        -loss,
        f"recall at precision {target:g} is {after:.4f}, the champion's {before:.4f}; with {CONFIDENCE:.0%} "
        f"confidence the difference is above {low:+.4f} (at least {0 - loss:+.4f})",
    )


def lower_bound(labels: npt.NDArray[Any], old: Scores, new: Scores, target: float) -> float:
    """The lower bound of (new - old) in recall at the target precision, from paired resamples of the rows."""
    random = np.random.default_rng(0)
    before, after = Ranked(labels, old), Ranked(labels, new)
    differences = []
    for _ in range(RESAMPLES):
        times = np.bincount(random.integers(len(labels), size=len(labels)), minlength=len(labels))
        differences.append(after.recall(target, times) - before.recall(target, times))
    return float(np.quantile(differences, 1 - CONFIDENCE))


class Ranked:
    """Rows ranked by a model's scores, highest first: labels and scores, (rows,)."""

    def __init__(self, labels: npt.NDArray[Any], scores: Scores):
        self.order = np.argsort(-scores, kind="stable")
        self.labels, ranked = labels[self.order], scores[self.order]
        self.ends = np.append(ranked[1:] != ranked[:-1], True)  # rows of equal score get the same decision

    def recall(self, target: float, times: npt.NDArray[np.int64] | None = None) -> float:
        """Recall at the lowest threshold with the target precision, 0 without one; row i counts times[i] times."""
        weights = np.ones_like(self.order) if times is None else times[self.order]
        selected, positives = np.cumsum(weights), np.cumsum(weights * self.labels)
        reached = np.flatnonzero(self.ends & (selected > 0) & (positives >= target * selected))
        return float(positives[reached[-1]] / positives[-1]) if len(reached) and positives[-1] else 0.0

    def auc(self, times: npt.NDArray[np.int64] | None = None) -> float:
        """Area under the ROC curve, rows of equal score half right; NaN where a label is missing."""
        weights = np.ones_like(self.order) if times is None else times[self.order]
        positives, negatives = (np.cumsum(weights * label)[self.ends] for label in (self.labels, 1 - self.labels))
        here, others = (np.diff(counts, prepend=0) for counts in (positives, negatives))
        with np.errstate(invalid="ignore"):
            return float((others * (positives - here / 2)).sum() / np.float64(positives[-1] * negatives[-1]))


def source_check(rows: TextRows, old: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_], loss: float) -> Check:
    """Whether no source loses much recall; names the one that loses most."""
    lost: dict[str, float] = {}
    for source in np.unique(rows.sources):
        here = (rows.sources == source) & (rows.labels == 1)
        if here.sum() >= SOURCE_POSITIVES:
            lost[str(source)] = float(old[here].mean() - new[here].mean())
    if not lost:
        return Check("sources", True, None, loss, f"no source has {SOURCE_POSITIVES} complaints to judge by")
    worst = max(lost, key=lambda source: lost[source])
    reason = f"of {len(lost)} sources {worst} changes for the worst: recall {-lost[worst]:+.4f} (at least {-loss:+.4f})"
    return Check("sources", lost[worst] <= loss, lost[worst], loss, reason)


def slowness(new: Scorer, old: Scorer, texts: Sequence[str]) -> float:
    """CPU time of the new scorer relative to the old: minima of interleaved rounds, since other work only adds time."""
    texts = list(texts) * (TIMED_TEXTS // len(texts) + 1)
    taken: dict[Scorer, list[float]] = {old: [], new: []}
    for _ in range(TIMED_ROUNDS):
        for scorer, rounds in taken.items():
            began = time.process_time()
            scorer.score(texts)
            rounds.append(time.process_time() - began)
    return min(taken[new]) / min(taken[old])


def size(bundle: Bundle) -> int:
    """Bytes of tensors and files."""
    return sum(tensor.nbytes for tensor in bundle.tensors.values()) + sum(map(len, bundle.files.values()))
