"""Scoring a day: a score is of the text and the bundle alone, every row ends in one place, failures are one line."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from distill import __version__
from distill.errors import BadInput
from distill.models.registry import Registry
from distill.scoring.drift import expected_of, stability_index
from distill.scoring.scorer import Scorer
from jobs.scoring import worker
from jobs.scoring.raw_rows import SparkRows
from jobs.scoring.scoring_flags import ScoringRun
from jobs.scoring.survey import survey
from jobs.scoring.worker import STAGED_DDL, ScorerSource, scorer_of
from jobs.steps.score_day import score_day
from jobs.warehouse import publish
from jobs.warehouse.shipping import ship
from jobs.warehouse.tables import OPINION_SCORE, RAW_OPINION, REJECTED_OPINION, SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model

SCORER = Scorer(tiny_model.tiny_bundle(1))
DAY = "2026-11-09"
NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)


ROWS = [
    *[(f"id-{i}", text, "web", NOON) for i, text in enumerate(tiny_model.TEXTS * 6)],
    ("null", None, "web", NOON),
    ("blank", " 　\t", None, None),
    ("marks", "！！！", "web", NOON),
    ("same", "退款没到账", "web", NOON),
    ("same", "退款没到账", "web", NOON),
    ("same", "退款没到账", "app", None),
    ("other", "菜真好吃", "web", NOON + timedelta(hours=1)),
    ("other", "物业乱收费", "web", NOON),
    ("null twice", None, "web", NOON),
    ("null twice", None, "web", NOON),
]
REASONS = {"null_text": 2, "blank_text": 1, "no_word_character": 1, "duplicate_row": 3, "id_with_another_text": 1}


def load(warehouse: Warehouse, day: str, rows: list[tuple[Any, ...]]) -> None:
    partitions = [(RAW_OPINION, {"dt": day})]
    with publish.run(warehouse, "load_opinions", f"dt={day}", partitions) as run:
        raw = warehouse.spark.createDataFrame(rows, RAW_OPINION.ddl)
        run.stage(raw.withColumn("table", F.lit(RAW_OPINION.name)), [RAW_OPINION])
        run.switch(partitions)


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    warehouse = Warehouse(spark, "scoring")
    load(warehouse, DAY, ROWS)
    return warehouse


@pytest.fixture(scope="module")
def model(home: Path) -> str:
    return tiny_model.add_model("tiny", 1)


def score(warehouse: Warehouse, model: str, day: str = DAY) -> None:
    registry = Registry(str(Path(os.environ["OPINION_HOME"]) / "registry"))
    score_day(warehouse, day, ScoringRun(registry.load(model), sample=0))


@pytest.mark.spark
def test_every_row_of_the_day_is_scored_or_rejected_with_its_reason(warehouse: Warehouse, model: str) -> None:
    score(warehouse, model)
    run = warehouse.read(SCORING_RUN, dt=DAY).collect()[0]
    scores = {row.opinion_id: row for row in warehouse.read(OPINION_SCORE, dt=DAY).collect()}
    rejected = [
        (row.opinion_id, row.reason) for row in warehouse.read(REJECTED_OPINION, dt=DAY, stage="score").collect()
    ]
    valid = {row.opinion_id: row for row in warehouse.read(VALID_COMPLAINT, dt=DAY).collect()}
    assert run.rejected_by_reason == REASONS
    assert (run.rows_read, run.rows_scored, run.rows_rejected) == (len(ROWS), len(scores), len(rejected))
    assert run.rows_read == run.rows_scored + run.rows_rejected
    assert run.rows_valid == len(valid) == sum(row.is_valid for row in scores.values())
    assert (sum(run.score_histogram), run.model_version, run.rows_cut) == (len(scores), model, 0)
    # The model's profile has scores alone; so few rows differ by chance.
    trained_on = expected_of(tiny_model.tiny_bundle(1).manifest)
    assert trained_on and run.drift_psi == pytest.approx(stability_index(trained_on.scores, run.score_histogram))
    assert run.drift_band == "stable"
    assert (run.drift_psi_length, run.drift_psi_unknown, run.drift_psi_source) == (None, None, None)
    assert run.started <= run.ended
    assert run.software_version == __version__
    # Of one id the earliest row counts.
    assert scores["other"].score == SCORER.score(["物业乱收费"]).scores[0]
    assert scores["same"].score == SCORER.score(["退款没到账"]).scores[0]
    assert {id for id, reason in rejected if reason == "id_with_another_text"} == {"other"}
    by_id = {opinion: (text, source) for opinion, text, source, _ in ROWS[:30]}
    for opinion, row in valid.items():
        if opinion in by_id:
            assert (row.text, row.source) == by_id[opinion]
        assert (row.score, row.run_id) == (scores[opinion].score, run.run_id)


@pytest.mark.spark
@pytest.mark.parametrize(("partitions", "batch"), [(1, 1), (3, 7), (8, 10000)])
def test_partitions_and_batches_change_no_bit(spark, warehouse, model, partitions: int, batch: int) -> None:
    registry = Registry(str(Path(os.environ["OPINION_HOME"]) / "registry"))
    ship(spark, registry.path(model))
    limit = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
    try:
        raw = warehouse.read(RAW_OPINION, dt=DAY).select(*RAW_OPINION.columns).repartition(partitions)
        scoring = scorer_of(ScorerSource(model, registry.load(model).bundle.digest))
        rows = SparkRows(raw)
        rows = rows.map_unique(scoring, STAGED_DDL, survey(rows, []).repeated)
        staged = rows.where("table = 'opinion_score'").collect()
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", limit)
    texts = {opinion: text for opinion, text, *_ in reversed(ROWS)} | {"other": "物业乱收费"}
    expected = SCORER.score([texts[row.opinion_id] for row in staged]).scores
    assert len(staged) == len(texts) - 4
    assert [row.score.hex() for row in staged] == [float(score).hex() for score in expected]


@pytest.mark.spark
def test_a_day_that_was_not_loaded_or_is_empty_is_refused(warehouse: Warehouse, model: str) -> None:
    with pytest.raises(
        BadInput, match=r"raw_opinion has no day 2026-01-01; load it: opinion load_opinions --dt 2026-01-01"
    ):
        score(warehouse, model, "2026-01-01")
    load(warehouse, "2026-01-02", [])
    with pytest.raises(BadInput, match=r"2026-01-02 of scoring\.raw_opinion is empty"):
        score(warehouse, model, "2026-01-02")
    for day in ("2026-01-01", "2026-01-02"):
        assert warehouse.location(OPINION_SCORE, {"dt": day}) is None
        assert warehouse.files.names(f"{warehouse.root}/score_opinions/dt={day}") == []


KILLERS = {
    "id-7": "import os; os.kill(os.getpid(), 9)",
    "id-8": "import ctypes; ctypes.string_at(0)",
    "id-20": "import os; os._exit(0)",
    "id-21": "raise MemoryError",
}


@pytest.mark.spark
@pytest.mark.slow
def test_rows_that_kill_their_worker_are_set_aside_and_the_day_goes_on(warehouse, model, monkeypatch, capsys) -> None:
    score_batch = worker.score_batch

    def dies(scorer: Scorer, batch: Any, chosen: Any) -> Any:  # Spark ships a local function by value
        for opinion in batch.column("opinion_id").to_pylist():
            exec(KILLERS.get(opinion, ""))
        yield from score_batch(scorer, batch, chosen)

    monkeypatch.setattr(worker, "score_batch", dies)
    score(warehouse, model)
    run = warehouse.read(SCORING_RUN, dt=DAY).collect()[0]
    assert run.rejected_by_reason == REASONS | {"kills_scorer": len(KILLERS)}
    assert run.rows_read == run.rows_scored + run.rows_rejected == len(ROWS)
    rejected = warehouse.read(REJECTED_OPINION, dt=DAY, stage="score").where("reason = 'kills_scorer'").collect()
    texts = {opinion: text for opinion, text, *_ in ROWS if opinion in KILLERS}
    assert {row.opinion_id: row.content for row in rejected} == texts
    scores = {row.opinion_id: row.score for row in warehouse.read(OPINION_SCORE, dt=DAY).collect()}
    texts = {opinion: text for opinion, text, *_ in ROWS if opinion in scores} | {"other": "物业乱收费"}
    assert list(scores.values()) == SCORER.score([texts[opinion] for opinion in scores]).scores.tolist()
    assert "a Python worker died" in capsys.readouterr().out
