"""CSV and Parquet files of opinions, on real Spark: every value is stored as it was, every row once."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from tests.jobs.opinion_loader import HEADER, TIME, Loader

pytestmark = pytest.mark.spark

NOON = datetime(2026, 11, 9, 4, tzinfo=UTC)


@pytest.fixture
def loader(spark: SparkSession, database: str, tmp_path: Path) -> Loader:
    return Loader(spark, database, tmp_path)


def test_csv_loses_nothing(loader):
    rows = [
        b"plain,\xe5\x9d\x8f\xe4\xba\x86" + TIME,
        b'comma,"a, b"' + TIME,
        b'lines,"a\nb\r\nc"' + TIME,
        b'doubled,"say ""hi"""' + TIME,
        b"backslash,a\\nb\\" + TIME,
        b'quoted backslash,"a\\"' + TIME,
        b'inner,say "hi"' + TIME,
        b'empty,""' + TIME,
        b"nothing," + TIME,
        b"#no comment,null" + TIME,
        b"nul,x\x00y" + TIME,
        b"crlf,x" + TIME.replace(b"\n", b"\r\n"),
        b"bytes,\xff\xfe" + TIME,
        b"few,x\n",
        b"fewer\n",
        b"many,x,y" + TIME,
        b"\n",
        b'open,"x' + TIME,
        b'after,"y"' + TIME,
        b'tail,"x" y' + TIME,
        b"time,x,weibo,25:61\n",
        b" ,no id" + TIME,
        b"last,z" + TIME.rstrip(),
    ]
    report = loader.load(loader.write("day.csv", HEADER + b"".join(rows)), "csv")
    assert report.startswith("2026-11-09: read 23 lines = stored 15 + rejected 8 (malformed_row 4,")
    assert loader.texts() == {
        "plain": "坏了",
        "comma": "a, b",
        "lines": "a\nb\r\nc",
        "doubled": 'say "hi"',
        "backslash": "a\\nb\\",
        "quoted backslash": "a\\",
        "inner": 'say "hi"',
        "empty": None,
        "nothing": None,
        "#no comment": "null",
        "nul": "x\0y",
        "crlf": "x",
        "few": "x",
        "after": "y",
        "last": "z",
    }
    whole = [row for row in loader.stored() if row.opinion_id != "few"]
    assert {(row.source, row.published_at.astimezone(UTC)) for row in whole} == {("weibo", NOON)}
    rest = {"source": "weibo", "published_at": "2026-11-09T12:00:00+08:00"}
    as_json = {
        "invalid_utf8": {"opinion_id": "bytes", "text": "\\xff\\xfe"} | rest,
        "missing_id": {"opinion_id": " ", "text": "no id"} | rest,
        "unreadable_time": {"opinion_id": "time", "text": "x", "source": "weibo", "published_at": "25:61"},
    }
    as_it_was = [rows[14], rows[15], rows[17], rows[19]]
    assert loader.rejected() == sorted(
        [("malformed_row", row.decode().rstrip("\n")) for row in as_it_was]
        + [("blank_line", "")]
        + [(reason, json.dumps(fields, ensure_ascii=False)) for reason, fields in as_json.items()]
    )


def test_csv_of_several_files_and_splits(loader, spark, tmp_path):
    rows = [b'%d,"line %d\nof %d"\n' % (i, i, i) for i in range(3000)]
    loader.write("parts/1.csv", b"\xef\xbb\xbfopinion_id,text\n" + b"".join(rows[:2000]))
    loader.write("parts/2 一.csv.gz", gzip.compress(b"more,text,opinion_id\n" + b',"line 7\nof 7",x\n' * 2, mtime=0))
    loader.write("parts/3.csv", b"")
    loader.write("parts/4.csv", (b"opinion_id,text\n" + b"".join(rows[2000:])).replace(b"\n", b"\r\n"))
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "4096")  # so that splits cut rows apart
    try:
        report = loader.load(tmp_path / "parts", "csv")
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before)
    assert report == "2026-11-09: read 3002 lines = stored 3002 + rejected 0 (none)"
    texts = loader.texts()
    assert texts.pop("x") == "line 7\nof 7"
    line_ends = ["\n"] * 2000 + ["\r\n"] * 1000
    assert texts == {str(i): f"line {i}{end}of {i}" for i, end in enumerate(line_ends)}


def test_parquet(loader, tmp_path):
    table = pa.table(
        {
            "more": [0.5, 1.5, 2.5],
            "published_at": pa.array([NOON, None, datetime(2999, 1, 1, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
            "text": pa.array([b"\xe5\x9d\x8f", b"\xff", None], pa.binary()),
            "opinion_id": [1, 2, 3],
        }
    )
    pq.write_table(table, tmp_path / "day.parquet")
    report = loader.load(tmp_path / "day.parquet", "parquet", accept=True)
    assert report == "2026-11-09: read 3 lines = stored 1 + rejected 2 (invalid_utf8 1, unreadable_time 1)"
    [row] = loader.stored()
    assert (row.opinion_id, row.text, row.source) == ("1", "坏", None)
    assert row.published_at.astimezone(UTC) == NOON
    contents = [json.loads(content) for _, content in loader.rejected()]
    assert contents == [
        {"opinion_id": "2", "text": "\\xff", "published_at": None},
        {"opinion_id": "3", "text": None, "published_at": "2999-01-01T08:00:00.000000+08:00"},
    ]
