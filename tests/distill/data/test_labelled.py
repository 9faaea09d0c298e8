"""Rows come from Parquet as they were written, split by split."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from distill.data.labelled import concat, read, read_labelled, read_snapshot
from distill.data.snapshot import Snapshot
from distill.errors import BadInput

LOGITS = pa.list_(pa.float32())


def write(folder: Path, texts: list[str], labels: list[int | None], splits: list[str], **logits: Any) -> str:
    columns = {"text": texts, "label": labels, "source": [None] * len(texts), "split": splits}
    stored = {name: pa.array(values, LOGITS) for name, values in logits.items()}
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({**columns, "label": pa.array(labels, pa.int32()), **stored}), folder / "a.parquet")
    return str(folder)


def test_rows_come_normalised_in_one_order_whatever_the_files(tmp_path: Path) -> None:
    folder = write(tmp_path, ["ｂ", "a&amp;", "c"], [1, 0, 1], ["train", "train", "valid"])
    rows = read_labelled(folder, "train")
    assert (rows.texts, rows.labels.tolist(), rows.sources.tolist()) == (["a&", "b"], [0, 1], ["", ""])
    assert rows.logits.shape == (2, 0, 2)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_split_without_both_labels_is_refused(tmp_path: Path, split: str) -> None:
    folder = write(tmp_path, ["a", "b", "c"], [1, 0, 1], ["train", "train", "valid"], logits_0=[[1, 2]] * 3)
    with pytest.raises(BadInput, match=split):
        read_labelled(folder, split)


def test_stored_logits_follow_their_rows_and_what_is_not_stored_is_nan(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        ["c", "a", "b"],
        [0, 1, 1],
        ["train"] * 3,
        logits_1=[[5, 6], None, [7, 8]],
        logits_0=[None, [1, 2], [0, 0]],
    )
    rows = read_labelled(folder, "train")
    nothing = [np.nan, np.nan]
    expected = [[[1, 2], nothing], [[0, 0], [7, 8]], [nothing, [5, 6]]]
    np.testing.assert_array_equal(rows.logits, np.array(expected, np.float32))
    assert (rows.texts, rows.logits.dtype) == (["a", "b", "c"], np.float32)


def test_teachers_are_ordered_by_their_number(tmp_path: Path) -> None:
    stored = {f"logits_{k}": [[k, -k]] for k in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9)}
    assert read(write(tmp_path, ["a"], [1], ["train"], **stored)).logits[0, :, 0].tolist() == list(range(11))


def test_rows_without_a_label_have_the_number_for_none(tmp_path: Path) -> None:
    folder = write(tmp_path, ["b", "a"], [None, 1], ["train"] * 2, logits_0=[[1, 2], [3, 4]])
    assert read(folder).labels.tolist() == [1, -1]
    assert read(folder, pads.field("text") == "b").labels.tolist() == [-1]


def test_rows_of_both_keep_their_logits(tmp_path: Path) -> None:
    one = read(write(tmp_path / "labels", ["a", "b"], [0, 1], ["train"] * 2, logits_0=[[1, 2], None]))
    other = read(write(tmp_path / "transfer", ["c"], [None], [""], logits_0=[[3, 4]]))
    both = concat(one, other)
    assert (both.texts, both.labels.tolist(), both.sources.tolist()) == (["a", "b", "c"], [0, 1, -1], [""] * 3)
    np.testing.assert_array_equal(both.logits[:, 0], np.array([[1, 2], [np.nan, np.nan], [3, 4]], np.float32))


def test_a_snapshot_has_the_parts_that_it_was_written_with(tmp_path: Path) -> None:
    """Foreign files in its folder are not read; a missing part is an error."""
    splits = ["train", "train", "valid", "valid"]
    write(tmp_path / "labels", ["a", "b", "c", "d"], [0, 1, 0, 1], splits)
    write(tmp_path / "transfer", ["e"], [None], ["transfer"])
    alone = read_snapshot(Snapshot(str(tmp_path)))
    assert (alone.train.texts, alone.valid.texts, alone.test) == (["a", "b"], ["c", "d"], None)
    both = read_snapshot(Snapshot(str(tmp_path), has_transfer=True))
    assert (both.train.texts, both.train.labels.tolist()) == (["a", "b", "e"], [0, 1, -1])
    with pytest.raises(BadInput, match="the split 'test' of labelled_opinion has 0 rows"):
        read_snapshot(Snapshot(str(tmp_path), has_test=True))
