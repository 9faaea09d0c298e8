"""The difference of two ways to train, from models of several seeds on the same rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.evaluation.comparison import RESAMPLES, Ranked, Scores

Measure = Callable[[Ranked, npt.NDArray[np.int64] | None], float]  # of ranked rows, row i counted so many times


@dataclass(frozen=True)
class Difference:
    """Mean over the seeds, and the bounds of its 95% interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    labels: npt.NDArray[Any], pairs: Sequence[tuple[Scores, Scores]], measure: Measure, resamples: int = RESAMPLES
) -> Difference:
    """The second of each pair less the first, by a bootstrap of rows and of pairs (Efron, Tibshirani 1993).

    pairs: scores of the same rows by two models, a pair for each seed. Each resample draws rows, the same for all
    models, and pairs, so that the interval covers other texts and other seeds.
    """
    random = np.random.default_rng(0)
    ranked = [(Ranked(labels, old), Ranked(labels, new)) for old, new in pairs]
    mean = float(np.mean([measure(new, None) - measure(old, None) for old, new in ranked]))
    drawn = []
    for _ in range(resamples):
        times = np.bincount(random.integers(len(labels), size=len(labels)), minlength=len(labels))
        seeds, counts = np.unique(random.integers(len(pairs), size=len(pairs)), return_counts=True)
        differences = [measure(ranked[i][1], times) - measure(ranked[i][0], times) for i in seeds]
        drawn.append(np.average(differences, weights=counts))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Difference(mean, float(low), float(high))
