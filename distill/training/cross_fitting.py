"""A linear model, cross-fitted on the labels: margins of unlearned texts, and the weight of nights' labels.

TF-IDF of character 1- to 3-grams and logistic regression, as in `distill.training.linear`. The labels are divided into
folds. A labelled text gets the margin of the model that was fitted without its fold, any other text the mean of all
models (stacked generalization, Wolpert 1992: a model's output on a text that it has learned would mislead a student).

Labels of the nights' samples are few, and only they show the stream of today, so each weighs more than the others. The
weight has the lowest out-of-fold log loss on these labels.
"""

import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

FOLDS = 4
WEIGHTS = (3.0, 10.0, 30.0)
LEAST_NIGHT_LABELS = 20  # with fewer, no weight can be chosen, and all labels weigh the same

Margins = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CrossFitted:
    """The models of all folds.

    out_of_fold: the margin (log odds of a valid complaint) of each labelled text, float64 (rows,). weight: of a night's
    label; the others weigh 1.
    """

    vectors: TfidfVectorizer
    models: Sequence[LogisticRegression]
    out_of_fold: Margins
    weight: float

    def margins(self, texts: Sequence[str]) -> Margins:
        """Margins of normalised, unlabelled texts, float64 (texts,)."""
        if not len(texts):
            return np.empty(0)
        matrix = self.vectors.transform(texts)
        mean: Margins = np.mean([model.decision_function(matrix) for model in self.models], axis=0)
        return mean


def cross_fit(texts: Sequence[str], labels: npt.NDArray[np.int64], from_nights: npt.NDArray[np.bool_]) -> CrossFitted:
    """Fit the folds of labelled texts.

    Args:
        texts: normalised, each once.
        labels: 0 junk, 1 valid complaint, (rows,).
        from_nights: whether a night's sample drew the row, (rows,).
    """
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, dtype=np.float32)
    matrix = vectors.fit_transform(texts)
    folds = np.array([zlib.crc32(text.encode()) % FOLDS for text in texts])
    choices = WEIGHTS if from_nights.sum() >= LEAST_NIGHT_LABELS else (1.0,)
    tried = {}
    for weight in choices:
        models, out_of_fold = fit_folds(matrix, labels, folds, np.where(from_nights, weight, 1.0))
        probabilities = 1 / (1 + np.exp(-out_of_fold[from_nights]))
        loss = log_loss(labels[from_nights], probabilities, labels=[0, 1]) if len(choices) > 1 else 0.0
        tried[weight] = loss, models, out_of_fold
    best = min(tried, key=lambda weight: tried[weight][0])
    return CrossFitted(vectors, tried[best][1], tried[best][2], best)


def fit_folds(
    matrix: csr_matrix, labels: npt.NDArray[np.int64], folds: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]
) -> tuple[list[LogisticRegression], Margins]:
    """A model without each fold, and its margins of that fold."""

    def fit(fold: int) -> LogisticRegression:
        rows = np.flatnonzero(folds != fold)
        model = LogisticRegression(C=10, solver="liblinear", random_state=0)
        return model.fit(matrix[rows], labels[rows], sample_weight=weights[rows])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # liblinear runs outside of Python's lock
        models = list(pool.map(fit, range(FOLDS)))
    out_of_fold = np.empty(len(labels))
    for fold, model in enumerate(models):
        rows = np.flatnonzero(folds == fold)
        out_of_fold[rows] = model.decision_function(matrix[rows]) if len(rows) else 0.0
    return models, out_of_fold
