"""Row groups of Parquet files that the tasks of a job read themselves, so that their rows do not pass through Spark.

The driver reads the footers and gives each task row groups that follow one another, as many bytes as Spark would.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from distill.errors import BadInput, Infrastructure
from jobs.warehouse.python_files import opened

LEAST, MOST = 4 << 20, 128 << 20  # bytes of files for a task
AS_SPARK_WRITES = {"coerce_int96_timestamp_unit": "us", "page_checksum_verification": True}
BATCH_ROWS, BATCH_BYTES = 8192, 16 << 20  # at most; bytes by the average of a row group


@dataclass(frozen=True)
class RowGroups:
    """Row groups `first` to `first + count` of a file; file: a path on the file system of their folder."""

    file: str
    first: int
    count: int


def tasks_of(folder: str, cores: int) -> list[list[RowGroups]]:
    """The row groups of all files in a folder, task by task, for that many cores; folder: a URI.

    Raises Unreached where Python has no client for the folder, BadInput for a damaged file.
    """
    fs, path = opened(folder)
    groups: list[tuple[str, int, int]] = []  # file, number, bytes
    for file in sorted(fs.get_file_info(pafs.FileSelector(path)), key=lambda file: file.path):
        if file.is_file and not file.base_name.startswith(("_", ".")):
            with read_errors(file.path):
                footer = pq.read_metadata(file.path, filesystem=fs)
            groups += [(file.path, i, bytes_of(footer.row_group(i))) for i in range(footer.num_row_groups)]
    total = sum(size for *_, size in groups)
    count = -(-total // min(MOST, max(LEAST, -(-total // cores))))
    tasks: list[list[RowGroups]] = [[] for _ in range(count)]
    before = 0
    for name, number, size in groups:
        of_task = tasks[count * (before + size // 2) // total]
        before += size
        if of_task and of_task[-1].file == name:
            of_task[-1] = replace(of_task[-1], count=of_task[-1].count + 1)
        else:
            of_task.append(RowGroups(name, number, 1))
    return [task for task in tasks if task]


def bytes_of(group: pq.RowGroupMetaData) -> int:
    """The bytes of a row group in its file."""
    return sum(group.column(i).total_compressed_size for i in range(group.num_columns))


def read(folder: str, parts: Sequence[RowGroups], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of these row groups with the columns of `schema`, in batches of bounded size.

    Times without a zone are UTC, as Spark stores them. Errors as `tasks_of`; Infrastructure for a file that is gone.
    """
    fs, _ = opened(folder)
    for part in parts:
        with read_errors(part.file):
            file = pq.ParquetFile(part.file, filesystem=fs, **AS_SPARK_WRITES)
        with file:
            for group in range(part.first, part.first + part.count):
                yield from read_group(file, part.file, group, schema)


def read_group(file: pq.ParquetFile, path: str, group: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches of one row group."""
    footer = file.metadata.row_group(group)
    rows = min(BATCH_ROWS, max(1, BATCH_BYTES * footer.num_rows // max(1, footer.total_byte_size)))
    columns = [name for name in schema.names if name in file.schema_arrow.names]
    batches = file.iter_batches(rows, [group], columns, use_threads=False)
    while True:
        with read_errors(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield pa.RecordBatch.from_arrays(
            [
                batch.column(field.name).cast(field.type)
                if field.name in columns
                else pa.nulls(batch.num_rows, field.type)
                for field in schema
            ],
            schema=schema,
        )


@contextlib.contextmanager
def read_errors(file: str) -> Iterator[None]:
    """Turn what pyarrow raises for a file into one line that names it."""
    try:
        yield
    except FileNotFoundError as e:
        raise Infrastructure(
            f"{file} was removed while it was read, perhaps by a run that replaced it; run it again"
        ) from e
    except (pa.ArrowInvalid, OSError) as e:
        if isinstance(e, OSError) and e.errno:  # of the file system: the file may be whole
            raise Infrastructure(f"{file} cannot be read: {e}") from e
        raise BadInput(f"{file} cannot be read: {e}") from e
