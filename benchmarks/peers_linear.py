"""TF-IDF and logistic regression as a peer: the linear model of `distill.training.linear`, on soft labels.

Each text is there twice, once with each label, weighted by its probability; a weight below LEAST is left out.
"""

from pathlib import Path

import joblib
import numpy as np
import scipy.sparse
from peers_data import Data, Numbers, soft_targets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from distill.text.text_batch import normalise_batch

# T of 1 and 2 and C of 3 to 100 were tried on valid with a tenth of the rows: 1 and 100, which is 10 for all rows.
TEMPERATURE, C = 1.0, 10.0
LEAST = 1e-3


def train(data: Data, seed: int, folder: Path, teacher: Path) -> None:
    """Fit the vectors and the regression."""
    rows = data.splits.train
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, dtype=np.float32)
    matrix = vectors.fit_transform(rows.texts)
    valid = soft_targets(rows, TEMPERATURE)
    ones, zeros = np.flatnonzero(valid >= LEAST), np.flatnonzero(1 - valid >= LEAST)
    model = LogisticRegression(C=C, solver="liblinear", random_state=seed)
    model.fit(
        scipy.sparse.vstack([matrix[ones], matrix[zeros]], format="csr"),
        np.repeat([1, 0], [len(ones), len(zeros)]),
        sample_weight=np.concatenate([valid[ones], 1 - valid[zeros]]),
    )
    model.coef_ = model.coef_.astype(np.float32)
    (folder / "model").mkdir(exist_ok=True)
    joblib.dump((vectors, model), folder / "model" / "linear.joblib")


class Linear:
    """Raw texts to margins."""

    def __init__(self, folder: Path):
        self.vectors, self.model = joblib.load(folder / "model" / "linear.joblib")

    def __call__(self, texts: list[str]) -> Numbers:
        """Margins, (texts,)."""
        margins: Numbers = self.model.decision_function(self.vectors.transform(normalise_batch(texts)))
        return margins
