"""The labels of fastText's passes follow the probabilities."""

import numpy as np
import pytest

pytest.importorskip("fasttext", reason="make bench installs it")
from peers_fasttext import PASSES, labels_of_passes


def test_over_all_passes_a_label_has_its_probability():
    labels = labels_of_passes(np.array([0.0, 0.04, 0.3, 0.96, 1.0]), np.random.default_rng(0))
    assert labels.shape == (PASSES, 5) and labels.sum(axis=0).tolist() == [0, 0, 3, 10, 10]


def test_another_pass_has_the_label_of_another_text():
    labels = labels_of_passes(np.full(200, 0.5), np.random.default_rng(0))
    assert 70 < labels[0].sum() < 130 and (labels[0] != labels[1]).any()
