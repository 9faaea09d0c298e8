"""One look over a day: its rows by source, and which ids it has twice."""

import random
from collections import Counter

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.scoring.id_hashes import id_half
from jobs.scoring.raw_rows import SparkRows
from jobs.scoring.survey import survey
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
