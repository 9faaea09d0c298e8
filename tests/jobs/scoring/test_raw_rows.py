"""Workers that read the files themselves get the rows that Spark would give them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.scoring import raw_rows
from jobs.scoring.raw_rows import FileRows, SparkRows
from jobs.scoring.survey import survey
from jobs.warehouse.row_groups import tasks_of
from jobs.warehouse.tables import RAW_OPINION

pytestmark = pytest.mark.spark

NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)
ROWS = [
    *((f"id-{i}", f"物业 {i}", "web" if i % 3 else None, NOON + timedelta(seconds=i)) for i in range(200)),
    ("id-3", "物业 3", "web", NOON - timedelta(days=1)),
    ("id-3", "another", "web", None),
    ("id-199", "物业 199", "app", NOON),
    (None, "no id", "web", None),
    (None, "no id", "web", None),
    ("old", None, None, datetime(1, 1, 2, tzinfo=UTC)),
]
DDL = f"{RAW_OPINION.ddl}, repeats string"


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / "day"
    spark.createDataFrame(ROWS, RAW_OPINION.ddl).repartition(3).write.parquet(str(folder))
    return folder


@pytest.fixture
def both(spark: SparkSession, folder: Path) -> tuple[SparkRows, FileRows]:
    raw = spark.read.schema(RAW_OPINION.ddl).parquet(str(folder))
    tasks = [[part] for task in tasks_of(f"file://{folder}", 1) for part in task]
    assert len(tasks) == 3
    return SparkRows(raw), FileRows(raw, f"file://{folder}", tasks)


def rows_of(frame: DataFrame) -> list[str]:
    return sorted(map(repr, frame.toArrow().to_pylist()))


def unchanged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def test_rows_and_columns_are_the_same(both) -> None:
    by_spark, by_workers = (rows_of(rows.map(unchanged, RAW_OPINION.ddl, *RAW_OPINION.columns)) for rows in both)
    assert by_spark == by_workers and len(by_spark) == len(ROWS)
    tables = [rows.table("opinion_id", "source") for rows in both]
    assert tables[0].column_names == tables[1].column_names == ["opinion_id", "source"]
    assert sorted(map(repr, tables[0].to_pylist())) == sorted(map(repr, tables[1].to_pylist()))


@pytest.mark.parametrize("here", [True, False])
def test_surveys_are_the_same(both, here: bool) -> None:
    one, other = (survey(rows, ["web"], here) for rows in both)
    assert (one.sources, one.id_sum) == (other.sources, other.id_sum)
    assert sorted(one.repeated.tolist()) == sorted(other.repeated.tolist())
    assert len(one.repeated) == 2


def test_repeated_ids_have_the_same_reasons(both) -> None:
    repeated = np.sort(survey(both[0], [], here=True).repeated)
    by_spark, by_workers = (rows_of(rows.map_unique(unchanged, DDL, repeated)) for rows in both)
    assert by_spark == by_workers and len(by_spark) == len(ROWS)
    assert sum("duplicate_row" in row or "id_with_another_text" in row for row in by_spark) == 3


def test_a_day_without_repeated_ids_has_no_reason(both) -> None:
    none = np.empty(0, np.int64)
    by_spark, by_workers = (rows_of(rows.map_unique(unchanged, DDL, none)) for rows in both)
    assert by_spark == by_workers and len(by_spark) == len(ROWS)


def test_a_folder_that_python_does_not_reach_is_read_by_spark(both) -> None:
    raw = both[0].raw
    assert type(raw_rows.raw_rows(raw, "nowhere://host/day", by_workers=True)) is SparkRows
    assert type(raw_rows.raw_rows(raw, "nowhere://host/day", by_workers=False)) is SparkRows
