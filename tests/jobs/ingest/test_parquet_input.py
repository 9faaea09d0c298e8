"""Parquet of any writer becomes text that loses nothing, each file by its own schema; what could lose is refused."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from jobs.common.failures import error_of
from jobs.ingest.inputs import read_input

pytestmark = pytest.mark.spark

FIELDS = ("opinion_id", "text", "source", "published_at")
LABEL_FIELDS = ("opinion_id", "text", "label", "source")
NOON = datetime(2026, 11, 9, 4, tzinfo=UTC)


def write(path: Path, columns: Mapping[str, object]) -> None:
    """A file of these columns; `text` is added where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    length = len(next(iter(columns.values())))  # type: ignore[arg-type]
    pq.write_table(pa.table({"text": ["x"] * length} | dict(columns)), path)


def read(
    spark: SparkSession, path: Path, fields: tuple[str, ...] = FIELDS, needed: int = 2
) -> list[dict[str, str | None]]:
    """The records as text, sorted by id."""
    rows = read_input(spark, str(path), "parquet", fields, needed).collect()
    records = [{k: None if v is None else bytes(v).decode() for k, v in row.asDict().items()} for row in rows]
    return sorted(records, key=lambda row: (row["opinion_id"] or "", row.get("source") or ""))


DECIMALS = [Decimal("100"), Decimal("-7"), Decimal("0"), Decimal("12345678901234567890"), None]
PLAIN = {
    "double": (
        pa.array([1762660800123.0, 100.0, -0.0, -5.0, 2.0**53 - 1, float("nan"), None, 1e7]),
        ["1762660800123", "100", "0", "-5", "9007199254740991", None, None, "10000000"],
    ),
    "float": (pa.array([16777215.0, -1.0, float("nan")], pa.float32()), ["16777215", "-1", None]),
    "decimal": (pa.array(DECIMALS, pa.decimal128(38, 18)), ["100", "-7", "0", "12345678901234567890", None]),
    "small decimal": (pa.array([Decimal("1200.00"), Decimal("0.00")], pa.decimal128(9, 2)), ["1200", "0"]),
    "whole decimal": (pa.array([Decimal("9" * 38), Decimal(1000)], pa.decimal128(38, 0)), ["9" * 38, "1000"]),
    "uint64": (pa.array([2**64 - 1, 7], pa.uint64()), ["18446744073709551615", "7"]),
    "int64": (pa.array([2**63 - 1, -1]), ["9223372036854775807", "-1"]),
    "int8": (pa.array([1, 0], pa.int8()), ["1", "0"]),
    "uint32": (pa.array([2**32 - 1], pa.uint32()), ["4294967295"]),
    "bool": (pa.array([True, False, None]), ["true", "false", None]),
    "binary": (pa.array([b"\xe5\x9d\x8f", b""]), ["坏", ""]),
    "dictionary": (pa.array(["坏", "007", "坏"]).dictionary_encode(), ["坏", "007", "坏"]),
    "large string": (pa.array(["1.0", "1e3"], pa.large_string()), ["1.0", "1e3"]),
    "date": (pa.array([date(2026, 11, 9)]), ["2026-11-09"]),
    "local time": (pa.array([datetime(2026, 11, 9, 12)], pa.timestamp("us")), ["2026-11-09 12:00:00"]),
    "time": (pa.array([NOON], pa.timestamp("ms", tz="UTC")), ["2026-11-09T12:00:00.000000+08:00"]),
    "nothing": (pa.nulls(2), [None, None]),
}


