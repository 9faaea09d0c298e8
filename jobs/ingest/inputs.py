"""Read the files that people hand in, JSON lines, CSV or Parquet, as columns of raw bytes that lose nothing."""

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
# A row of more lines has lost its closing quote. Bounds what one such row costs to look past.
ROW_LINES = 10_000


def read_input(spark: SparkSession, path: str | list[str], kind: str, fields: Sequence[str], needed: int) -> DataFrame:
    """The records of the input as binary columns: `line` for jsonl, the named fields for csv and parquet.

    A CSV row that is none is in the column BROKEN_ROW as it was. Raises BadInput for a path that is not there and for
    a table without the first `needed` of the fields (for CSV on counting the rows, see `count`), Infrastructure when
    the file system cannot be reached.
    """
    try:
        files = Input(spark, path)
        if kind == "parquet":
            return read_parquet(files, fields, needed)
        lines = files.reader().text(files.paths, lineSep="\n")
        line = F.col("value").cast("binary").alias("line")
        if kind == "jsonl":
            return lines.select(line)
        # Rows of CSV span lines: those of one file are brought together, in their order. Spark's own CSV reader merges
        # lines, or loses them, after a quote that is not closed.
        at = F.monotonically_increasing_id().alias("at")
        lines = lines.select(line, F.col("_metadata.file_path"), F.col("_metadata.file_block_start"), at)
        # As many parts as cores: left to itself Spark makes 200, and keeps them in what is persisted.
        lines = lines.repartition(spark.sparkContext.defaultParallelism, "file_path")
        lines = lines.sortWithinPartitions("file_path", "file_block_start", "at")
        ddl = ", ".join(f"{name} binary" for name in (*fields, BROKEN_ROW))
        return lines.mapInArrow(redact_errors(csv_reader(fields, needed)), ddl)
    except (PySparkException, Py4JJavaError) as e:
        raise unreadable(path, e) from e


def count(rows: DataFrame, path: str) -> int:
    """The number of input rows. Raises BadInput, naming the file, for one that cannot be read."""
    try:
        return rows.count()
    except (PySparkException, Py4JJavaError) as e:
        raise error_of(e) from e


def unreadable(path: str | list[str], error: Exception) -> OpinionError:
    """The error of an input that Spark cannot open, from what Spark says."""
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
CsvRow = tuple[list[bytes] | None, bytes]  # None for a line that is no row; the bytes it was read from
NULLS = (b"", rb"\N")


def csv_reader(fields: Sequence[str], needed: int) -> Callable[[Batches], Batches]:
    """The function that Spark maps over lines, those of a file one after the other, to give the rows of CSV."""
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

    A row may lack columns at its end that are not needed. Raises BadInput for a file that is not in UTF-8, at its end.
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
    """The rows, None for one that has too many columns, lacks needed ones, or is a part of a row.

    Excel leaves out empty columns at the end of a row. A line break in a cell without quotes leaves two short rows as
    well, which have one column more together than a row: those are not read as two.
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
    """The rows of CSV (RFC 4180) with the bytes each was read from; None for a line that is no row.

    Of a row whose quotes do not fit only the first line is given up: reading goes on at its second.
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
    """Lines for one row of CSV, noted in `taken`. As Latin-1 every byte is one character, so none is lost."""
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
    """Bytes for people to read."""
    return raw.decode("utf-8", "backslashreplace")
