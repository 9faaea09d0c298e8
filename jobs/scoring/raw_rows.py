"""The raw rows of a day as tasks read them: the Python workers themselves, or Spark where these reach no files."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from jobs.common.privacy import BatchFunction, redact_errors
from jobs.scoring.duplicates import reason, without_repeats
from jobs.scoring.id_hashes import Hashes, hashes_of_ids
from jobs.warehouse.python_files import Unreached
from jobs.warehouse.row_groups import RowGroups, read, tasks_of
from jobs.warehouse.schema import arrow_schema
from jobs.warehouse.tables import RAW_OPINION


class SparkRows:
    """Rows of raw_opinion that Spark reads."""

    def __init__(self, raw: DataFrame):
        self.raw = raw

    def table(self, *columns: str) -> pa.Table:
        """These columns of all rows, in the driver."""
        return self.raw.select(*columns).toArrow()

    def map(self, work: BatchFunction, ddl: str, *columns: str) -> DataFrame:
        """`work` over these columns."""
        return self.raw.select(*columns).mapInArrow(redact_errors(work), ddl)

    def map_unique(self, work: BatchFunction, ddl: str, repeated: Hashes) -> DataFrame:
        """`work` over all columns and `repeats`, as `without_repeats`."""
        return without_repeats(self.raw, repeated).mapInArrow(redact_errors(work), ddl)


class FileRows(SparkRows):
    """The same rows, read by the workers from the files: only those of repeated ids pass through Spark."""

    def __init__(self, raw: DataFrame, folder: str, tasks: list[list[RowGroups]]):
        super().__init__(raw)
        self._folder, self._tasks = folder, tasks

    def table(self, *columns: str) -> pa.Table:
        """These columns of all rows, in the driver."""
        schema = raw_schema(columns)
        parts = [part for task in self._tasks for part in task]
        return pa.Table.from_batches(read(self._folder, parts, schema), schema)

    def map(self, work: BatchFunction, ddl: str, *columns: str) -> DataFrame:
        """`work` over these columns."""
        folder, tasks, schema = self._folder, self._tasks, raw_schema(columns)

        def rows(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in numbers:
                for number in batch.column("id").to_pylist():
                    yield from read(folder, tasks[number], schema)

        numbers = self.raw.sparkSession.range(0, len(tasks), 1, max(1, len(tasks)))
        return numbers.mapInArrow(redact_errors(lambda batches: work(rows(batches))), ddl)

    def map_unique(self, work: BatchFunction, ddl: str, repeated: Hashes) -> DataFrame:
        """`work` over all columns and `repeats`, as `without_repeats`."""
        once = self.map(lambda rows: work(rows_once(rows, repeated)), ddl, *RAW_OPINION.columns)
        if not len(repeated):
            return once
        several = self.map(lambda rows: rows_repeated(rows, repeated), RAW_OPINION.ddl, *RAW_OPINION.columns)
        several = several.withColumn("repeats", reason())
        return once.unionByName(several.mapInArrow(redact_errors(work), ddl))


def raw_rows(raw: DataFrame, folder: str, by_workers: bool) -> SparkRows:
    """The rows of `raw`, which reads the files of a folder; raises BadInput for a damaged file."""
    if by_workers:
        try:
            return FileRows(raw, folder, tasks_of(folder, raw.sparkSession.sparkContext.defaultParallelism))
        except Unreached:  # loaded to another file system than the one that this night writes to
            pass
    return SparkRows(raw)


def raw_schema(columns: Sequence[str]) -> pa.Schema:
    """These columns of raw_opinion."""
    return arrow_schema({name: RAW_OPINION.columns[name] for name in columns})


def rows_once(batches: Iterator[pa.RecordBatch], repeated: Hashes) -> Iterator[pa.RecordBatch]:
    """The rows whose id has no repeated hash, with an empty column `repeats`."""
    for batch in batches:
        again = is_repeated(batch, repeated)
        rows = batch.filter(pa.array(~again)) if again.any() else batch
        yield rows.append_column("repeats", pa.nulls(rows.num_rows, pa.string()))


def rows_repeated(batches: Iterator[pa.RecordBatch], repeated: Hashes) -> Iterator[pa.RecordBatch]:
    """The other rows."""
    for batch in batches:
        yield batch.filter(pa.array(is_repeated(batch, repeated)))


def is_repeated(batch: pa.RecordBatch, repeated: Hashes) -> npt.NDArray[np.bool_]:
    """Whether each id's hash is one of the sorted hashes, (rows,); False for a row without an id."""
    if not len(repeated):
        return np.zeros(batch.num_rows, bool)
    ids = batch.column("opinion_id")
    hashes = hashes_of_ids(ids)
    nearest = repeated[np.minimum(np.searchsorted(repeated, hashes), len(repeated) - 1)]
    same: npt.NDArray[np.bool_] = (nearest == hashes) & ids.is_valid().to_numpy(zero_copy_only=False)
    return same