@pytest.mark.parametrize("column", ["opinion_id", "text", "label", "source"])
def test_values_of_any_type_become_plain_text(spark, tmp_path, column):
    key = "opinion_id" if column == "text" else "text"
    for name, (values, _) in PLAIN.items():
        rest = {"opinion_id": ["a"] * len(values), "label": ["1"] * len(values), key: [name] * len(values)}
        write(tmp_path / f"{name}.parquet", rest | {column: values})
    texts: dict[str | None, list[str | None]] = {}
    for row in read(spark, tmp_path, LABEL_FIELDS, needed=3):
        texts.setdefault(row[key], []).append(row[column])
    assert {name: sorted(values, key=str) for name, values in texts.items()} == {
        name: sorted(values, key=str) for name, (_, values) in PLAIN.items()
    }


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("opinion_id", pa.array([1.0, 5112345678901234567.0]), r"double and holds 5\.112345678901234\d*E18"),
        ("opinion_id", pa.array([2.0**53]), r"double and holds 9\.007199254740992E15"),
        ("source", pa.array([-(2.0**53)]), r"double and holds -9\.007199254740992E15"),
        ("label", pa.array([0.5, 1.0]), r"double and holds 0\.5"),
        ("text", pa.array([float("inf")]), "double and holds Infinity"),
        ("opinion_id", pa.array([2.0**24], pa.float32()), r"float and holds 1\.6777216E7"),
        ("label", pa.array([Decimal("1"), Decimal("0.10")], pa.decimal128(38, 2)), r"decimal\(38,2\) and holds 0\.10"),
        ("text", pa.array([Decimal("-1e-18")], pa.decimal128(38, 18)), r"decimal\(38,18\) and holds -0\.0{17}1"),
    ],
)
def test_numbers_that_their_type_may_have_changed_are_refused_by_column(spark, tmp_path, column, values, message):
    write(tmp_path / "good.parquet", {"opinion_id": ["a"], "label": ["1"]})
    rest = {"opinion_id": ["a"] * len(values), "label": ["1"] * len(values)}
    write(tmp_path / "bad 坏.parquet", rest | {column: values})
    with pytest.raises(
        BadInput, match=rf"bad 坏.parquet: column {column} is {message}; .* write the column as a string"
    ):
        read(spark, tmp_path, LABEL_FIELDS, needed=3)


def test_times_keep_their_fractions_and_never_stop_a_file(spark, tmp_path):
    values = pa.array([1762660800.125, 1762660800123.0, 1762660800.0, float("nan"), float("inf"), 1.76e18])
    write(tmp_path / "double", {"opinion_id": list("abcdef"), "published_at": values})
    assert [row["published_at"] for row in read(spark, tmp_path / "double")] == [
        "1762660800.125",
        "1762660800123",
        "1762660800",
        None,
        "Infinity",
        "1760000000000000000",
    ]
    write(tmp_path / "int", {"opinion_id": ["a"], "published_at": [1762660800123]})
    assert [row["published_at"] for row in read(spark, tmp_path / "int")] == ["1762660800123"]
    values = pa.array([Decimal("1762660800.120")], pa.decimal128(20, 3))
    write(tmp_path / "decimal", {"opinion_id": ["a"], "published_at": values})
    assert [row["published_at"] for row in read(spark, tmp_path / "decimal")] == ["1762660800.12"]


def test_files_of_different_columns_and_types_keep_what_each_has(spark, tmp_path):
    write(tmp_path / "0", {"opinion_id": [1]})
    write(tmp_path / "1", {"opinion_id": ["x2"], "source": pa.nulls(1), "published_at": pa.array([NOON])})
    write(tmp_path / "2", {"source": ["微博"], "opinion_id": [3.0], "published_at": ["2026-11-09"]})
    write(tmp_path / "3", {"OPINION_ID": ["4"], "Source": pa.array([7], pa.int32()), "Published_At": [1762660800]})
    write(tmp_path / "sub" / "4", {"opinion_id": [Decimal("5.0")], "more": [["nested"]]})
    (tmp_path / "5").write_bytes(b"")
    rows = [tuple(row.values()) for row in read(spark, tmp_path)]
    assert rows == [
        ("1", "x", None, None),
        ("3", "x", "微博", "2026-11-09"),
        ("4", "x", "7", "1762660800"),
        ("5", "x", None, None),
        ("x2", "x", None, "2026-11-09T12:00:00.000000+08:00"),
    ]


def test_files_with_signs_in_their_names_are_told_apart_by_type(spark, tmp_path):
    write(tmp_path / "a:{b},[c] %41?*.parquet", {"opinion_id": [1]})
    write(tmp_path / "b%20#.parquet", {"opinion_id": ["2"]})
    assert [row["opinion_id"] for row in read(spark, tmp_path)] == ["1", "2"]


