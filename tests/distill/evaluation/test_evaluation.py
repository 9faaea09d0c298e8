"""The threshold is chosen on valid, and test is judged at that threshold."""

import numpy as np
import pytest

from distill.evaluation.evaluation import TextRows, evaluate


def rows(labels: list[int], texts: list[str]) -> TextRows:
    sources = np.array(["web", "app"] * len(texts))[: len(texts)]
    return TextRows(texts, np.array(labels), sources, np.empty((len(texts), 0, 2), np.float32))


def score(texts: list[str]) -> np.ndarray:
    return np.array([float(text) for text in texts], np.float32)


VALID = rows([0, 0, 1, 0, 1, 1], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])


def test_test_rows_do_not_move_the_threshold() -> None:
    # Above 0.8 all rows of valid are complaints, and on test none is: the threshold stays that of valid.
    report = evaluate(score, VALID, rows([1, 0, 0], ["0.3", "0.85", "0.95"]), 0.9)
    assert report["threshold"]["value"] == pytest.approx(0.8)
    assert report["threshold"]["precision"] == 1.0
    valid, test = report["metrics"]["valid"], report["metrics"]["test"]
    assert (valid["rows"], valid["precision"]) == (6, 1.0) and valid["recall"] == pytest.approx(2 / 3)
    assert (test["rows"], test["precision"], test["recall"]) == (3, 0.0, 0.0)
    assert valid["auc"] == pytest.approx(8 / 9) and test["auc"] == 0.0
    assert set(valid["by_source"]) == {"web", "app"}


def test_a_target_out_of_reach_gives_the_most_precise_threshold() -> None:
    hard = rows([1, 0, 1, 0], ["0.1", "0.9", "0.8", "0.2"])
    report = evaluate(score, hard, None, 0.9)
    assert report["threshold"]["precision"] < report["threshold"]["target_precision"] == 0.9
    assert set(report["metrics"]) == {"valid"}
