"""Each query of docs/sql-cookbook.md answers what the page says that it asks, on tables with one row of each kind."""

from datetime import datetime

import pytest

from jobs.warehouse import tables
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.tiny_tables import put
from tests.pages import COOKBOOK, blocks

DAY, NEXT = {"dt": "2026-11-09"}, {"dt": "2026-11-10"}
AT, ENDED, LATER = datetime(2026, 11, 9, 8), datetime(2026, 11, 11, 2), datetime(2026, 11, 12, 2)
FEE, REFUND = "物业乱收", "退款！"
RAW = [("o1", FEE, "web", AT), ("o2", REFUND, "app", AT), ("o3", "真好吃", "web", AT), ("o4", "转发退款", "app", AT)]
SCORES = [("o1", 0.75), ("o2", 0.625), ("o3", 0.25), ("o4", 0.125)]
COMPLAINT = (FEE, "web", AT, 0.75, "m1", "r1")
RUN = {
    "threshold": 0.5,
    "rows_read": 5,
    "rows_scored": 4,
    "rows_valid": 2,
    "rows_rejected": 1,
    "rejected_by_reason": {},
}
DRIFT = {"drift_psi": 0.3, "drift_psi_length": 0.01, "drift_band": "significant"}
RUNS = [
    (DAY, RUN | DRIFT | {"run_id": "r1", "model_version": "m1", "started": LATER, "ended": LATER}),
    (NEXT, RUN | {"run_id": "r2", "model_version": "m2", "rows_read": 6, "started": AT, "ended": ENDED}),
]
# What each query answers, in the order of the page.
ANSWERS = [
    [("o1", 0.75, "web", AT, FEE)],
    [("o1", 0.75, 0.5, "m1", FEE)],
    [("o3", 0.25, "web", "真好吃"), ("o4", 0.125, "app", "转发退款")],
    [("2026-11-09", "app", 1), ("2026-11-09", "web", 1), ("2026-11-10", "web", 1)],
    [("app", 2, 1, 0.5), ("web", 2, 1, 0.5)],
    [("2026-11-09", "load", "broken_json", 2, "{"), ("2026-11-09", "score", "null_text", 1, "o5")],
    [("2026-11-09", 5, 4, 1, True, 2, 0.5, 0), ("2026-11-10", 6, 4, 1, False, 2, 0.5, 42 * 3600)],
    [("2026-11-10", "m1", "m2", 0.5)],
    [("2026-11-09", "significant", 0.3, 0.01, None, None), ("2026-11-10", None, None, None, None, None)],
    [("2026-11-09", "m1", 0.9, 0.8, 0.95, 0.5, 0.2, 0.7, 3, 4)],
    [("junk 0.20-0.50", 1, 1, 1, 0), ("valid 0.50-0.80", 2, 2, 1, 0)],
    [("o1", "valid 0.50-0.80", 0.75, True, 0, FEE)],
    [("2026-11-09", "r1", "m1", LATER)],
    [("业乱", 1, 1), ("乱收", 1, 1), ("物业", 1, 1), ("退款", 1, 2)],
    [("o1", 0, 0.75, True, FEE)],
    [("发货慢", "a", 0, "web", AT), ("发货慢", "b", 1, "web", AT)],
    [
        ("2026-11-09", 0.5, None, None, None, None, 0.9, None),
        ("2026-11-10", 0.5, None, None, None, None, None, None),
    ],
]


@pytest.fixture(scope="module")
def spark_with_tables(spark):
    """The session, its tables in the database cookbook filled with two days."""
    warehouse = Warehouse(spark, "cookbook")
    put(warehouse, tables.RAW_OPINION, DAY, [*RAW, ("o1", FEE, "web", AT)])
    put(warehouse, tables.OPINION_SCORE, DAY, [(o, score, score > 0.5, "m1", "r1") for o, score in SCORES])
    put(warehouse, tables.VALID_COMPLAINT, DAY, [("o1", *COMPLAINT), ("o2", REFUND, "app", AT, 0.625, "m1", "r1")])
    put(warehouse, tables.VALID_COMPLAINT, NEXT, [("o1", *COMPLAINT)])
    for stage, rows in {
        "load": [(None, "{", "broken_json", "r0")] * 2,
        "score": [("o5", "o5", "null_text", "r1")],
    }.items():
        put(warehouse, tables.REJECTED_OPINION, {**DAY, "stage": stage}, rows)
    for day, run in RUNS:
        put(warehouse, tables.SCORING_RUN, day, [tuple(run.get(column) for column in tables.SCORING_RUN.columns)])
    strata = [("valid 0.50-0.80", 2), ("valid 0.50-0.80", 2), ("junk 0.20-0.50", 1)]
    sample = [
        (*row, score, score > 0.5, *stratum, "m1", "r1")
        for row, (_, score), stratum in zip(RAW, SCORES, strata, strict=False)
    ]
    put(warehouse, tables.AUDIT_SAMPLE, DAY, sample)
    night = ("m1", "r1", 4, 3, 1, 0.9, 0.8, 0.95, 0.5, 0.2, 0.7, AT, "r3")
    put(warehouse, tables.NIGHT_PRECISION, DAY, [night])
    put(warehouse, tables.NIGHT_PRECISION, NEXT, [(night[0], "of another run", *night[2:])])
    put(
        warehouse,
        tables.LABELLED_OPINION,
        {},
        [("o1", FEE, 0, "web", "train", AT), ("o3", "真好吃", 0, "web", "train", AT)],
    )
    conflict = [("a", "发货慢", 0), ("b", "发货慢", 1)]
    rows = [(*row, "web", "train", AT, None, "conflicting_label") for row in conflict]
    put(warehouse, tables.REJECTED_LABEL, {}, [*rows, (None, None, None, None, None, AT, "?", "missing_id")])
    return spark


def test_every_query_has_its_answer_here():
    assert len(blocks(COOKBOOK, "sql")) == len(ANSWERS)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("query", "answer"),
    list(zip(blocks(COOKBOOK, "sql"), ANSWERS, strict=False)),
    ids=lambda at: " ".join(at.split())[:60] if isinstance(at, str) else "",
)
def test_a_query_answers(spark_with_tables, query, answer):
    rows = spark_with_tables.sql(query.replace("opinion.", "cookbook.").replace("'ID'", "'o1'")).collect()
    assert [tuple(row) for row in rows] == answer
