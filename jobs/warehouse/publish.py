"""Publish: stage, audit, switch. The only way that rows reach a table.

A run writes all its tables into one fresh folder (`stage`), the caller counts what it reads back (`read_back`), then
`switch` points each table's partition at the new files, one metastore call a table. A reader of a table sees the old
files or the new ones, never a mixture and never nothing.

    <data>/<database>/<job>/<scope>/run=<run id>/table=<name>/part-*.parquet
    <data>/<database>/pending/<job>,<scope>,<run id>.json      while a run is between its first and last switch

The pending file is written after the audit and before the first switch; it lists every switch of the run. A run that
dies before it leaves unused files, which the next run of the same scope removes at its end. The next run of any job
finishes a run that dies after it, by repeating the switches (`finish_pending`).

A run removes the files of other runs only after its own switches: before that a reader may use them, or a host that
does not share the lock may write them.
"""

import io
import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import Busy
from jobs.common import locks
from jobs.common.home import home
from jobs.warehouse.attempt_files import PLAIN, staged_name
from jobs.warehouse.python_files import reached_by_python
from jobs.warehouse.schema import Table, arrow_schema
from jobs.warehouse.tables import TABLES
from jobs.warehouse.warehouse import Warehouse

log = logging.getLogger("opinion")
PLAIN_COLUMNS = {f"parquet.enable.dictionary#{column}": "false" for column in PLAIN}
BY_NAME = {table.name: table for table in TABLES}
MOVES = 16  # at once: each waits for the name node, or for a copy on S3
PENDING = re.compile(r"\w+,[^,]+,\d{8}T\d{6}Z-[0-9a-f]{8}\.json(\.tmp)?")


