"""Loading labels, on real Spark and Hive: one row a text, conflicts set aside, nothing lost and nothing guessed."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from distill.errors import BadInput
from distill.text import normalise, text_hash
from jobs.inputs import read_input
from jobs.load_labels import FIELDS, load, split_of, summary
from jobs.tables import LABELLED_OPINION, REJECTED_LABEL
from jobs.warehouse import Warehouse

HEADER = "opinion_id,text,label,source\n"


class Loader:
    """Loads files into a database of its own and reads back what is there."""

    def __init__(self, spark: SparkSession, database: str, folder: Path):
        self.spark, self.folder = spark, folder
        self.warehouse = Warehouse(spark, database)

    def load(self, *rows: str | bytes, split: str | None = "train", replace: bool = False, header: str = HEADER) -> str:
        path = self.folder / "labels.csv"
        path.write_bytes(b"".join([header.encode(), *(r.encode() + b"\n" if isinstance(r, str) else r for r in rows)]))
        return self.load_files([str(path)], split, replace)

    def load_files(self, paths: list[str], split: str | None = None, replace: bool = False) -> str:
        rows = read_input(self.spark, paths, "csv", FIELDS, needed=3)
        return load(self.warehouse, rows, " ".join(paths), split, replace)

    def stored(self) -> list[Row]:
        return sorted(self.warehouse.read(LABELLED_OPINION).collect())

    def rejected(self) -> list[Row]:
        return sorted(self.warehouse.read(REJECTED_LABEL).collect(), key=str)

    def labels(self) -> dict[str, tuple[int, str]]:
        return {row.opinion_id: (row.label, row.split) for row in self.stored()}


@pytest.fixture
def loader(spark: SparkSession, database: str, tmp_path: Path) -> Loader:
    return Loader(spark, database, tmp_path)


def ids(rows: Sequence[Row]) -> list[tuple[str, int]]:
    return sorted((row.opinion_id, row.label) for row in rows)


@pytest.mark.spark
@pytest.mark.slow
def test_conflicts_are_set_aside_and_reported(loader):
    found = loader.load("a,坏了,1,x", "b,坏 了 吗,0,", "c,很好,0,x", "d,Ｇood,0,x", "e,good ,1,x", "f,很好,0,x")
    assert found.splitlines() == [
        "labels: read 6 rows beside 0 there already: 3 stored, 2 rejected (conflicting_label 2), 1 left out as repeats",
        "stored: train 3 (1 valid), valid 0 (0 valid), test 0 (0 valid)",
        "warning: 2 rows carry both labels for one text and are not used for training; see rejected_label "
        "where reason='conflicting_label', correct the files and load them with --replace",
    ]
    assert loader.labels() == {"a": (1, "train"), "b": (0, "train"), "c": (0, "train")}
    assert [row.source for row in loader.stored()] == ["x", None, "x"]
    assert ids(loader.rejected()) == [("d", 0), ("e", 1)]
    # A second file contradicts the first; a third row can neither settle the old conflict nor hide it.
    found = loader.load("g,坏了,0,x", "h,good,1,x", split="test")
    assert found.startswith(
        "labels: read 2 rows beside 5 there already: 2 stored, 5 rejected (conflicting_label 5), 0 left out as repeats"
    )
    assert loader.labels() == {"b": (0, "train"), "c": (0, "train")}
    assert ids(loader.rejected()) == [("a", 1), ("d", 0), ("e", 1), ("g", 0), ("h", 1)]
    assert {row.reason for row in loader.rejected()} == {"conflicting_label"}
    # The corrected file, with --replace, is all that is there.
    found = loader.load("a,坏了,1,x", "d,good,0,x", replace=True)
    assert found.startswith("labels: read 2 rows beside 0 there already: 2 stored, 0 rejected (none), 0 left out")
    assert loader.labels() == {"a": (1, "train"), "d": (0, "train")} and loader.rejected() == []


@pytest.mark.spark
@pytest.mark.slow
def test_rows_that_cannot_be_used_are_kept_and_loading_twice_changes_nothing(loader):
    rows = [
        "a,坏了,1,x",
        '"b","两行\n""字""", 0 ,x',
        "c,x,2,x",
        "d,x,,x",
        "e,,1,x",
        "f,？！,1,x",
        ",没有号,1,x",
        b"g,\xff,1,x\n",
        "h,x",
        "",
        'i,"open,1,x',
        "j,很好,0,x",
        "c,x,2,x",
    ]
    found = loader.load(*rows)
    assert found.startswith(
        "labels: read 13 rows beside 0 there already: 3 stored, 8 rejected (malformed_row 2, blank_line 1, "
        "invalid_utf8 1, missing_id 1, no_word_character 1, null_text 1, unreadable_label 1), 1 left out as repeats"
    )
    assert [row.text for row in loader.stored()] == ["坏了", '两行\n"字"', "很好"]
    content = {row.content for row in loader.rejected()}
    assert {"h,x", "", 'i,"open,1,x'} <= content
    as_json = [json.loads(text) for text in content if text.startswith("{")]
    assert sorted(row["opinion_id"] or "" for row in as_json) == ["", "c", "e", "f", "g"]
    assert "1 of the rows read have no label yet and were skipped" in found
    assert {row["text"] for row in as_json} >= {"\\xff", None, "没有号"}
    stored, rejected = loader.stored(), loader.rejected()
    found = loader.load(*rows)
    assert found.startswith("labels: read 13 rows beside 11 there already: 3 stored, 8 rejected")
    assert (loader.stored(), loader.rejected()) == (stored, rejected)
    with pytest.raises(
        BadInput, match=r"no row of .*labels.csv is a labelled text: unlabelled 1, unreadable_label 1; each"
    ):
        loader.load("k,x,valid,x", "l,x,,x")
    with pytest.raises(BadInput, match=r"invalid_utf8 1; save the file as UTF-8"):
        loader.load("k,退款,1,x".encode("gbk"))
    with pytest.raises(BadInput, match=r"labels.csv holds no row; the labels are left as they were"):
        loader.load(replace=True)
    with pytest.raises(BadInput, match=r"has no column label; its columns are opinion_id, text, score"):
        loader.load("k,x,1", header="opinion_id,text,score\n")
    assert (loader.stored(), loader.rejected()) == (stored, rejected)


