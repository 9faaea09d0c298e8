"""One look over a day: its rows by source, and which ids it has twice."""

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from distill.errors import BadInput
from jobs.scoring.id_hashes import id_half
from jobs.scoring.raw_rows import SparkRows
from jobs.scoring.survey import RANGE_ROWS, RANGES, find_doubles, survey
from jobs.warehouse.tables import RAW_OPINION

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(("partitions", "here"), [(1, False), (5, False), (5, True)])
def test_sources_are_counted_and_ids_that_come_again_are_found(
    spark: SparkSession, partitions: int, here: bool
) -> None:
    random.seed(partitions)
    ids: list[str | None] = [f"id-{i}" for i in range(2000)]
    again = [*random.sample(ids, 40), "id-0", "id-0", "id-1", "", ""]
    ids = [*ids, *again, None, None]
    random.shuffle(ids)
    made = [(opinion, "好", random.choice(["web", "app", "fax", "", None]), None) for opinion in ids]
    raw = spark.createDataFrame(made, RAW_OPINION.ddl).repartition(partitions)
    result = survey(SparkRows(raw), ["web", "app", "kiosk"], here)
    counts = Counter(source if source in ("web", "app") else "" for _, _, source, _ in made)
    assert result.sources == dict(counts)
    hashes = spark.createDataFrame([(i,) for i in set(again)], "id string").select(F.xxhash64("id")).collect()
    assert sorted(result.repeated.tolist()) == sorted(row[0] for row in hashes)
    assert result.id_sum == raw.select(F.sum(id_half())).collect()[0][0]
    assert survey(SparkRows(raw), [], here).sources == {"": len(made)}


@pytest.mark.parametrize("here", [False, True])
def test_a_day_without_rows_has_no_source(spark: SparkSession, here: bool) -> None:
    result = survey(SparkRows(spark.createDataFrame([], RAW_OPINION.ddl)), ["web"], here)
    assert (result.sources, len(result.repeated), result.id_sum) == ({}, 0, 0)


def test_more_repeated_ids_than_the_driver_can_send_are_refused(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = spark.createDataFrame([(f"id-{i % 30}", "好", None, None) for i in range(60)], RAW_OPINION.ddl)
    monkeypatch.setattr("jobs.scoring.survey.MOST_REPEATED", 30)
    assert len(survey(SparkRows(raw), []).repeated) == 30
    monkeypatch.setattr("jobs.scoring.survey.MOST_REPEATED", 29)
    with pytest.raises(BadInput, match="30 values of opinion_id occur more than once"):
        survey(SparkRows(raw), [])


def test_a_task_does_not_send_far_more_hashes_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.repeat(np.arange(10, dtype=np.int64), 2)
    block = pa.RecordBatch.from_pylist([{"range": 0, "hashes": hashes.tobytes()}], RANGE_ROWS)
    *_, found = find_doubles(iter([block]))
    assert found.to_pylist()[0]["repeated"] == 10 and len(found.to_pylist()[0]["hashes"]) == 80
    monkeypatch.setattr("jobs.scoring.survey.MOST_REPEATED", RANGES)
    *_, found = find_doubles(iter([block]))
    assert (found.to_pylist()[0]["repeated"], found.to_pylist()[0]["hashes"]) == (10, b"")
