"""Estimates for a scored day from a labelled sample: the allocation of rows to strata, precision and recall.

A stratum is the rows of one decision and one band of scores. Rows are drawn at random within a stratum, so each
labelled row represents rows / labelled of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST = 2  # rows drawn and labelled in a stratum, below which it gives no estimate
DRAWS = 4000


@dataclass(frozen=True)
class Stratum:
    """The rows of one decision and band: all, labelled, and labelled as complaints."""

    accepted: bool
    rows: int
    labelled: int
    complaints: int

    @property
    def estimated(self) -> float:
        """Complaints among all its rows."""
        return self.rows * self.complaints / self.labelled if self.labelled else 0.0

    @property
    def judged(self) -> bool:
        """Whether it has enough labels for an estimate."""
        return self.labelled >= min(self.rows, LEAST)


@dataclass(frozen=True)
class Estimate:
    """A ratio with its 95% interval."""

    value: float
    lower: float
    upper: float


def allocate(rows: Sequence[int], weights: Sequence[float], size: int) -> list[int]:
    """The rows to draw from each stratum, `size` in all: LEAST of each, the rest in proportion to the weights.

    rows: of each stratum. Each further row goes to the stratum with the highest weight / sqrt(n (n + 1)); with the
    weights of `neyman` this is the integer allocation with the least variance (Wright 2012, The American Statistician
    66).
    """
    drawn = [0] * len(rows)
    for _ in range(min(size, sum(rows))):
        open_ones = [h for h in range(len(rows)) if drawn[h] < rows[h]]
        few = [h for h in open_ones if drawn[h] < LEAST]
        drawn[max(few or open_ones, key=lambda h: weights[h] / math.sqrt(drawn[h] * (drawn[h] + 1) or 0.5))] += 1
    return drawn


def neyman(rows: Sequence[int], guesses: Sequence[float]) -> list[float]:
    """The weight of each stratum for the least variance; guesses: the share of complaints expected in each."""
    return [n * math.sqrt(p * (1 - p)) for n, p in zip(rows, guesses, strict=True)]


def precision(strata: Sequence[Stratum]) -> Estimate | None:
    """Share of complaints among the accepted rows; None without any, or when one of their strata lacks labels."""
    accepted = [stratum for stratum in strata if stratum.accepted and stratum.rows]
    if not accepted or not all(stratum.judged for stratum in accepted):
        return None
    rows = sum(stratum.rows for stratum in accepted)
    return interval(sum(s.estimated for s in accepted) / rows, complaints(accepted).sum(axis=0) / rows)


def recall(strata: Sequence[Stratum]) -> Estimate | None:
    """Share of accepted rows among the complaints of the day; None without a complaint, or with too few labels."""
    filled = [stratum for stratum in strata if stratum.rows]
    total = sum(stratum.estimated for stratum in filled)
    if not total or not all(stratum.judged for stratum in filled):
        return None
    accepted = np.array([stratum.accepted for stratum in filled])
    draws = complaints(filled)
    caught = sum(stratum.estimated for stratum in filled if stratum.accepted)
    return interval(caught / total, draws[accepted].sum(axis=0) / np.maximum(draws.sum(axis=0), 1))


def complaints(strata: Sequence[Stratum]) -> npt.NDArray[np.int64]:
    """Posterior draws of the complaints among all rows of each stratum, (strata, DRAWS).

    The share of a stratum has the posterior Beta(k + 1/3, n - k + 1/3) of the neutral prior, whose median stays near k
    / n (Kerman 2011, Electronic Journal of Statistics 5); the rows without a label are binomial in it, so a completely
    labelled stratum has no spread. A normal interval would have width 0 where all labels of a stratum agree, the usual
    case here.
    """
    random = np.random.default_rng(0)
    draws = []
    for stratum in strata:
        junk = stratum.labelled - stratum.complaints
        share = random.beta(stratum.complaints + 1 / 3, junk + 1 / 3, DRAWS)
        draws.append(stratum.complaints + random.binomial(stratum.rows - stratum.labelled, share))
    return np.array(draws)


def interval(value: float, draws: npt.NDArray[np.float64]) -> Estimate:
    """The middle 95% of the draws, widened to hold the value."""
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return Estimate(value, min(value, float(lower)), max(value, float(upper)))