@pytest.mark.spark
def test_a_text_of_two_splits_stays_unseen(loader):
    loader.load("a,坏了,1,x", "b,很好,0,x", split="test")
    loader.load("c,坏了。,1,x", "d,很 好,0,x", "e,很好,0,x", split="train")
    assert loader.labels() == {"a": (1, "test"), "b": (0, "test"), "c": (1, "train"), "d": (0, "train")}
    loader.load("f,坏了。,1,x", split="valid")
    assert loader.labels()["f"] == (1, "valid") and "c" not in loader.labels()


@pytest.mark.spark
def test_without_a_split_the_text_decides(loader):
    texts = [f"第{i}条投诉" for i in range(1000)]
    loader.load(*(f"{i},{text},{i % 2}," for i, text in enumerate(texts)), split=None)
    assert {row.text: row.split for row in loader.stored()} == {t: split_of(text_hash(normalise(t))) for t in texts}


@pytest.mark.spark
@pytest.mark.slow
def test_the_real_labels_hold_no_conflict(loader, shared):
    found = loader.load_files([str(shared / "data" / "labelled" / "test.csv")], split="test")
    assert found.startswith("labels: read 12000 rows beside 0 there already: ")
    assert "conflicting_label" not in found


def test_the_hash_split_is_stable_and_80_10_10():
    assert [split_of(text_hash(text)) for text in ("坏了", "等", "x")] == ["train", "test", "train"]
    counts = Counter(split_of(text_hash(str(i))) for i in range(20_000))
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert counts["valid"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert counts["test"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_the_summary_tells_new_rows_from_those_there_already():
    counts = {("train", 0): 60_000, ("train", 1): 18_000, ("test", 1): 4_000}
    found = summary(12_050, 50, 92_991, counts, {"null_text": 3}, 22_988)
    assert found.splitlines() == [
        "labels: read 12050 rows beside 92991 there already: 82000 stored, 3 rejected (null_text 3), "
        "22988 left out as repeats",
        "stored: train 78000 (18000 valid), valid 0 (0 valid), test 4000 (4000 valid)",
        "50 of the rows read have no label yet and were skipped",
    ]
