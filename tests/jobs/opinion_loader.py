"""Loads files of opinions into a database of their own, for the tests of loading."""

from pathlib import Path

from pyspark.sql import Row, SparkSession

from jobs.ingest.inputs import read_input
from jobs.steps.load_day import FIELDS, load_day
from jobs.warehouse.tables import RAW_OPINION, REJECTED_OPINION
from jobs.warehouse.warehouse import Warehouse

DAY = "2026-11-09"
TIME = b",weibo,2026-11-09T12:00:00+08:00\n"
HEADER = b"opinion_id,text,source,published_at\n"


class Loader:
    """Loads files into a database of its own and reads back what is there."""

    def __init__(self, spark: SparkSession, database: str, folder: Path):
        self.spark, self.folder = spark, folder
        self.warehouse = Warehouse(spark, database)

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def load(self, path: Path | str, kind: str = "jsonl", dt: str = DAY, accept: bool = False) -> str:
        lines = read_input(self.spark, str(path), kind, FIELDS, needed=2)
        return load_day(self.warehouse, dt, lines, str(path), accept)

    def stored(self, dt: str = DAY) -> list[Row]:
        rows = self.warehouse.read(RAW_OPINION, dt=dt).select(*RAW_OPINION.columns).collect()
        return sorted(rows, key=str)

    def texts(self, dt: str = DAY) -> dict[str, str | None]:
        return {row.opinion_id: row.text for row in self.stored(dt)}

    def rejected(self, dt: str = DAY) -> list[tuple[str, str]]:
        rows = self.warehouse.read(REJECTED_OPINION, dt=dt, stage="load").collect()
        return sorted((row.reason, row.content) for row in rows)
