"""Which files an input is: whatever signs a path holds and however deep a file lies, all are read or one is named."""

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from jobs.ingest.inputs import read_input

pytestmark = pytest.mark.spark

FIELDS = ("opinion_id", "text")
# Each is a sign of globs, of URIs or of shells.
SIGNS = [
    "dump_2026-11-09T23:59:00",
    "day[1]",
    "12:30 [1]",
    "day{a,b}",
    "a,b",
    "a b",
    "#1",
    "100%",
    "100%41",
    "day?",
    "day*",
    "back\\slash",
    "a;b'c\"d$e&f",
    "投诉＋+",
]


def write(path: Path, kind: str, identity: str) -> None:
    """A file of one record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        pq.write_table(pa.table({"opinion_id": [identity], "text": ["x"]}), path)
    elif kind == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([FIELDS, [identity, "x"]])
    else:
        path.write_text(identity + "\n")


def ids(spark: SparkSession, path: str | Path | Sequence[str], kind: str) -> list[str]:
    """The first column of each record, sorted."""
    given = str(path) if isinstance(path, str | Path) else list(path)
    return sorted(bytes(row[0]).decode() for row in read_input(spark, given, kind, FIELDS, needed=2).collect())


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_path_that_exists_is_read_as_it_is_written(spark, tmp_path, kind):
    for sign in SIGNS:
        write(tmp_path / sign / f"{sign}.{kind}", kind, sign)
    write(tmp_path / "day1" / f"day1.{kind}", kind, "matched by the glob day[1]")
    results = [ids(spark, tmp_path / sign / f"{sign}.{kind}", kind) for sign in SIGNS]
    assert results == [[sign] for sign in SIGNS]
    assert ids(spark, [str(tmp_path / sign) for sign in SIGNS], kind) == sorted(SIGNS)
    assert ids(spark, f"file://{tmp_path}/day[1]/day[1].{kind}", kind) == ["day[1]"]


def test_a_path_that_does_not_exist_is_a_glob(spark, tmp_path):
    for name in ("day1/a", "day2/b", "day3/c", "old [x]/day1/d", "old [x]/day2/e"):
        write(tmp_path / name, "jsonl", name[-1])
    assert ids(spark, f"{tmp_path}/day[12]/*", "jsonl") == ["a", "b"]
    assert ids(spark, f"{tmp_path}/day{{1,3}}", "jsonl") == ["a", "c"]
    assert ids(spark, f"{tmp_path}/day?/[!a]", "jsonl") == ["b", "c"]
    # Only the part that exists is taken literally.
    assert ids(spark, f"{tmp_path}/old [x]/day*", "jsonl") == ["d", "e"]


def test_a_relative_path_may_begin_with_a_colon_in_its_name(spark, tmp_path, monkeypatch):
    write(tmp_path / "12:30.jsonl", "jsonl", "a")
    # Java's working folder is not Python's, so the path is only seen to be no scheme.
    with pytest.raises(BadInput, match=r"--input /.*/12:30.jsonl: no such file or folder"):
        ids(spark, "12:30.jsonl", "jsonl")


def test_a_glob_over_a_colon_is_refused_with_the_name(spark, tmp_path):
    write(tmp_path / "12:30.jsonl", "jsonl", "a")
    with pytest.raises(BadInput, match=r"12:30.jsonl has a colon in its name, which no glob .*; give its folder or"):
        ids(spark, f"{tmp_path}/*.jsonl", "jsonl")
    assert ids(spark, tmp_path, "jsonl") == ["a"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_folders_are_read_with_all_below_them(spark, tmp_path, kind):
    names = ["top", "HIVE_UNION_SUBDIR_1/000000_0", "a/b/c/deep", "dt=1/source=2/part", "other=1/part", "_x=1/_y=2"]
    for name in names:
        write(tmp_path / name, kind, name)
    for name in (
        "_SUCCESS",
        ".other.crc",
        "._top",
        "a/_temporary/0/part",
        "_metadata",
        "a/.hive-staging/part",
        "a/b/x._COPYING_",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no record\n")
    assert ids(spark, tmp_path, kind) == sorted(names)
    assert ids(spark, f"{tmp_path}/*", kind) == sorted(names)
    # A folder and a file in it: the file is read once.
    assert ids(spark, [str(tmp_path / "a"), str(tmp_path / "a" / "b" / "c" / "deep")], kind) == ["a/b/c/deep"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_an_input_without_a_file_is_refused(spark, tmp_path, kind):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "hidden" / "_day", kind, "a")
    for path in (tmp_path / "empty", tmp_path / "hidden", tmp_path / "hidden" / "_day"):
        with pytest.raises(BadInput, match=rf"--input {path} holds no file; names that begin with _ or . are not read"):
            ids(spark, path, kind)


def test_packed_files_in_subfolders_are_unpacked(spark, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jsonl.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert ids(spark, tmp_path, "jsonl") == ["one", "two"]
