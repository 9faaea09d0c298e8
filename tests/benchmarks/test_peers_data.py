"""The rows of the peers: each text once, in the split that the product has it in, and the targets that they learn."""

import csv
from argparse import Namespace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from peers_data import every, read_splits, rows_of, soft_targets

from distill.data.labelled import NO_LABEL
from distill.text.normalisation import text_hash


def folder_of(tmp_path: Path, splits: dict[str, list[tuple[str, int]]], stored: dict[str, list[float]]) -> Namespace:
    (tmp_path / "logits").mkdir()
    keys = [text_hash(text) for text in stored]
    logits = pa.array(list(stored.values()), pa.list_(pa.float32()))
    pq.write_table(pa.table({"text_hash": keys, "logits": logits}), tmp_path / "logits" / "labelled.parquet")
    for split, rows in splits.items():
        with open(tmp_path / f"{split}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return Namespace(labelled=tmp_path, teacher=tmp_path)


def test_a_text_is_in_its_last_split_and_nowhere_if_its_labels_differ(tmp_path):
    splits = {
        "train": [("退款", 1), ("物流很快", 0), ("两说", 0), ("退款", 1)],
        "valid": [("物流很快", 0), ("!!!", 1)],
        "test": [("客服骗人", 1), ("两说", 1)],
    }
    train, valid, test = read_splits(folder_of(tmp_path, splits, {"退款": [-1.0, 2.0]}))
    assert [rows.texts for rows in (train, valid, test)] == [["退款"], ["物流很快"], ["客服骗人"]]
    assert train.logits.tolist() == [[[-1.0, 2.0]]] and np.isnan(test.logits).all()


def test_a_target_mixes_teacher_and_label_by_the_weights_of_the_loss():
    logits = {text_hash("退款"): np.array([0.0, 2.0], np.float32), text_hash("好"): np.array([1.0, -1.0], np.float32)}
    rows = rows_of({"退款": 0, "好": NO_LABEL, "坏": 1}, logits)
    at_1, at_2 = (1 / (1 + np.exp(-2 / t)) for t in (1, 2))
    assert soft_targets(rows, 1.0) == pytest.approx([at_1 / 1.3, 1 - at_1, 1])
    assert soft_targets(rows, 2.0) == pytest.approx([4 * at_2 / 4.3, 1 - at_2, 1])


def test_a_tenth_keeps_texts_labels_and_logits_together():
    rows = rows_of({str(i): i % 2 for i in range(25)}, {text_hash("10"): np.array([3.0, 4.0], np.float32)})
    part = every(rows, 10)
    assert part.texts == ["0", "10", "20"] and part.labels.tolist() == [0, 0, 0]
    assert part.logits[1].tolist() == [[3.0, 4.0]]
