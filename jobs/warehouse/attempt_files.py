"""Parquet files that the tasks of a job write themselves, without sending their rows back to Spark.

Spark may run a task more than once: after a lost executor, as a speculative copy, for a row that kills its worker. So
each attempt writes files under new names into the run's folder `attempts/`, and returns the names as rows. Spark
returns the rows of one attempt of each task, and `Run.stage_written` moves the files of these into their tables'
folders. No reader looks into `attempts/`. An attempt that goes on after its task was given up may still finish a file
there, but never in a table's folder and never under the name of another attempt.

This holds on every file system: it needs no atomic write and no listing. A move is one call on a local disk and on
HDFS. On S3 it copies the file, as Hadoop's own committer does.
"""

import contextlib
import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs
from pyspark import TaskContext

from distill.errors import Infrastructure
from jobs.common.privacy import BatchFunction
from jobs.warehouse.python_files import opened
from jobs.warehouse.schema import arrow_schema, ddl_of

# Few rows share an id or score, so a dictionary of them would be built and then dropped as too large.
PLAIN = ("opinion_id", "text", "score")
# As Spark writes them: times as old versions of Hive read them, pages with an index and with checksums.
FORMAT = {
    "compression": "zstd",
    "use_deprecated_int96_timestamps": True,
    "write_page_index": True,
    "write_page_checksum": True,
    "store_schema": False,
}
WRITTEN_COLUMNS = {"table": "string", "file": "string", "rows": "bigint"}
WRITTEN, WRITTEN_DDL = arrow_schema(WRITTEN_COLUMNS), ddl_of(WRITTEN_COLUMNS)
GROUP = 8 << 20  # bytes of rows in memory that become a row group


@dataclass(frozen=True)
class Target:
    """Where attempts write: the URI of their folder, the columns of each table's files, and columns of one value."""

    folder: str
    columns: Mapping[str, Mapping[str, str]]
    constants: Mapping[str, str]


def writing(work: BatchFunction, target: Target) -> BatchFunction:
    """`work`, with its staged rows written to files: the function yields a row of WRITTEN for each file.

    Each batch of `work` is of one table, which its column `table` names. Raises Infrastructure where the folder cannot
    be reached or written to.
    """

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files = AttemptFiles(target, attempt_name())
        try:
            for batch in work(batches):
                files.add(batch)
            yield files.close()
        except BaseException:
            files.discard()
            raise

    return write


def attempt_name() -> str:
    """A file name of its own for each call: Spark may run a task again, and both parts of a union in one task."""
    context = TaskContext.get()
    assert context is not None
    return f"part-{context.partitionId():05d}-{uuid4().hex}.zstd.parquet"


class AttemptFiles:
    """The files of one attempt, one a table with rows."""

    def __init__(self, target: Target, name: str):
        self._target, self._name = target, name
        self._files: dict[str, TableFile] = {}
        self._fs, self._folder = opened(target.folder)

    def add(self, batch: pa.RecordBatch) -> None:
        """Write the rows of one table."""
        if not batch.num_rows:
            return
        table = batch.column("table")[0].as_py()
        with write_errors(self._target.folder):
            if table not in self._files:
                path = f"{self._folder}/{staged_name(table, self._name)}"
                self._files[table] = TableFile(self._fs, path, self._target.columns[table], self._target.constants)
            self._files[table].add(batch)

    def close(self) -> pa.RecordBatch:
        """Complete the files; returns their rows of WRITTEN."""
        with write_errors(self._target.folder):
            for file in self._files.values():
                file.close()
        written = [{"table": table, "file": self._name, "rows": file.rows} for table, file in self._files.items()]
        return pa.RecordBatch.from_pylist(written, WRITTEN)

    def discard(self) -> None:
        """Remove the files, as far as that is possible: the driver removes the whole folder."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.discard()


class TableFile:
    """A Parquet file of one table, written a row group at a time."""

    def __init__(self, fs: pafs.FileSystem, path: str, columns: Mapping[str, str], constants: Mapping[str, str]):
        self._fs, self._path = fs, path
        self.rows = 0
        self._held: list[pa.RecordBatch] = []
        self._bytes = 0
        self._read = [column for column in columns if column not in constants]
        first = pa.array([0], pa.int8())
        self._constants = {
            column: pa.DictionaryArray.from_arrays(first, [constants[column]])
            for column in columns
            if column in constants
        }
        kinds = {column: one.type for column, one in self._constants.items()}
        schema = pa.schema([(field.name, kinds.get(field.name, field.type)) for field in arrow_schema(columns)])
        self._stream = fs.open_output_stream(path)
        coded = [column for column in columns if column not in PLAIN]
        self._writer = pq.ParquetWriter(self._stream, schema, use_dictionary=coded, **FORMAT)

    def add(self, batch: pa.RecordBatch) -> None:
        """Hold the rows, and write those that are held once they fill a row group."""
        rows = batch.select(self._read)
        self._held.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= GROUP:
            self._write_group()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held)
        self.rows += group.num_rows
        self._held, self._bytes = [], 0
        columns = dict(zip(self._read, group.columns, strict=True))
        for name, one in self._constants.items():
            columns[name] = one.take(pa.repeat(pa.scalar(0), group.num_rows))
        schema = self._writer.schema
        whole = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
        self._writer.write_table(whole, row_group_size=group.num_rows)
        del group, columns, whole
        pa.default_memory_pool().release_unused()  # else a worker keeps what its largest row group took

    def close(self) -> None:
        """Write what is held and complete the file."""
        if self._held:
            self._write_group()
        self._writer.close()
        self._stream.close()

    def discard(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        with contextlib.suppress(OSError, pa.ArrowException):
            self._stream.close()
        self._fs.delete_file(self._path)


def staged_name(table: str, file: str) -> str:
    """The name of a table's file in the folder of the attempts."""
    return f"{table}.{file}"


@contextlib.contextmanager
def write_errors(folder: str) -> Iterator[None]:
    """Turn a failure of the file system into Infrastructure that names the folder; its message quotes no row."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Infrastructure(f"no space left below {folder}; free some") from e
        raise Infrastructure(f"{folder} cannot be written: {e}") from e
