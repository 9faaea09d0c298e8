"""Days that are loaded and scored without a command line, and what an analyst and the disk show of them."""

import hashlib
import os
from typing import Any

from pyspark.sql import functions as F

from distill.models.registry import Registry
from jobs.common.home import home
from jobs.scoring.audit_sample import csv_of
from jobs.scoring.scoring_flags import ScoringRun
from jobs.steps.score_day import score_day
from jobs.warehouse import publish
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    OPINION_SCORE,
    RAW_OPINION,
    REJECTED_OPINION,
    SCORING_RUN,
    VALID_COMPLAINT,
)
from jobs.warehouse.warehouse import Warehouse

TABLES = (OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT, SCORING_RUN, AUDIT_SAMPLE)  # in the order of their switches
OF_A_RUN = ("run_id", "started", "ended", "application_id")
SAMPLE = 60
WORDS = ("物业", "乱收费", "退款", "没到账", "菜", "真好吃", "客服", "打不通")


def load(warehouse: Warehouse, day: str) -> int:
    """Publish a day of some hundred texts, three that cannot be scored, two repeated; returns its rows."""
    texts = [WORDS[i % 8] + WORDS[i // 8 % 8] + WORDS[i // 64 % 8] for i in range(400)] + ["!!!", None, " "]
    rows = [(f"{day}-{i}", text, "test", None) for i, text in enumerate(texts)]
    rows += rows[:2]
    raw = warehouse.spark.createDataFrame(rows, RAW_OPINION.ddl).repartition(2)
    partitions = [(RAW_OPINION, {"dt": day})]
    with publish.run(warehouse, "load_opinions", f"dt={day}", partitions) as run:
        run.stage(raw.withColumn("table", F.lit(RAW_OPINION.name)), [RAW_OPINION])
        run.switch(partitions)
    return len(rows)


def score(warehouse: Warehouse, day: str, model: str) -> None:
    """Score a day, with a sample, with the oldest version of the scheme `model`."""
    registry = Registry(str(home() / "registry"))
    version = next(v for v in registry.versions() if v.startswith(f"{model.lower()}-"))
    score_day(warehouse, day, ScoringRun(registry.load(version), sample=SAMPLE))


def plain(value: Any) -> Any:
    """The value; of a map, which has no order, its sorted entries."""
    return sorted(value.items()) if isinstance(value, dict) else value


def look(warehouse: Warehouse, days: tuple[str, ...]) -> dict[str, Any]:
    """The runs, rows and content hash of each day and table; whether the samples have a CSV; what is on the disk."""
    warehouse.spark.catalog.clearCache()
    database = warehouse.database
    seen: dict[str, Any] = {}
    for table in TABLES:
        rows = [row.asDict() for row in warehouse.read(table).collect()]
        for day in days:
            of_day = [row for row in rows if row["dt"] == day]
            content = sorted(repr([plain(row[c]) for c in table.columns if c not in OF_A_RUN]) for row in of_day)
            digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
            runs = sorted({row["run_id"] for row in of_day})
            seen[f"{day} {table.name}"] = {"runs": runs, "rows": len(of_day), "digest": digest}
    view = f"SELECT dt, run_id, count(*) n, count(rows_read) audited FROM {database}.complaint GROUP BY 1, 2"
    complaints = warehouse.spark.sql(view).collect()
    for day in days:
        seen[f"{day} complaint"] = [[row.run_id, row.n, row.audited] for row in complaints if row.dt == day]
    samples = {day: seen[f"{day} {AUDIT_SAMPLE.name}"]["runs"] for day in days}
    seen["samples"] = {day: [csv_of(day, run).exists() for run in runs] for day, runs in samples.items()}
    data = home() / "data" / database
    seen["pending"] = sorted(os.listdir(data / "pending")) if (data / "pending").exists() else []
    seen["folders"] = sum(1 for path in data.rglob("*") if path.is_dir())  # of days, runs and tables
    return seen
