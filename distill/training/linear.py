"""The model that a scheme has to beat: TF-IDF of character 1- to 3-grams and logistic regression."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from distill.data.labelled import TextRows


def train_linear(train: TextRows) -> Callable[[list[str]], npt.NDArray[np.float32]]:
    """Train it; returns the function from normalised texts to scores. C = 10 beat 4 on validation rows."""
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(vectors.fit_transform(train.texts), train.labels)

    def score(texts: list[str]) -> npt.NDArray[np.float32]:
        scores: npt.NDArray[np.float32] = model.predict_proba(vectors.transform(texts))[:, 1].astype(np.float32)
        return scores

    return score
