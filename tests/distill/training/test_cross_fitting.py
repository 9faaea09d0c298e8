"""The cross-fitted linear model: logits of labelled texts that it has not learned, and the weight that nights need."""

import zlib

import numpy as np

from distill.training.cross_fitting import FOLDS, WEIGHTS, cross_fit

ALPHABET = [chr(c) for c in range(0x4E00, 0x4E40)]


def texts(random: np.random.Generator, count: int, mark: str = "") -> list[str]:
    return ["".join(random.choice(ALPHABET, 12)) + mark for _ in range(count)]


def test_out_of_fold_nothing_of_a_random_label_is_known() -> None:
    random = np.random.default_rng(0)
    rows, labels = texts(random, 600), random.integers(0, 2, 600)
    fitted = cross_fit(rows, labels, np.zeros(600, bool))
    predicted = fitted.out_of_fold > 0
    assert 0.4 < (predicted == labels).mean() < 0.6, "a model that has learned them would have nearly all right"
    assert (fitted.margins(rows) > 0).astype(int).tolist() != predicted.astype(int).tolist() and fitted.weight == 1


def test_each_model_left_its_fold_out_and_others_get_the_mean() -> None:
    random = np.random.default_rng(1)
    rows = texts(random, 200, "退款") + texts(random, 200, "好评")
    labels = np.repeat([1, 0], 200)
    fitted = cross_fit(rows, labels, np.zeros(400, bool))
    matrix = fitted.vectors.transform(rows)
    folds = np.array([zlib.crc32(row.encode()) % FOLDS for row in rows])
    alone = np.array([model.decision_function(matrix) for model in fitted.models])
    np.testing.assert_allclose(fitted.out_of_fold, alone[folds, np.arange(400)])
    np.testing.assert_allclose(fitted.margins(rows), alone.mean(axis=0))
    assert ((fitted.out_of_fold > 0) == labels).all() and fitted.margins([]).shape == (0,)


def test_labels_of_nights_weigh_more_where_they_contradict_the_others() -> None:
    """Only the nights' labels know that questions are junk; in the old ones their words stand in complaints."""
    random = np.random.default_rng(2)
    old = texts(random, 300, "无法登录怎么办退款") + texts(random, 300, "物流很快")
    night = texts(random, 30, "无法登录怎么办") + texts(random, 10, "退款不给退")
    labels = np.repeat([1, 0, 0, 1], [300, 300, 30, 10])
    from_nights = np.repeat([False, True], [600, 40])
    fitted = cross_fit(old + night, labels, from_nights)
    assert fitted.weight in WEIGHTS
    assert (fitted.margins(texts(random, 20, "无法登录怎么办")) < 0).all()
    plain = cross_fit(old + night, labels, np.zeros(640, bool))
    assert fitted.margins(["无法登录怎么办"])[0] < plain.margins(["无法登录怎么办"])[0]
