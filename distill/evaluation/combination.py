"""Fit the combination of a student's margin m and a second reader's r into one final margin.

Two logistic regressions on the same labelled texts (Platt 1999; scikit-learn's, C = 1):

    log odds = a0 + a1 m                  the student alone
    log odds = b0 + b1 m + b2 r           both

The final margin is the m at which the student alone has the log odds of both:

    f = (b0 - a0) / a1 + (b1 / a1) m + (b2 / a1) r

So f is on the student's scale, and a threshold keeps its meaning inside and outside the band. A share of complaints
that differs from the stream's moves a0 and b0 alike and leaves f (King, Zeng 2001), so labels of `valid` serve too.

Labels of nights have no weights 1 / inclusion probability here: a sample is drawn by the score, which the regressions
condition on, so the weights would only add variance. The labels of `valid` weigh as much as those of the nights in sum,
a prior that keeps a fit on few labels sane; fewer than LEAST_BESIDE_VALID labels of nights still add more variance than
they correct. benchmarks/results/second-reader.md compares these choices.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from distill.errors import BadInput
from distill.evaluation.out_of_fold import LEAST_COMPLAINTS, LEAST_LABELS
from distill.scoring.second_reader import DECIMALS, Combination

Numbers = npt.NDArray[np.float64]

LEAST_BESIDE_VALID = 300  # labels of nights, where those of valid suffice for a fit


@dataclass(frozen=True)
class ReadLabels:
    """Labelled texts that both have read: labels int64 (texts,), student and reader margins float64 (texts,)."""

    labels: npt.NDArray[np.int64]
    student: Numbers
    reader: Numbers

    @property
    def enough(self) -> bool:
        """Whether there are enough of both classes for a fit."""
        complaints = int(self.labels.sum())
        return (
            len(self.labels) >= LEAST_LABELS and LEAST_COMPLAINTS <= complaints <= len(self.labels) - LEAST_COMPLAINTS
        )


@dataclass(frozen=True)
class Fitted:
    """A combination and the number of labels behind it; nights: 0 where there were too few of them."""

    combination: Combination
    nights: int
    valid: int

    def __str__(self) -> str:
        """The labels, for people."""
        parts = [f"{rows} labels of {name}" for rows, name in ((self.nights, "nights"), (self.valid, "valid")) if rows]
        return " and ".join(parts)


def fit(nights: ReadLabels, valid: ReadLabels) -> Fitted:
    """The combination from the labels of nights, of valid, or of both; see above.

    Raises BadInput when neither has enough, or when the margins do not tell complaints from junk.
    """
    used = [labels for labels in (nights, valid) if labels.enough]
    if len(used) == 2 and len(nights.labels) < LEAST_BESIDE_VALID:
        used = [valid]
    if not used:
        raise BadInput(
            f"{len(nights.labels)} labels of nights and {len(valid.labels)} of valid with logits of the second reader "
            f"are too few to combine it with the student: {LEAST_LABELS} are needed, {LEAST_COMPLAINTS} of either class"
        )
    labels, student, reader = (
        np.concatenate([getattr(one, name) for one in used]) for name in ("labels", "student", "reader")
    )
    # Equal sums where there are both; the labels of nights have weight 1.
    weights = np.concatenate([np.full(len(one.labels), len(used[0].labels) / len(one.labels)) for one in used])
    alone = LogisticRegression(C=1.0).fit(student[:, None], labels, sample_weight=weights)
    both = LogisticRegression(C=1.0).fit(np.stack([student, reader], 1), labels, sample_weight=weights)
    slope, (of_student, of_reader) = alone.coef_[0, 0], both.coef_[0]
    if slope <= 0 or of_student < 0 or of_reader <= 0:
        raise BadInput(
            f"on {len(labels)} labels a higher margin does not mean a complaint (student alone {slope:+.3f}, beside "
            f"the second reader {of_student:+.3f}, that one {of_reader:+.3f}): see that both models fit the labels"
        )
    shift = both.intercept_[0] - alone.intercept_[0]
    numbers = (round(float(number / slope), DECIMALS) for number in (shift, of_student, of_reader))
    return Fitted(
        Combination(*numbers), *(len(one.labels) if any(one is of for of in used) else 0 for one in (nights, valid))
    )
