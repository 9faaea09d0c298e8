"""Evaluate a model: choose the threshold on `valid`, measure on `valid` and `test`."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.labelled import TextRows
from distill.evaluation import metrics

Score = Callable[[list[str]], npt.NDArray[np.float32]]  # normalised texts -> probabilities of a valid complaint


def evaluate(score: Score, valid: TextRows, test: TextRows | None, target: float) -> dict[str, Any]:
    """The manifest's sections threshold and metrics.

    The threshold is the lowest score with precision `target` on `valid`, else the most precise one (the registry does
    not promote such a model).
    """
    scores = score(valid.texts)
    threshold = metrics.threshold_at_precision(valid.labels, scores, target)
    by_split = {"valid": split_metrics(valid, scores, threshold.value)}
    if test is not None:
        by_split["test"] = split_metrics(test, score(test.texts), threshold.value)
    return {"threshold": asdict(threshold), "metrics": by_split}


def split_metrics(rows: TextRows, scores: npt.NDArray[np.float32], threshold: float) -> dict[str, Any]:
    """AUC, and precision and recall at the threshold, over all rows and by source."""
    return {
        "rows": len(rows.labels),
        "auc": metrics.auc(rows.labels, scores),
        **asdict(metrics.precision_recall_at(rows.labels, scores, threshold)),
        "by_source": metrics.by_group(rows.labels, scores, rows.sources, threshold),
    }