@dataclass
class Run:
    """One run of a job over one lock scope (a day, or the labels)."""

    warehouse: Warehouse
    job: str
    lock_scope: str
    id: str
    started: datetime
    seen: dict[str, str | None] = field(default_factory=dict)
    switching: bool = False

    @property
    def scope_folder(self) -> str:
        """Folder of all runs of this scope."""
        return f"{self.warehouse.root}/{self.job}/{self.lock_scope}"

    @property
    def folder(self) -> str:
        """Folder of this run's files."""
        return f"{self.scope_folder}/run={self.id}"

    def location(self, table: Table) -> str:
        """Folder of this run's files of one table."""
        return f"{self.folder}/table={table.name}"

    def stage(self, rows: DataFrame, tables: list[Table], pack: bool = True) -> None:
        """Write rows of several tables in one pass over the input; the column `table` names the table of a row.

        The other columns are the union of the tables' columns; a row has null in those of other tables. `pack` shuffles
        each table's rows into as few files as their size needs; without it every task writes its own.
        """
        if pack:
            rows = rows.hint("rebalance", F.col("table"))
        writer = rows.write.partitionBy("table").mode("append").options(**PLAIN_COLUMNS)
        writer.parquet(self.folder)
        for table in tables:
            self.warehouse.files.make_folder(self.location(table))

    @property
    def attempts(self) -> str:
        """Folder of the files that tasks write themselves, until they are staged (`attempt_files`)."""
        return f"{self.folder}/attempts"

    def reached_by_python(self) -> bool:
        """Whether Python workers can write the files of this run."""
        self.warehouse.files.make_folder(self.attempts)
        return reached_by_python(self.warehouse, self.attempts)

    def stage_written(self, written: DataFrame, tables: list[Table]) -> None:
        """Stage the files that the tasks of `written` write; its rows are those of `attempt_files.writing`.

        All other files that attempts left are removed.
        """
        files = self.warehouse.files
        for folder in (self.attempts, *map(self.location, tables)):
            files.make_folder(folder)
        try:
            with ThreadPoolExecutor(MOVES) as at_once:
                moves = [
                    at_once.submit(
                        files.rename,
                        f"{self.attempts}/{staged_name(row.table, row.file)}",
                        f"{self.folder}/table={row.table}/{row.file}",
                    )
                    for row in written.collect()
                ]
            for move in moves:
                move.result()
        finally:
            files.delete(self.attempts)

    def stage_rows(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the few rows of a table that the driver has, as one file; a column that a row lacks is null.

        Spark has no part in it, whose way from a Python list to a file takes a job and a Python worker.
        """
        columns = arrow_schema(table.columns)
        values = [{column: row.get(column) for column in table.columns} for row in rows]
        packed = io.BytesIO()
        # Times as Spark writes them by default, and as old versions of Hive read them.
        options = {"compression": "zstd", "use_deprecated_int96_timestamps": True}
        pq.write_table(pa.Table.from_pylist(values, schema=columns), packed, **options)
        self.warehouse.files.make_folder(self.location(table))
        self.warehouse.files.write(f"{self.location(table)}/part-00000.zstd.parquet", packed.getvalue())

    def discard(self, table: Table) -> None:
        """Remove the staged rows of a table that will not be switched."""
        self.warehouse.files.delete(self.location(table))

    def read_back(self, table: Table, ddl: str | None = None) -> DataFrame:
        """The staged rows of a table, with its columns or those of `ddl`."""
        return self.warehouse.spark.read.schema(ddl or table.ddl).parquet(self.location(table))

    def read_back_all(self, tables: list[Table], ddl: str) -> DataFrame:
        """The staged rows of several tables, with the columns of `ddl` and a column `table`."""
        parts = [self.location(table) for table in tables]
        reader = self.warehouse.spark.read.schema(f"{ddl}, table string").option("basePath", self.folder)
        return reader.parquet(*parts)

    def switch(self, partitions: list[tuple[Table, dict[str, str]]]) -> None:
        """Point every partition at this run's files, in the given order; once it is pending, any run can finish it.

        Raises Busy, with nothing switched, when another run has published one of them since this run began.
        """
        for table, partition in partitions:
            now = self.warehouse.location(table, partition)
            if self.seen[table.name] != now:
                raise Busy(
                    f"{self.warehouse.name(table)} {partition} was published by another run while this one worked "
                    f"({now}); that run stands, run again to replace it"
                )
        switches = [[table.name, partition, self.location(table)] for table, partition in partitions]
        pending = f"{self.warehouse.root}/pending/{self.job},{self.lock_scope},{self.id}.json"
        self.warehouse.files.write_text(pending, json.dumps(switches))
        self.switching = True
        for table, partition in partitions:
            self.warehouse.set_location(table, partition, self.location(table), self.seen[table.name])
        self.warehouse.files.delete(pending)
        keep = {self.id} | {run_id_of(before) for before in self.seen.values() if before}
        self.delete_old_runs(keep)

    def delete_old_runs(self, keep: set[str]) -> None:
        """Remove the files of this scope's runs except `keep`: the one in force, and the last for readers in flight."""
        for name in self.warehouse.files.names(self.scope_folder):
            if name.removeprefix("run=") not in keep:
                self.warehouse.files.delete(f"{self.scope_folder}/{name}")


@contextmanager
def run(
    warehouse: Warehouse, job: str, lock_scope: str, partitions: list[tuple[Table, dict[str, str]]]
) -> Iterator[Run]:
    """Hold the lock of the scope and yield a new run; an exception in the block removes the staged files.

    Raises Busy, naming the holder, while another run holds the lock.
    """
    with locks.hold(lock_path(warehouse, job, lock_scope), f"{lock_scope} of {warehouse.database} ({job})"):
        finish_pending(warehouse, held=(job, lock_scope))
        started = datetime.now(UTC)
        this = Run(warehouse, job, lock_scope, f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", started)
        this.seen = {table.name: warehouse.location(table, partition) for table, partition in partitions}
        try:
            yield this
        except BaseException:
            # Files of a switched partition, or of a pending switch, must stay.
            if not this.switching and not is_pending(warehouse, this.id):
                warehouse.files.delete(this.folder)
            raise


def lock_path(warehouse: Warehouse, job: str, lock_scope: str) -> Path:
    """The lock file of a scope."""
    return home() / "locks" / f"{warehouse.database},{job},{lock_scope}.lock"


def is_pending(warehouse: Warehouse, run_id: str) -> bool:
    """Whether the run has begun to switch and not ended."""
    return any(run_id in name for name in pending_names(warehouse))


def pending_names(warehouse: Warehouse) -> list[str]:
    """The names of the pending files, without foreign files such as the ._* of macOS."""
    return [name for name in warehouse.files.names(f"{warehouse.root}/pending") if PENDING.fullmatch(name)]


def finish_pending(warehouse: Warehouse, held: tuple[str, str] | None = None) -> None:
    """Finish the switches of runs that died between two of them. held: the scope whose lock the caller holds."""
    folder = f"{warehouse.root}/pending"
    for name in pending_names(warehouse):
        job, lock_scope, run_id = name.removesuffix(".tmp").removesuffix(".json").split(",")
        if name.endswith(".tmp"):  # its writer is about to rename it, or died before its first switch
            if (job, lock_scope) == held:
                warehouse.files.delete(f"{folder}/{name}")
            continue
        try:
            if (job, lock_scope) == held:
                finish(warehouse, f"{folder}/{name}")
            else:
                with locks.hold(lock_path(warehouse, job, lock_scope), lock_scope):
                    finish(warehouse, f"{folder}/{name}")
        except Busy:
            continue  # its run is alive and will finish
        log.warning("finished the switches of run %s of %s %s, which had died between them", run_id, job, lock_scope)
        print(f"finished run {run_id} of {job} {lock_scope}, which had died between two tables", flush=True)


def finish(warehouse: Warehouse, pending: str) -> None:
    """Repeat the switches of one pending file, unless its run has ended since the folder was listed."""
    try:
        switches = json.loads(warehouse.files.read_text(pending))
    except FileNotFoundError:
        return
    for name, partition, location in switches:
        table = BY_NAME[name]
        warehouse.set_location(table, partition, location, warehouse.location(table, partition))
    warehouse.files.delete(pending)


def run_id_of(location: str) -> str:
    """The run id in a location of `Run.location`; otherwise the last folder's name."""
    return location.split("/run=")[-1].split("/")[0]
