"""Where the files of a table are, and what is asked of the metastore."""

import pytest
from pyspark.sql import SparkSession

from jobs.warehouse.tables import LABELLED_OPINION, OPINION_SCORE, RAW_OPINION, REJECTED_OPINION, TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse, clause
from tests.jobs.tiny_tables import put_day

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    return Warehouse(spark, "warehouse")


def test_a_partition_is_added_then_moved_and_others_stay(warehouse: Warehouse) -> None:
    day, other = {"dt": "2026-11-09"}, {"dt": "2026-11-10"}
    assert warehouse.location(RAW_OPINION, day) is None
    places = [f"{warehouse.root}/test/{name}" for name in ("one", "two", "other")]
    for place in places:
        warehouse.files.make_folder(place)
    warehouse.set_location(RAW_OPINION, day, places[0], None)
    warehouse.set_location(RAW_OPINION, other, places[2], None)
    before = warehouse.location(RAW_OPINION, day)
    assert before == places[0].replace("file:///", "file:/")
    warehouse.set_location(RAW_OPINION, day, places[1], before)
    assert warehouse.location(RAW_OPINION, day) == places[1].replace("file:///", "file:/")
    assert warehouse.location(RAW_OPINION, other) == places[2].replace("file:///", "file:/")
    assert warehouse.days(RAW_OPINION) == ["2026-11-09", "2026-11-10"]
    assert warehouse.days(OPINION_SCORE) == []


def test_a_table_without_partitions_has_a_location_from_the_start(warehouse: Warehouse) -> None:
    location = warehouse.location(LABELLED_OPINION, {})
    assert location is not None and location.endswith("/warehouse/empty/labelled_opinion")


def test_a_leading_part_of_the_key_reads_all_that_has_it(warehouse: Warehouse) -> None:
    put_day(warehouse, "2026-11-11", {"a": "好", "b": None})
    assert sorted(row.opinion_id for row in warehouse.read(RAW_OPINION, dt="2026-11-11").collect()) == ["a", "b"]
    assert warehouse.read(RAW_OPINION, dt="2026-11-12").count() == 0


@pytest.mark.parametrize("table", [RAW_OPINION, REJECTED_OPINION, TEACHER_LOGIT])
def test_dropping_a_table_or_a_partition_deletes_no_file(warehouse: Warehouse, table) -> None:
    partition = dict.fromkeys(table.partitions, "2026-11-13")
    place = f"{warehouse.root}/test/{table.name}"
    warehouse.files.write_text(f"{place}/part", "rows")
    warehouse.set_location(table, partition, place, None)
    warehouse.spark.sql(f"ALTER TABLE {warehouse.name(table)} DROP {clause(partition)}")
    assert warehouse.location(table, partition) is None and warehouse.files.names(place) == ["part"]
