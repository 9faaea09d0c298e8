"""A day's rows are staged by workers or by Spark, with equal tables."""

import os
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from distill.models.registry import Registry
from jobs.common.home import home
from jobs.scoring.scoring_flags import ScoringRun
from jobs.scoring.staging import SPARK, WORKERS
from jobs.steps.score_day import score_day
from jobs.warehouse import publish
from jobs.warehouse.tables import AUDIT_SAMPLE, OPINION_SCORE, REJECTED_OPINION, SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model, whole_day

pytestmark = pytest.mark.spark

DAY = "2026-11-09"
TABLES = (OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT, AUDIT_SAMPLE)


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    warehouse = Warehouse(spark, "staging")
    whole_day.load(warehouse, DAY)
    return warehouse


@pytest.fixture(scope="module")
def model(home: Path) -> str:
    return tiny_model.add_model("staged", 1)


def scored(warehouse: Warehouse, model: str) -> tuple[str, dict[str, Any]]:
    """The value of staged_by, and the rows of the day's tables without their run."""
    registry = Registry(str(home() / "registry"))
    score_day(warehouse, DAY, ScoringRun(registry.load(model), sample=60))
    rows = {}
    for table in TABLES:
        columns = [column for column in table.columns if column not in whole_day.OF_A_RUN]
        rows[table.name] = sorted(map(repr, warehouse.read(table, dt=DAY).select(*columns).collect()))
    return warehouse.read(SCORING_RUN, dt=DAY).collect()[0].staged_by, rows


def test_both_ways_give_the_same_rows(warehouse: Warehouse, model: str, monkeypatch) -> None:
    by, expected = scored(warehouse, model)
    assert by == WORKERS and all(expected.values())
    monkeypatch.setattr(publish, "reached_by_python", lambda *_: False)
    assert scored(warehouse, model) == (SPARK, expected)


def test_the_files_are_one_a_task_and_no_other_is_left(warehouse: Warehouse, model: str) -> None:
    scored(warehouse, model)
    [run] = {row.run_id for row in warehouse.read(OPINION_SCORE, dt=DAY).collect()}
    folder = Path(os.environ["OPINION_HOME"]) / "data" / "staging" / "score_opinions" / f"dt={DAY}" / f"run={run}"
    tables = {path.name for path in folder.iterdir()}
    assert tables == {f"table={t.name}" for t in (*TABLES, SCORING_RUN)}
    files = list((folder / "table=opinion_score").iterdir())
    assert files and all(file.name.endswith(".zstd.parquet") for file in files)
