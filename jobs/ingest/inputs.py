"""Read input files (JSON lines, CSV or Parquet) as columns of raw bytes, without loss."""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from urllib.parse import unquote

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from jobs.common.failures import error_of, known_failure
from jobs.common.file_errors import full_text, innermost_cause
from jobs.common.privacy import redact_errors
from jobs.ingest.input_files import Input, check_columns, shown
from jobs.ingest.parquet_input import read_parquet
from jobs.ingest.records import BROKEN_ROW
from jobs.ingest.sniff import Encoding, header_fault

BATCH_ROWS, BATCH_BYTES = 8192, 16 << 20
# A row of more lines has lost its closing quote. The limit bounds the cost of skipping it.
ROW_LINES = 10_000


def read_input(spark: SparkSession, path: str | list[str], kind: str, fields: Sequence[str], needed: int) -> DataFrame:
    """The records of the input as binary columns: `line` for jsonl, the named fields for csv and parquet.

    A malformed CSV row is in the column BROKEN_ROW, unchanged. Raises BadInput for a missing path and for a table
    without the first `needed` fields (for CSV when the rows are counted, see `count`), Infrastructure when the file
    system cannot be reached.
    """
    try:
        files = Input(spark, path)
        if kind == "parquet":
            return read_parquet(files, fields, needed)
        lines = files.reader().text(files.paths, lineSep="\n")
        line = F.col("value").cast("binary").alias("line")
        if kind == "jsonl":
            return lines.select(line)
        # A CSV row may span lines, so the lines of one file are collected in their order. Spark's own CSV reader merges
        # or loses lines after an unclosed quote.
        at = F.monotonically_increasing_id().alias("at")
        lines = lines.select(line, F.col("_metadata.file_path"), F.col("_metadata.file_block_start"), at)
        # One partition per core; Spark's default of 200 would remain in persisted data.
        lines = lines.repartition(spark.sparkContext.defaultParallelism, "file_path")
        lines = lines.sortWithinPartitions("file_path", "file_block_start", "at")
        ddl = ", ".join(f"{name} binary" for name in (*fields, BROKEN_ROW))
        return lines.mapInArrow(redact_errors(csv_reader(fields, needed)), ddl)
    except (PySparkException, Py4JJavaError) as e:
        raise unreadable(path, e) from e


def count(rows: DataFrame, path: str) -> int:
    """The number of input rows; raises BadInput that names a file which cannot be read."""
    try:
        return rows.count()
    except (PySparkException, Py4JJavaError) as e:
        raise error_of(e) from e


def unreadable(path: str | list[str], error: Exception) -> OpinionError:
    """The error of an input that Spark cannot open, from Spark's message."""
    text = full_text(error)
    if missing := re.search(r"PATH_NOT_FOUND.*does not exist: (?:file:)?(.+?)\. SQLSTATE", text):
        return BadInput(f"--input {missing[1]}: no such file or folder")
    if colon := re.search(r"Relative path in absolute URI: (\S+)", text):
        return BadInput(
            f"--input {shown(path)}: {colon[1]} has a colon in its name, which no glob of Hadoop can match; "
            "give its folder or its whole name"
        )
    return known_failure(error) or BadInput(f"--input {shown(path)} cannot be read: {innermost_cause(text)}")


Batches = Iterator[pa.RecordBatch]
CsvRow = tuple[list[bytes] | None, bytes]  # None for a malformed row; the bytes it was read from
NULLS = (b"", rb"\N")


def csv_reader(fields: Sequence[str], needed: int) -> Callable[[Batches], Batches]:
    """The function that Spark maps over the lines of each file, in order; it yields the rows of CSV."""
    schema = pa.schema([(name, pa.binary()) for name in (*fields, BROKEN_ROW)])

    def read(batches: Batches) -> Batches:
        csv.field_size_limit(2**31 - 1)
        lines = chain.from_iterable(
            zip(batch.column("file_path").to_pylist(), batch.column("line").to_pylist(), strict=True)
            for batch in batches
        )
        rows, size = [], 0
        for path, group in groupby(lines, key=itemgetter(0)):
            for row in csv_records(path, (line + b"\n" for _, line in group), fields, needed):
                rows.append(row)
                size += sum(len(value) for value in row.values() if value)
                if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                    yield pa.RecordBatch.from_pylist(rows, schema=schema)
                    rows, size = [], 0
        yield pa.RecordBatch.from_pylist(rows, schema=schema)

    return read


