"""Rows read = scored + rejected: a fault between stage and audit is refused, and the old day stays."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from distill.errors import Busy, OpinionError
from distill.models.registry import Registry
from jobs.scoring.audit import count_staged
from jobs.scoring.bands import LEAST_SAMPLE
from jobs.scoring.scoring_flags import ScoringRun
from jobs.steps import score_day
from jobs.warehouse import publish
from jobs.warehouse.schema import Table
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    OPINION_SCORE,
    RAW_OPINION,
    REJECTED_OPINION,
    SCORING_RUN,
    VALID_COMPLAINT,
)
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model
from tests.jobs.tiny_tables import put

pytestmark = [pytest.mark.spark, pytest.mark.slow]

PUT = put
DAY = "2026-11-09"
# In the order of their switches.
TABLES = (OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT, SCORING_RUN, AUDIT_SAMPLE)
ROWS = [
    *[(f"id-{i}", text, "web", None) for i, text in enumerate(tiny_model.TEXTS * 6)],
    ("null", None, "web", None),
    ("blank", " 　\t", None, None),
    ("same", "退款没到账", "web", None),
    ("same", "退款没到账", "app", None),
]

Damage = Callable[[DataFrame], DataFrame]


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    warehouse = Warehouse(spark, "day_audit")
    PUT(warehouse, RAW_OPINION, {"dt": DAY}, ROWS)
    return warehouse


@pytest.fixture(scope="module")
def score(warehouse: Warehouse, home: Path) -> Callable[[], None]:
    """Scores the day, which was scored once before, so that there is an old day."""
    model = tiny_model.add_model("audited", 1)
    registry = Registry(str(Path(os.environ["OPINION_HOME"]) / "registry"))
    scoring = ScoringRun(registry.load(model), sample=LEAST_SAMPLE)

    def score() -> None:
        score_day.score_day(warehouse, DAY, scoring)

    score()
    return score


def day_of(warehouse: Warehouse) -> dict[str, Any]:
    """Where the day's tables are, their rows, the files of all runs of the day, what is pending, and the samples."""
    seen: dict[str, Any] = {}
    for table in TABLES:
        partition = {"dt": DAY} | ({"stage": "score"} if table is REJECTED_OPINION else {})
        rows = warehouse.read(table, **partition).collect()
        seen[table.name] = warehouse.location(table, partition), sorted(map(repr, rows))
    root = Path(warehouse.root.removeprefix("file://"))
    seen["files"] = sorted(str(path) for path in (root / "score_opinions" / f"dt={DAY}").rglob("*"))
    seen["pending"] = warehouse.files.names(f"{warehouse.root}/pending")
    seen["samples"] = sorted((Path(os.environ["OPINION_HOME"]) / "audit").glob(f"{DAY}.*"))
    return seen


def damage(run: publish.Run, table: Table, how: Damage) -> None:
    """Write the staged rows of a table anew, as a disk or a bug would have them."""
    spark, files = run.warehouse.spark, run.warehouse.files
    staged, aside = run.location(table), f"{run.warehouse.root}/aside"
    how(spark.read.parquet(staged).orderBy("opinion_id")).coalesce(1).write.mode("overwrite").parquet(aside)
    files.delete(staged)
    spark.read.parquet(aside).write.parquet(staged)
    files.delete(aside)


def first(rows: DataFrame) -> DataFrame:
    return rows.limit(1)


def but_first(rows: DataFrame) -> DataFrame:
    return rows.offset(1)


def doubled(rows: DataFrame) -> DataFrame:
    return rows.unionAll(first(rows))


def exchanged(rows: DataFrame) -> DataFrame:
    """As many rows as before: the first is missing, the last is there twice."""
    return but_first(rows).unionAll(rows.orderBy(F.desc("opinion_id")).limit(1))


def renamed(rows: DataFrame) -> DataFrame:
    """One row is of an id that the day does not have."""
    return but_first(rows).unionAll(first(rows).withColumn("opinion_id", F.lit("a stranger")))


def without_its_id(rows: DataFrame) -> DataFrame:
    return but_first(rows).unionAll(first(rows).withColumn("opinion_id", F.lit(None).cast("string")))


def scored(value: float | None) -> Damage:
    def how(rows: DataFrame) -> DataFrame:
        return but_first(rows).unionAll(first(rows).withColumn("score", F.lit(value).cast("float")))

    return how


