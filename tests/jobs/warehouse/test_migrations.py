"""Tables are created once, older ones gain the columns added since, and whatever else is there is refused by name."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput, Busy
from jobs.common import locks
from jobs.warehouse import migrations
from jobs.warehouse.migrations import migrate, pending_statements
from jobs.warehouse.schema import Table
from jobs.warehouse.tables import OPINION_SCORE, RAW_OPINION, SCORING_RUN, TABLES, VALID_COMPLAINT, VIEWS
from jobs.warehouse.warehouse import Warehouse

pytestmark = pytest.mark.spark

OLDER = ("run_id", "model_version", "threshold", "rows_read")
OLDER_QUERY = "SELECT opinion_id, dt FROM {database}.valid_complaint"


@pytest.fixture
def older(spark: SparkSession, database: str, tmp_path: Path) -> str:
    """A database of an older version: `scoring_run` has fewer columns and one row, the view another text."""
    spark.sql(f"CREATE DATABASE {database}")
    columns = {name: SCORING_RUN.columns[name] for name in OLDER}
    for table in (VALID_COMPLAINT, Table(SCORING_RUN.name, "", columns)):
        spark.sql(migrations.created(table).format(database=database, root=f"file://{tmp_path}"))
    spark.sql(f"INSERT INTO {database}.scoring_run PARTITION (dt='2026-11-09') VALUES ('r1', 'm', 0.5, 7)")
    spark.sql(f"CREATE VIEW {database}.complaint AS {OLDER_QUERY.format(database=database)}")
    return database


def columns(spark: SparkSession, name: str) -> dict[str, str]:
    return {f.name: f.dataType.simpleString() for f in spark.table(name).schema.fields}


def assert_migrated(spark: SparkSession, database: str) -> None:
    there = {row.tableName for row in spark.sql(f"SHOW TABLES IN {database}").collect()}
    assert there == {thing.name for thing in (*TABLES, *VIEWS)}
    for table in TABLES:
        assert columns(spark, f"{database}.{table.name}") == table.columns | dict.fromkeys(table.partitions, "string")
    assert "rows_valid" in columns(spark, f"{database}.complaint")
    assert pending_statements(spark, database) == {}


def test_an_older_table_is_upgraded_and_its_rows_stay(spark: SparkSession, older: str) -> None:
    assert set(pending_statements(spark, older)) == {thing.name for thing in (*TABLES, *VIEWS)} - {VALID_COMPLAINT.name}
    warehouse = Warehouse(spark, older)
    assert_migrated(spark, older)
    row = warehouse.read(SCORING_RUN, dt="2026-11-09").first()
    assert row is not None
    assert (row.run_id, row.rows_read, row.rows_scored, row.ended) == ("r1", 7, None, None)


def test_scores_from_before_the_second_reader_gain_its_columns(spark, database, tmp_path) -> None:
    spark.sql(f"CREATE DATABASE {database}")
    older = {
        name: OPINION_SCORE.columns[name] for name in ("opinion_id", "score", "is_valid", "model_version", "run_id")
    }
    statement = migrations.created(Table(OPINION_SCORE.name, "", older))
    spark.sql(statement.format(database=database, root=f"file://{tmp_path}"))
    spark.sql(f"INSERT INTO {database}.opinion_score PARTITION (dt='2026-11-09') VALUES ('a', 0.5, true, 'm', 'r')")
    row = Warehouse(spark, database).read(OPINION_SCORE, dt="2026-11-09").first()
    assert row is not None
    assert (row.opinion_id, row.score, row.student_score, row.reader_score, row.decided_by) == (
        "a",
        0.5,
        None,
        None,
        None,
    )


def test_a_migration_that_was_done_is_not_done_again(spark, older, monkeypatch) -> None:
    Warehouse(spark, older)
    monkeypatch.setattr(migrations.locks, "hold", lambda *_: pytest.fail("there is nothing to do"))
    Warehouse(spark, older)


def test_a_view_that_another_job_turns_back_meanwhile_is_busy(spark, older, monkeypatch) -> None:
    do = migrations.run_ddl_ignoring_exists
    turned_back = lambda spark, statement: statement.startswith("ALTER VIEW") or do(spark, statement)  # noqa: E731
    monkeypatch.setattr(migrations, "run_ddl_ignoring_exists", turned_back)
    with pytest.raises(Busy, match=f"complaint of {older} changed while this job migrated; run it again"):
        Warehouse(spark, older)
    monkeypatch.undo()
    Warehouse(spark, older)
    assert_migrated(spark, older)


def test_a_migration_that_died_half_way_is_finished(spark, older, tmp_path) -> None:
    statements = pending_statements(spark, older)
    for name in list(statements)[:4]:
        spark.sql(statements[name].format(database=older, root=f"file://{tmp_path}"))
    assert list(pending_statements(spark, older)) == list(statements)[4:]
    Warehouse(spark, older)
    assert_migrated(spark, older)


@pytest.mark.parametrize("lock", ["shared", "of two hosts"])
def test_two_jobs_may_migrate_at_once(spark, older, tmp_path, monkeypatch, lock) -> None:
    if lock == "of two hosts":
        monkeypatch.setattr(locks, "hold", lambda *_: contextlib.nullcontext())
    sessions = [spark.newSession() for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda session: migrate(session, older, f"file://{tmp_path}"), sessions))
    assert_migrated(spark, older)


def refused(spark: SparkSession, database: str, ddl: str) -> str:
    """The refusal of a database that holds what `ddl` makes; it must be left as it was."""
    spark.sql(f"CREATE DATABASE {database}")
    spark.sql(ddl)
    before = spark.sql(f"SHOW TABLES IN {database}").collect()
    with pytest.raises(BadInput) as caught:
        Warehouse(spark, database)
    assert spark.sql(f"SHOW TABLES IN {database}").collect() == before
    return str(caught.value)


PARQUET = "PARTITIONED BY (dt string) STORED AS PARQUET LOCATION"


def test_other_columns_are_refused_by_name(spark, database, tmp_path) -> None:
    ddl = f"CREATE EXTERNAL TABLE {database}.raw_opinion (opinion_id bigint, text string, extra int) "
    message = refused(spark, database, f"{ddl} {PARQUET} 'file://{tmp_path}'")
    for part in ("opinion_id is bigint, expected string", "source is missing", "extra is int, expected no such column"):
        assert part in message


def test_a_table_of_a_newer_version_is_refused(spark, database, tmp_path) -> None:
    ddl = f"CREATE EXTERNAL TABLE {database}.raw_opinion ({RAW_OPINION.ddl}, language string) "
    message = refused(spark, database, f"{ddl} {PARQUET} 'file://{tmp_path}'")
    assert "raw_opinion was made by a newer version of this project, with language" in message


@pytest.mark.parametrize(
    ("ddl", "part"),
    [
        ("TABLE {d}.raw_opinion ({c}) PARTITIONED BY (dt string) STORED AS PARQUET", "is MANAGED, partitioned by dt"),
        (
            "EXTERNAL TABLE {d}.raw_opinion ({c}) PARTITIONED BY (dt string) STORED AS TEXTFILE LOCATION '{l}'",
            "SimpleSerDe",
        ),
        ("EXTERNAL TABLE {d}.raw_opinion ({c}) STORED AS PARQUET LOCATION '{l}'", "partitioned by nothing"),
        ("VIEW {d}.raw_opinion AS SELECT 1 AS opinion_id", "is VIEW"),
        ("TABLE {d}.complaint (x int) STORED AS PARQUET", "complaint is MANAGED, expected a view"),
    ],
)
def test_what_is_not_our_kind_of_table_is_refused(spark, database, tmp_path, ddl, part) -> None:
    filled = ddl.format(d=database, c=RAW_OPINION.ddl, l=f"file://{tmp_path}", p="PARTITIONED BY (dt string)")
    assert part in refused(spark, database, f"CREATE {filled}")