def csv_records(
    path: str, lines: Iterable[bytes], fields: Sequence[str], needed: int
) -> Iterator[dict[str, bytes | None]]:
    """The lines of one file as records by the names in its header; an empty field, and Hive's \\N, is None.

    A row may lack optional columns at its end. At the end of a file that is not UTF-8 it raises BadInput.
    """
    rows = csv_rows(lines)
    header, first = next(rows)
    names = [as_text(name).removeprefix("\ufeff").strip().strip('"') for name in header or [first]]
    path = re.sub("^file:/*(?=/)", "", unquote(path))
    if not set(fields[:needed]) <= set(names) and (fault := header_fault(first, fields[:needed])):
        raise BadInput(f"--input {path}: {fault}")
    check_columns(path, names, fields, needed)
    where = [(name, names.index(name)) for name in fields if name in names]
    least = 1 + max(at for name, at in where if name in fields[:needed])
    encoding = Encoding()
    for row, raw in without_halves(rows, len(names), least):
        encoding.add(raw)
        if row is None:
            yield {BROKEN_ROW: raw}
        else:
            row += [b""] * (len(names) - len(row))
            yield {name: None if row[at] in NULLS else row[at] for name, at in where}
    if fault := encoding.fault():
        raise BadInput(f"--input {path}: {fault}")


def without_halves(rows: Iterable[CsvRow], width: int, least: int) -> Iterator[CsvRow]:
    """The rows; None for a row with too many columns, without needed ones, or cut in parts.

    Excel omits empty columns at the end of a row. An unquoted line break in a cell also leaves two short rows, which
    together have one column more than a row; these are not read as two rows.
    """
    held: CsvRow | None = None
    before = 0  # columns of the last short row, if it may be the first half of another
    for row, raw in rows:
        columns = len(row or [])
        if before and columns < 2:  # a line in the middle of the cell
            yield None, raw
            continue
        halves = before + columns == width + 1 and 2 <= columns != before
        if held:
            yield (None, held[1]) if halves else held
        held, before = None, columns if 2 <= columns < width and not halves else 0
        if least <= columns < width and not halves:
            held = row, raw
        else:
            yield row if columns == width else None, raw
    if held:
        yield held


def csv_rows(lines: Iterable[bytes]) -> Iterator[CsvRow]:
    """The rows of CSV (RFC 4180) with the bytes each was read from; None for a malformed row.

    When the quotes of a row do not match, only its first line is rejected; reading continues at its second.
    """
    source, again = iter(lines), deque[bytes]()
    while True:
        taken: list[bytes] = []
        try:
            row = next(csv.reader(one_row(source, again, taken), strict=True), None)
        except csv.Error:
            again.extendleft(reversed(taken[1:]))
            yield None, end_stripped(taken[0])
            continue
        if row is None:
            return
        yield [field.encode("latin-1") for field in row], end_stripped(b"".join(taken))


def one_row(source: Iterator[bytes], again: deque[bytes], taken: list[bytes]) -> Iterator[str]:
    """Lines for one row of CSV, recorded in `taken`. In Latin-1 every byte is one character, so no byte is lost."""
    while len(taken) < ROW_LINES:
        line = again.popleft() if again else next(source, None)
        if line is None:
            return
        taken.append(line)
        yield line.decode("latin-1")


def end_stripped(line: bytes) -> bytes:
    """The line without its line end."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def as_text(raw: bytes) -> str:
    """Bytes as text for messages."""
    return raw.decode("utf-8", "backslashreplace")