def decided(value: str) -> Damage:
    def how(rows: DataFrame) -> DataFrame:
        return but_first(rows).unionAll(first(rows).withColumn("is_valid", F.expr(value)))

    return how


def without_its_cell(rows: DataFrame) -> DataFrame:
    return but_first(rows).unionAll(first(rows).withColumn("cell", F.lit(None).cast("smallint")))


def two_flipped(rows: DataFrame) -> DataFrame:
    """One that was valid is junk, one that was junk is valid; scores say so too, so that only the ids differ."""
    valid, junk = (rows.where(F.col("is_valid") == one).limit(1) for one in (True, False))
    rest = rows.join(valid.unionAll(junk), "opinion_id", "left_anti").select(rows.columns)
    other = {name: F.expr("float(1 - score)") for name in ("score", "student_score")}
    flipped = valid.unionAll(junk).withColumns({"is_valid": ~F.col("is_valid"), **other})
    return rest.unionAll(flipped)


DAMAGES: list[tuple[Table, Damage, str]] = [
    *((table, but_first, "read 34 rows but staged") for table in (OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION)),
    *((table, doubled, "read 34 rows but staged") for table in (OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION)),
    *((OPINION_SCORE, scored(value), "scores, 1 of them wrong") for value in (float("nan"), None, 1.5, -0.1, -1e30)),
    (OPINION_SCORE, decided("not is_valid"), "scores, 1 of them wrong"),
    (OPINION_SCORE, decided("cast(null as boolean)"), "scores, 1 of them wrong"),
    (OPINION_SCORE, without_its_cell, "scores, 1 of them wrong"),
    (OPINION_SCORE, exchanged, "not of the same ids"),
    (OPINION_SCORE, renamed, "not of the same ids"),
    (OPINION_SCORE, without_its_id, "not of the same ids"),
    (REJECTED_OPINION, renamed, "not of the same ids"),
    (REJECTED_OPINION, exchanged, "not of the same ids"),
    (VALID_COMPLAINT, renamed, "not of the ids that are valid by opinion_score"),
    (VALID_COMPLAINT, exchanged, "not of the ids that are valid by opinion_score"),
    (OPINION_SCORE, two_flipped, "not of the ids that are valid by opinion_score"),
]


@pytest.mark.parametrize(
    ("table", "how", "message"), DAMAGES, ids=[f"{table.name}-{how.__name__}" for table, how, _ in DAMAGES]
)
def test_damage_between_stage_and_audit_publishes_nothing(warehouse, score, monkeypatch, table, how, message) -> None:
    before = day_of(warehouse)

    def damaged(run: publish.Run, *args: Any) -> Any:
        damage(run, table, how)
        return count_staged(run, *args)

    monkeypatch.setattr(score_day, "count_staged", damaged)
    with pytest.raises(OpinionError, match=message) as raised:
        score()
    assert (type(raised.value), raised.value.exit_code) == (OpinionError, 1)
    assert "nothing was published" in str(raised.value) and "a stranger" not in str(raised.value)
    assert day_of(warehouse) == before and before["pending"] == []


def test_a_run_that_another_overtook_leaves_no_sample(warehouse, score, monkeypatch) -> None:
    before = day_of(warehouse)

    def overtaken(run: publish.Run, *args: Any) -> Any:
        run.seen[SCORING_RUN.name] = "as if the run had begun before the day was published"
        return count_staged(run, *args)

    monkeypatch.setattr(score_day, "count_staged", overtaken)
    with pytest.raises(Busy, match="published by another run while this one worked"):
        score()
    assert day_of(warehouse) == before


def test_the_day_without_damage_is_published(warehouse, score, monkeypatch) -> None:
    """The harness of the tests above changes nothing by itself."""
    before = day_of(warehouse)

    def rewritten(run: publish.Run, *args: Any) -> Any:
        for table in (OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION):
            damage(run, table, lambda rows: rows)
        return count_staged(run, *args)

    monkeypatch.setattr(score_day, "count_staged", rewritten)
    score()
    after = day_of(warehouse)
    for table in TABLES:
        assert after[table.name][0] != before[table.name][0]
        assert len(after[table.name][1]) == len(before[table.name][1]) > 0
