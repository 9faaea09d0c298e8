"""Rows put into the tables as the load jobs leave them, for the tests of what reads them."""

from typing import Any

from pyspark.sql import functions as F

from jobs.warehouse import publish
from jobs.warehouse.schema import Table
from jobs.warehouse.tables import LABELLED_OPINION, RAW_OPINION, TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse


def put_day(warehouse: Warehouse, day: str, texts: dict[str, str | None]) -> None:
    """A day of the stream, by id."""
    rows = [(opinion, text, "web", None) for opinion, text in texts.items()]
    put(warehouse, RAW_OPINION, {"dt": day}, rows)


def put_labels(warehouse: Warehouse, rows: list[tuple[str, str, int, str]]) -> None:
    """Labelled rows: id, text, label, split."""
    full = [(opinion, text, label, "review", split, None) for opinion, text, label, split in rows]
    put(warehouse, LABELLED_OPINION, {}, full)


def put_logits(
    warehouse: Warehouse, teacher: str, dt: str, rows: list[tuple[str, str, list[float]]], fingerprint: str
) -> None:
    """Logits of a teacher: id, hash of the text, logits."""
    put(warehouse, TEACHER_LOGIT, {"teacher": teacher, "dt": dt}, [(*row, fingerprint) for row in rows])


def put(warehouse: Warehouse, table: Table, partition: dict[str, str], rows: list[tuple[Any, ...]]) -> None:
    """Publish the rows as the partition; their last columns may be left out, and are null."""
    rows = [(*row, *[None] * (len(table.columns) - len(row))) for row in rows]
    unit = "+".join(["all", *partition.values()])
    with publish.run(warehouse, f"put_{table.name}", unit, [(table, partition)]) as run:
        made = warehouse.spark.createDataFrame(rows, table.ddl)
        run.stage(made.withColumn("table", F.lit(table.name)), [table])
        run.switch([(table, partition)])
