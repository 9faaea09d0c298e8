"""Hashes of ids in Python are those of Spark."""

import random

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.scoring.id_hashes import draws_of_ids, hashes_of_ids
from jobs.scoring.sample_candidates import draw

DAY = "2026-11-09"


def ids() -> list[str | None]:
    """Ids of all lengths to beyond two blocks of the hash, of one to four bytes a character."""
    letters = random.Random(1)
    made = ["".join(letters.choices("a1-é物\U00020000\x00", k=size)) for size in range(90)]
    return [*made, None, "", "id-1", None]


@pytest.mark.spark
def test_both_give_the_same_hash_and_draw(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(i, id) for i, id in enumerate(ids())], "i int, opinion_id string").coalesce(1)
    expected = rows.select(F.xxhash64("opinion_id"), draw(DAY)).collect()
    assert hashes_of_ids(pa.array(ids())).tolist() == [row[0] for row in expected]
    assert draws_of_ids(DAY, pa.array(ids())).tolist() == [row[1] for row in expected]


def test_a_slice_has_the_hashes_of_its_rows() -> None:
    whole = pa.array(ids())
    for start, size in ((0, 5), (7, 30), (88, 10), (3, 0)):
        assert hashes_of_ids(whole.slice(start, size)).tolist() == hashes_of_ids(whole)[start : start + size].tolist()


def test_ids_without_a_byte_have_a_hash() -> None:
    assert hashes_of_ids(pa.array([None, None], pa.string())).tolist() == [42, 42]
    assert len(set(hashes_of_ids(pa.array(["", ""])).tolist())) == 1
