"""Of one id one row is scored: the earliest, whatever order and files the rows come in."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs.scoring.duplicates import without_repeats
from jobs.scoring.raw_rows import SparkRows
from jobs.scoring.survey import survey
from jobs.warehouse.tables import RAW_OPINION

pytestmark = pytest.mark.spark

NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
# Rows of an id, the one that counts first, and why each of the others does not.
IDS = {
    "once": [("好", "web", NOON, None)],
    "without a text": [(None, "web", NOON, None)],
    "earliest": [("乙", "web", NOON, None), ("甲", "web", LATER, "id_with_another_text")],
    "a time before none": [("乙", "web", LATER, None), ("甲", "web", None, "id_with_another_text")],
    # 乙 is U+4E59, 甲 U+7532.
    "first by text": [("乙", "web", NOON, None), ("甲", "web", NOON, "id_with_another_text")],
    "first by source": [("好", "app", NOON, None), ("好", "web", NOON, "duplicate_row")],
    "the same later": [("好", "web", NOON, None), ("好", "app", LATER, "duplicate_row")],
    "three": [
        ("乙", "web", NOON, None),
        ("乙", "web", LATER, "duplicate_row"),
        ("甲", "web", LATER, "id_with_another_text"),
    ],
    "no text at all": [(None, "web", NOON, None), (None, "web", LATER, "duplicate_row")],
    "a text after none": [(None, "web", NOON, None), ("好", "web", LATER, "id_with_another_text")],
}
ROWS = [(opinion, *row) for opinion, rows in IDS.items() for row in rows]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_row_that_counts_depends_on_no_order(spark: SparkSession, seed: int) -> None:
    shuffled = random.Random(seed).sample(ROWS, len(ROWS))
    raw = spark.createDataFrame([row[:4] for row in shuffled], RAW_OPINION.ddl).repartition(3)
    scorable = without_repeats(raw, survey(SparkRows(raw), []).repeated)
    assert scorable.columns == [*RAW_OPINION.columns, "repeats"]
    expected = [(opinion, text, source, why) for opinion, text, source, _, why in ROWS]
    rows = [(row.opinion_id, row.text, row.source, row.repeats) for row in scorable.collect()]
    assert sorted(map(repr, rows)) == sorted(map(repr, expected))


def test_ids_that_only_share_a_hash_are_both_scored(spark: SparkSession) -> None:
    """The survey names hashes; of an id that is alone under its hash nothing is lost."""
    raw = spark.createDataFrame([row[:4] for row in ROWS if row[0] in ("once", "without a text")], RAW_OPINION.ddl)
    hashes = raw.selectExpr("xxhash64(opinion_id)").collect()
    scorable = without_repeats(raw, np.array([row[0] for row in hashes], np.int64)).collect()
    assert sorted(row.opinion_id for row in scorable) == ["once", "without a text"]
    assert [row.repeats for row in scorable] == [None, None]
