"""Loading labels, on real Spark and Hive: one row a text, conflicts set aside, nothing lost and nothing guessed."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from distill.errors import BadInput, OpinionError
from distill.text.normalisation import normalise, text_hash
from jobs.ingest.inputs import read_input
from jobs.ingest.label_rows import split_of
from jobs.load_labels import FIELDS, load, summary
from jobs.warehouse.tables import LABELLED_OPINION, REJECTED_LABEL
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.tamper import doubled, dropped, files_of, nulled, tamper

HEADER = "opinion_id,text,label,source\n"


class Loader:
    """Loads files into a database of its own and reads back what is there."""

    def __init__(self, spark: SparkSession, database: str, folder: Path):
        self.spark, self.folder = spark, folder
        self.warehouse = Warehouse(spark, database)

    def load(
        self,
        *rows: str | bytes,
        split: str | None = "train",
        replace: bool = False,
        header: str = HEADER,
        accept: bool = False,
    ) -> str:
        path = self.folder / "labels.csv"
        path.write_bytes(b"".join([header.encode(), *(r.encode() + b"\n" if isinstance(r, str) else r for r in rows)]))
        return self.load_files([str(path)], split, replace, accept)

    def load_files(
        self, paths: list[str], split: str | None = None, replace: bool = False, accept: bool = False
    ) -> str:
        rows = read_input(self.spark, paths, "csv", FIELDS, needed=3)
        return load(self.warehouse, rows, " ".join(paths), split, replace, accept)

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
    report = loader.load("a,坏了,1,x", "b,坏 了 吗,0,", "c,很好,0,x", "d,Ｇood,0,x", "e,good ,1,x", "f,很好,0,x")
    assert report.splitlines() == [
        "labels: read 6 rows, 0 stored before: 3 stored, 2 rejected (conflicting_label 2), 1 left out as repeats",
        "stored: train 3 rows (1 complaints), valid 0 rows (0 complaints), test 0 rows (0 complaints)",
        "warning: 2 rows carry both labels for one text and are not used for training; see rejected_label "
        "where reason='conflicting_label', correct the files and load them with --replace",
    ]
    assert loader.labels() == {"a": (1, "train"), "b": (0, "train"), "c": (0, "train")}
    assert [row.source for row in loader.stored()] == ["x", None, "x"]
    assert ids(loader.rejected()) == [("d", 0), ("e", 1)]
    # A second file contradicts the first; a third row can neither settle the old conflict nor hide it.
    report = loader.load("g,坏了,0,x", "h,good,1,x", split="test")
    assert report.startswith(
        "labels: read 2 rows, 5 stored before: 2 stored, 5 rejected (conflicting_label 5), 0 left out as repeats"
    )
    assert loader.labels() == {"b": (0, "train"), "c": (0, "train")}
    assert ids(loader.rejected()) == [("a", 1), ("d", 0), ("e", 1), ("g", 0), ("h", 1)]
    assert {row.reason for row in loader.rejected()} == {"conflicting_label"}
    # The corrected file, with --replace, is all that is there.
    report = loader.load("a,坏了,1,x", "d,good,0,x", replace=True)
    assert report.startswith("labels: read 2 rows, 0 stored before: 2 stored, 0 rejected (none), 0 left out")
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
    with pytest.raises(BadInput, match=r"9 of 12 lines of .*; the labels are left as they were \(--accept-rejects"):
        loader.load(*rows)
    report = loader.load(*rows, accept=True)
    assert report.startswith(
        "labels: read 13 rows, 0 stored before: 3 stored, 8 rejected (malformed_row 2, blank_line 1, "
        "invalid_utf8 1, missing_id 1, no_word_character 1, null_text 1, unreadable_label 1), 1 left out as repeats"
    )
    assert [row.text for row in loader.stored()] == ["坏了", '两行\n"字"', "很好"]
    content = {row.content for row in loader.rejected()}
    assert {"h,x", "", 'i,"open,1,x'} <= content
    as_json = [json.loads(text) for text in content if text.startswith("{")]
    assert sorted(row["opinion_id"] or "" for row in as_json) == ["", "c", "e", "f", "g"]
    assert "1 of the rows read have no label yet and were skipped" in report
    assert {row["text"] for row in as_json} >= {"\\xff", None, "没有号"}
    stored, rejected = loader.stored(), loader.rejected()
    report = loader.load(*rows, accept=True)
    assert report.startswith("labels: read 13 rows, 11 stored before: 3 stored, 8 rejected")
    assert (loader.stored(), loader.rejected()) == (stored, rejected)
    with pytest.raises(
        BadInput,
        match=r"no row of .*labels.csv is a labelled text: unlabelled 1, unreadable_label 1; label is 'valid'; write 1",
    ):
        loader.load("k,x,valid,x", "l,x,,x")
    with pytest.raises(BadInput, match=r"no row .*: unlabelled 1; each needs opinion_id, text, label, label 1 or 0"):
        loader.load("l,x,,x")
    with pytest.raises(BadInput, match=r"labels.csv: 1 of its lines are not UTF-8: it is GBK .*; save it as UTF-8"):
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
def test_more_than_half_of_what_is_labelled_must_be_readable(loader, capsys):
    unlabelled = [f"u{i},没有标签{i},,x" for i in range(20)]
    good = [f"g{i},坏了{i},{label},x" for i, label in enumerate(["1.0", "0.0", " 1 ", "０", "TRUE", "有效", "无效"])]
    bad = [f"b{i},不好{i},投诉,x" for i in range(8)]
    with pytest.raises(BadInput, match=r"8 of 15 lines of .*\(unreadable_label 8\): label is '投诉'; write 1"):
        loader.load(*unlabelled, *good, *bad)
    assert loader.stored() == [] and capsys.readouterr().err == ""
    report = loader.load(*unlabelled, *good, *bad[1:])
    assert "7 stored, 7 rejected (unreadable_label 7), 0 left out as repeats" in report
    assert "20 of the rows read have no label yet" in report
    assert [label for _, (label, _) in sorted(loader.labels().items())] == [1, 0, 1, 0, 1, 1, 0]
    err = capsys.readouterr().err
    assert err.startswith("warning: 7 of 14 lines of ") and "label is '投诉'" in err and "see rejected_label" in err
    loader.load(*unlabelled, *good)
    assert capsys.readouterr().err == ""


@pytest.mark.spark
def test_what_pandas_and_hive_make_of_a_half_labelled_sample(loader):
    report = loader.load("a,坏了,1.0,x", "b,很好,0.0,", "c,没有标签,,x", r"d,也没有,\N,\N", "e,无,NaN,x")
    assert report.startswith("labels: read 5 rows, 0 stored before: 2 stored, 0 rejected (none), 0 left out")
    assert loader.labels() == {"a": (1, "train"), "b": (0, "train")}
    assert "3 of the rows read have no label yet" in report


@pytest.mark.spark
@pytest.mark.slow
def test_staged_rows_that_do_not_add_up_are_not_published(loader, home, monkeypatch):
    """With repeats among the rows: one that is missing must not be taken for one more of them."""
    rows = ["a,坏了,1,x", "b,坏了,1,x", "c,很好,0,x", "d,good,0,x", "e,good,1,x", "f,不明,2,x", "g,新的,0,x"]
    loader.load(*rows[:-1])
    before = loader.stored(), loader.rejected(), files_of(loader.warehouse.database, home)
    changes = ((LABELLED_OPINION, dropped), (LABELLED_OPINION, nulled("label")), (REJECTED_LABEL, doubled))
    for table, change in changes:
        with monkeypatch.context() as patch:
            tamper(patch, table, change)
            with pytest.raises(OpinionError, match="nothing was published") as refused:
                loader.load(*rows)
        assert refused.value.exit_code == 1
        assert (loader.stored(), loader.rejected(), files_of(loader.warehouse.database, home)) == before
    report = loader.load(*rows)
    assert "read 7 rows, 5 stored before: 3 stored, 3 rejected" in report and "6 left out as repeats" in report


@pytest.mark.spark
@pytest.mark.slow
def test_the_real_labels_hold_no_conflict(loader, shared):
    report = loader.load_files([str(shared / "data" / "labelled" / "test.csv")], split="test")
    assert report.startswith("labels: read 12000 rows, 0 stored before: ")
    assert "conflicting_label" not in report


def test_the_hash_split_is_stable_and_80_10_10():
    assert [split_of(text_hash(text)) for text in ("坏了", "等", "x")] == ["train", "test", "train"]
    counts = Counter(split_of(text_hash(str(i))) for i in range(20_000))
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert counts["valid"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert counts["test"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_the_summary_tells_new_rows_from_those_there_already():
    counts = {("train", 0): 60_000, ("train", 1): 18_000, ("test", 1): 4_000}
    report = summary(12_050, 50, 92_991, counts, {"null_text": 3}, 22_988)
    assert report.splitlines() == [
        "labels: read 12050 rows, 92991 stored before: 82000 stored, 3 rejected (null_text 3), "
        "22988 left out as repeats",
        "stored: train 78000 rows (18000 complaints), valid 0 rows (0 complaints), test 4000 rows (4000 complaints)",
        "50 of the rows read have no label yet and were skipped",
    ]
