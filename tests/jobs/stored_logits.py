"""A day of texts, and its logits as store_teacher_logits leaves them in the table, for the tests of both."""

import re

from distill.models.architecture import Precision
from distill.models.registry import Registry
from jobs.common.home import home
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_store import LogitWriter
from jobs.warehouse.tables import TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model

DAY = "2026-11-09"
TEXTS = [text * times for text in tiny_model.TEXTS for times in (1, 2, 5)]
ROWS: dict[str, str | None] = {
    **{f"id-{i}": text for i, text in enumerate(TEXTS)},
    "again": TEXTS[0],
    "nearly": f"  {TEXTS[0]}\u200b",  # the same text once it is normalised
    "null": None,
    "blank": " 　\t",
    "marks": "！！！",
}


def registry() -> Registry:
    return Registry(str(home() / "registry"))


def writer_of(
    warehouse: Warehouse,
    teacher: str,
    precision: Precision = "float32",
    kind: type[LogitWriter] = LogitWriter,
    train_rows: int | None = None,
) -> LogitWriter:
    return kind(warehouse, registry(), LogitJob(teacher, precision, train_rows))


def counts(line: str) -> tuple[int, ...]:
    """Rows, not scorable, texts, computed, known, written."""
    match = re.search(r"(\d+) rows, (\d+) not scorable, (\d+) texts: (\d+) computed, (\d+) known; (\d+) rows of", line)
    assert match, line
    return tuple(map(int, match.groups()))


def stored(warehouse: Warehouse, teacher: str, dt: str = DAY) -> dict[str, list[float]]:
    """Logits by id; each id has one row."""
    rows = warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=dt).collect()
    assert len({row.opinion_id for row in rows}) == len(rows)
    return {row.opinion_id: list(row.logits) for row in rows}
