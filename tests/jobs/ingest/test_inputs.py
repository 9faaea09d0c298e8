"""Every byte of a CSV is in one row or broken line, and a file that cannot be read is refused by name."""

import csv
import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import BadInput
from jobs.ingest.inputs import csv_records, csv_rows, read_input
from jobs.ingest.records import BROKEN_ROW

FIELDS = ("opinion_id", "text")


def lines_of(raw: bytes) -> list[bytes]:
    return [line + b"\n" for line in raw.removesuffix(b"\n").split(b"\n")]


def records(raw: bytes) -> list[dict[str, bytes | None]]:
    return list(csv_records("f.csv", lines_of(raw), FIELDS, 2))


hostile = st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b"\x00", b"\xff", b"\\", b" "])).map(b"".join)


@given(hostile | st.binary())
def test_no_byte_is_lost(raw):
    read = b"".join(read for _, read in csv_rows(lines_of(raw)))
    assert read.translate(None, b"\r\n") == raw.translate(None, b"\r\n")


cells = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(cells, cells), min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_what_a_csv_writer_wrote_comes_back(rows, end):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([FIELDS, *rows])
    pairs = [(r["opinion_id"] or b"", r["text"] or b"") for r in records(file.getvalue().encode())]
    assert pairs == [(a.encode(), b.encode()) for a, b in rows]


def test_a_quote_that_is_not_closed_costs_one_line():
    raw = b'opinion_id,text\na,"x\nb,y\nc,"z"\nd,"1\n2"\ne,"never\nf,w\n'
    assert records(raw) == [
        {BROKEN_ROW: b'a,"x'},
        {"opinion_id": b"b", "text": b"y"},
        {"opinion_id": b"c", "text": b"z"},
        {"opinion_id": b"d", "text": b"1\n2"},
        {BROKEN_ROW: b'e,"never'},
        {"opinion_id": b"f", "text": b"w"},
    ]


OPINION = (*FIELDS, "source", "published_at")


def test_columns_that_are_missing_at_the_end_of_a_row():
    """As Excel writes them, the empty ones; a needed column may not be missing."""
    raw = b"opinion_id,text,source,published_at\na,x,,\nb,y\nc,z\nd\ne,v,web,\nf,w,web\n"
    rows = list(csv_records("f.csv", lines_of(raw), OPINION, 2))
    assert [row.get("opinion_id") or row[BROKEN_ROW] for row in rows] == [b"a", b"b", b"d", b"c", b"e", b"f"]
    assert rows[1] == {"opinion_id": b"b", "text": b"y", "source": None, "published_at": None}


@pytest.mark.parametrize("between", [b"", b"\n", b"more\n\n"])
def test_the_halves_of_a_row_whose_line_break_has_no_quotes_are_not_two_rows(between):
    halves = b"b,first\n" + between + b"second,web,2026-11-09\n"
    raw = b"opinion_id,text,source,published_at\na,x,,\n" + halves + b"c,y\n"
    rows = list(csv_records("f.csv", lines_of(raw), OPINION, 2))
    assert [row["opinion_id"] for row in rows if BROKEN_ROW not in row] == [b"a", b"c"]
    broken = [row[BROKEN_ROW] for row in rows if BROKEN_ROW in row]
    assert sorted(broken) == sorted(halves.rstrip(b"\n").split(b"\n"))


def test_null_as_hive_writes_it():
    raw = b"opinion_id,text,source,published_at\nx1,a,\\N,\\N\nx2,\\N,weibo,2026-11-09\nx3,NULL,\\n,\n"
    assert [tuple(row.values())[1:] for row in csv_records("f.csv", lines_of(raw), OPINION, 2)] == [
        (b"a", None, None),
        (None, b"weibo", b"2026-11-09"),
        (b"NULL", b"\\n", None),
    ]


@pytest.mark.parametrize(
    "header", [b"\xef\xbb\xbfopinion_id,text", b'\xef\xbb\xbf"opinion_id","text"', b" text , opinion_id\r"]
)
def test_headers_that_spreadsheets_write(header):
    names = header.decode("utf-8-sig").replace('"', "").split(",")
    row = b"a,b" if names[0] == "opinion_id" else b"b,a"
    assert records(header + b"\n" + row) == [{"opinion_id": b"a", "text": b"b"}]


def test_headers_that_are_refused():
    with pytest.raises(BadInput, match=r"f.csv has no column opinion_id; its columns are 编号, text"):
        records("编号,text\na,b\n".encode())
    with pytest.raises(BadInput, match=r"f.csv has two columns text; its columns are opinion_id, text, text"):
        records(b"opinion_id,text,text\na,b,c\n")
    with pytest.raises(BadInput, match=r"f.csv has no column opinion_id, text"):
        records(b'"opinion_id,text\na,b\n')


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nowhere/day=*.gz", "--input /nowhere/day=\\*.gz: no such file or folder"),
        ("", "--input  cannot be read: Can not create a Path from an empty string"),
        ("nosuch://x/y", 'cannot be read: No FileSystem for scheme "nosuch"'),
        ("/tmp/[", "--input /tmp/\\[ cannot be read: "),
    ],
)
def test_paths_that_are_refused(spark, path, kind, message):
    with pytest.raises(BadInput, match=message) as refused:
        read_input(spark, path, kind, FIELDS, needed=2)
    assert "\n" not in str(refused.value)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "text": ["x"]}, "has no column opinion_id; its columns are id, text"),
        ({"opinion_id": ["a"], "text": [["x"]]}, "column text is array<string>; make it a string"),
        (
            {
                "opinion_id": ["a"],
                "text": ["x"],
                "published_at": pa.array([datetime(2026, 11, 9, tzinfo=UTC)], pa.timestamp("ns", tz="UTC")),
            },
            "Spark reads no nanoseconds; write its times in microseconds",
        ),
    ],
)
def test_parquet_that_is_refused(spark, tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "day.parquet")
    with pytest.raises(BadInput, match=message):
        read_input(spark, str(tmp_path / "day.parquet"), "parquet", (*FIELDS, "published_at"), needed=2)
