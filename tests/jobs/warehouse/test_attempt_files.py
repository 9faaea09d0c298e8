"""Files that tasks write themselves: one attempt's of each task are staged, whatever the others leave."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PythonException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from distill.errors import Infrastructure
from jobs.common.privacy import redact_errors
from jobs.warehouse import attempt_files, publish
from jobs.warehouse.attempt_files import WRITTEN_DDL, AttemptFiles, Target, staged_name, writing
from jobs.warehouse.schema import arrow_schema, staged_columns
from jobs.warehouse.tables import OPINION_SCORE, RAW_OPINION, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse

TABLES = (OPINION_SCORE, VALID_COMPLAINT)
STAGED = arrow_schema(staged_columns(*TABLES, table="string"))
RUN = {"model_version": "m-1", "run_id": "r-1"}
NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)


def target_of(folder: object) -> Target:
    return Target(f"file://{folder}", {table.name: table.columns for table in TABLES}, RUN)


def rows_of(table: str, rows: int, first: int = 0) -> pa.RecordBatch:
    made = [{"table": table, "opinion_id": f"id-{first + i}", "score": i / 8} for i in range(rows)]
    if table == VALID_COMPLAINT.name:
        made = [row | {"text": "物业乱收费", "published_at": NOON} for row in made]
    return pa.RecordBatch.from_pylist(made, schema=STAGED)


def test_each_table_gets_a_file_with_its_columns_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(attempt_files, "GROUP", 100)  # bytes: a few rows
    files = AttemptFiles(target_of(tmp_path), "part-1.parquet")
    for first in (0, 2, 4, 6):
        files.add(rows_of("opinion_score", 2, first))
    files.add(rows_of("valid_complaint", 1))
    written = files.close().to_pylist()
    assert [(row["table"], row["rows"]) for row in written] == [("opinion_score", 8), ("valid_complaint", 1)]
    scores, valid = (pq.ParquetFile(tmp_path / staged_name(row["table"], row["file"])) for row in written)
    assert scores.schema_arrow.names == list(OPINION_SCORE.columns)
    assert valid.schema_arrow.names == list(VALID_COMPLAINT.columns)
    assert scores.metadata.num_row_groups > 1
    assert scores.read()["opinion_id"].to_pylist() == [f"id-{i}" for i in range(8)]
    assert set(scores.read()["run_id"].to_pylist()) == {"r-1"}
    [row] = valid.read().to_pylist()
    assert (row["text"], row["model_version"], row["published_at"]) == ("物业乱收费", "m-1", NOON.replace(tzinfo=None))


def test_a_file_is_of_the_format_that_spark_writes(tmp_path: Path) -> None:
    files = AttemptFiles(target_of(tmp_path), "part-1.parquet")
    files.add(rows_of("valid_complaint", 5))
    files.close()
    file = pq.ParquetFile(tmp_path / staged_name("valid_complaint", "part-1.parquet"))
    columns = {name: file.metadata.row_group(0).column(i) for i, name in enumerate(file.schema_arrow.names)}
    assert columns["published_at"].physical_type == "INT96", "as old versions of Hive read times"
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    ids = columns["opinion_id"].statistics
    assert (ids.min, ids.max) == ("id-0", "id-4")
    assert str(file.schema.column(0).logical_type) == "String"
    assert not columns["opinion_id"].has_dictionary_page and columns["run_id"].has_dictionary_page


def test_a_discarded_attempt_leaves_no_file(tmp_path: Path) -> None:
    files = AttemptFiles(target_of(tmp_path), "part-1.parquet")
    files.add(rows_of("opinion_score", 2))
    assert list(tmp_path.iterdir())
    files.discard()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / staged_name("opinion_score", "part-1.parquet")).symlink_to("/dev/full")
    files = AttemptFiles(target_of(tmp_path), "part-1.parquet")
    with pytest.raises(Infrastructure, match=rf"no space left below file://{tmp_path}; free some"):
        files.add(rows_of("opinion_score", 2))
        files.close()


def test_a_folder_that_is_gone_is_named_and_not_made_again(tmp_path: Path) -> None:
    files = AttemptFiles(target_of(tmp_path / "gone"), "part-1.parquet")
    with pytest.raises(Infrastructure, match="gone cannot be written"):
        files.add(rows_of("opinion_score", 2))
    assert not (tmp_path / "gone").exists()


@pytest.mark.spark
def test_spark_refuses_a_changed_byte(spark: SparkSession, tmp_path: Path) -> None:
    files = AttemptFiles(target_of(tmp_path), "part-1.parquet")
    files.add(rows_of("opinion_score", 1000))
    files.close()
    path = tmp_path / staged_name("opinion_score", "part-1.parquet")
    ids = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[ids.data_page_offset + ids.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match="CRC checksum verification failed"):
        spark.read.parquet(str(path)).select("opinion_id").collect()


def scores(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield rows_of("opinion_score", batch.num_rows, batch["id"][0].as_py())


def ids(warehouse: Warehouse, day: str) -> list[str]:
    return sorted(row.opinion_id for row in warehouse.read(OPINION_SCORE, dt=day).collect())


def run_of(warehouse: Warehouse, day: str) -> Any:
    return publish.run(warehouse, "attempts", f"dt={day}", [(OPINION_SCORE, {"dt": day})])


@pytest.mark.spark
def test_files_of_other_attempts_are_never_staged(warehouse: Warehouse, day: str) -> None:
    partition = (OPINION_SCORE, {"dt": day})
    with run_of(warehouse, day) as run:
        target = Target(run.attempts, {table.name: table.columns for table in TABLES}, RUN)
        attempts, staged = (Path(uri.removeprefix("file:").replace("//", "/")) for uri in (run.attempts, run.folder))

        def twice(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            """A task of which another attempt has ended, whose rows Spark did not take."""
            read = list(batches)
            other = AttemptFiles(target, "other.zstd.parquet")
            for rows in scores(iter(read)):
                other.add(rows)
            other.close()
            yield from writing(scores, target)(iter(read))

        assert run.reached_by_python()
        zombie = AttemptFiles(target, "zombie.zstd.parquet")
        zombie.add(rows_of("opinion_score", 3))
        rows = warehouse.spark.range(0, 20, 1, 2).mapInArrow(redact_errors(twice), WRITTEN_DDL)
        run.stage_written(rows, list(TABLES))
        assert not attempts.exists()
        zombie.close()  # it goes on after its task was given up
        with pytest.raises(Infrastructure):
            AttemptFiles(target, "zombie-2.zstd.parquet").add(rows_of("opinion_score", 3))
        files = [file.name for file in staged.rglob("*") if file.is_file()]
        assert len(files) == 2 and all(name.startswith("part-0000") for name in files), files
        assert run.read_back(OPINION_SCORE).count() == 20
        assert run.read_back(VALID_COMPLAINT).count() == 0
        run.switch([partition])
    assert ids(warehouse, day) == sorted(f"id-{i}" for i in range(20))


@pytest.mark.spark
def test_a_task_that_fails_leaves_no_file(warehouse: Warehouse, day: str) -> None:
    def fails(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from scores(batches)
        raise ValueError("after its rows")

    with pytest.raises(PythonException, match="ValueError, its message left out"), run_of(warehouse, day) as run:
        target = Target(run.attempts, {OPINION_SCORE.name: OPINION_SCORE.columns}, RUN)
        rows = warehouse.spark.range(0, 20, 1, 2).mapInArrow(redact_errors(writing(fails, target)), WRITTEN_DDL)
        run.stage_written(rows, [OPINION_SCORE])
    assert warehouse.location(OPINION_SCORE, {"dt": day}) is None
    assert warehouse.files.names(f"{warehouse.root}/attempts/dt={day}") == []


@pytest.mark.spark
def test_a_file_that_is_missing_is_not_passed_over(warehouse: Warehouse, day: str) -> None:
    gone = pytest.raises((OSError, Py4JJavaError), match=r"opinion_score\.lost\.parquet")
    with gone, run_of(warehouse, day) as run:
        lost = warehouse.spark.createDataFrame([("opinion_score", "lost.parquet", 3)], WRITTEN_DDL)
        run.stage_written(lost.where(F.col("rows") > 0), [OPINION_SCORE, RAW_OPINION])