def test_a_file_that_does_not_fit_is_named(spark, tmp_path):
    write(tmp_path / "0", {"opinion_id": ["1"]})
    write(tmp_path / "1", {"id": ["1"]})
    with pytest.raises(BadInput, match=rf"--input {tmp_path}/1 has no column opinion_id; its columns are text, id"):
        read(spark, tmp_path)
    write(tmp_path / "1", {"opinion_id": ["1"], "TEXT": ["y"]})
    with pytest.raises(BadInput, match=rf"--input {tmp_path}/1 has two columns text; its columns are "):
        read(spark, tmp_path)
    write(tmp_path / "1", {"opinion_id": ["1"], "source": [{"a": 1}]})
    with pytest.raises(BadInput, match=rf"--input {tmp_path}/1: column source is struct<a:bigint>; make it a string"):
        read(spark, tmp_path)
    write(tmp_path / "1", {"opinion_id": pa.array([1.0], pa.float16())})
    with pytest.raises(BadInput, match=rf"--input {tmp_path}/1: column opinion_id: .*FLOAT16.*; make it a string"):
        read(spark, tmp_path)
    (tmp_path / "1").write_bytes(b"PAR1 nothing")
    with pytest.raises(BadInput, match=rf"--input {tmp_path}/1 cannot be read: .* is not a Parquet file"):
        read(spark, tmp_path)
    whole = (tmp_path / "0").read_bytes()
    (tmp_path / "1").write_bytes(whole[:-60])
    with pytest.raises(BadInput, match=rf"--input {tmp_path}/1 cannot be read: .* is not a Parquet file"):
        read(spark, tmp_path)


def test_columns_that_nobody_asks_for_may_be_anything(spark, tmp_path):
    odd = {"Note": [1], "note": [2], "half": pa.array([1.5], pa.float16()), "at": pa.array([NOON], pa.timestamp("ns"))}
    write(tmp_path / "day", {"opinion_id": ["1"]} | odd)
    assert read(spark, tmp_path) == [{"opinion_id": "1", "text": "x"}]


def test_files_without_a_row_are_refused(spark, tmp_path):
    (tmp_path / "day.parquet").write_bytes(b"")
    with pytest.raises(BadInput, match=rf"--input {tmp_path} holds no row: its files are empty"):
        read(spark, tmp_path)


def test_the_name_of_a_folder_gives_a_value_as_text(spark, tmp_path):
    values = {
        "007": "007",
        "1.0": "1.0",
        "2026-11-09": "2026-11-09",
        "a%2Fb%3Dc": "a/b=c",
        "a+b": "a+b",
        "微 博": "微 博",
        "100%": "100%",
        "__HIVE_DEFAULT_PARTITION__": None,
    }
    for at, folder in enumerate(values):
        write(tmp_path / "dt=2026-11-09" / f"source={folder}" / "p.parquet", {"opinion_id": [at]})
    expected = {str(at): value for at, value in enumerate(values.values())}
    assert {row["opinion_id"]: row["source"] for row in read(spark, tmp_path)} == expected
    inside = tmp_path / "dt=2026-11-09" / "source=007"
    for path in (inside, inside / "p.parquet"):
        assert read(spark, path) == [{"opinion_id": "0", "text": "x", "source": "007"}]


def test_a_column_of_the_file_goes_before_the_name_of_its_folder(spark, tmp_path):
    write(tmp_path / "source=007" / "p.parquet", {"opinion_id": ["a", "b"], "source": ["weibo", None]})
    write(tmp_path / "source=008" / "p.parquet", {"opinion_id": ["c"]})
    write(tmp_path / "p.parquet", {"opinion_id": ["d"]})
    sources = {row["opinion_id"]: row["source"] for row in read(spark, tmp_path)}
    assert sources == {"a": "weibo", "b": None, "c": "008", "d": None}


def test_a_needed_column_may_be_a_folder(spark, tmp_path):
    write(tmp_path / "label=0" / "p", {"opinion_id": ["a"]})
    write(tmp_path / "Label=1" / "p", {"opinion_id": ["b"]})
    rows = read(spark, tmp_path, LABEL_FIELDS, needed=3)
    assert rows == [
        {"opinion_id": "a", "text": "x", "label": "0"},
        {"opinion_id": "b", "text": "x", "label": "1"},
    ]


def test_a_damaged_page_is_the_fault_of_its_file(spark, tmp_path):
    path = tmp_path / "坏 day.parquet"
    write(path, {"opinion_id": [f"a{i}" for i in range(3000)]})
    raw = bytearray(path.read_bytes())
    raw[4:2000] = b"\xff" * 1996
    path.write_bytes(raw)
    rows = read_input(spark, str(tmp_path), "parquet", FIELDS, needed=2)
    with pytest.raises(Exception, match="FAILED_READ_FILE") as failed:
        rows.collect()
    error = error_of(failed.value)
    assert type(error) is BadInput and str(error).startswith(f"{path} cannot be read: ")
