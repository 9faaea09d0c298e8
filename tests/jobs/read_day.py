"""A day with a second reader for the tests: labels that both tiny models agree with, and the day's tables as text."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from distill.models.registry import Registry
from distill.scoring.logits import fingerprint
from distill.scoring.scorer import Scorer
from distill.text.normalisation import normalise, text_hash
from jobs.common.home import home
from jobs.scoring.scoring_flags import ReaderOptions, ScoringRun
from jobs.steps.score_day import score_day
from jobs.warehouse.tables import LABELLED_OPINION, OPINION_SCORE, SCORING_RUN
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_tables, tiny_teacher

DAY = "2026-11-09"
WORDS = ("物业", "乱收费", "退款", "没到账", "菜", "真好吃", "客服", "打不通")
TEXTS = ["".join(words) for size in (1, 2, 3) for words in itertools.permutations(WORDS, size)]
STREAM, LABELLED = TEXTS[:240], TEXTS[240:]


def registry() -> Registry:
    return Registry(str(home() / "registry"))


def put_day(warehouse: Warehouse, day: str = DAY) -> None:
    """Every text of the stream once, a third of them twice, and two that cannot be scored."""
    rows: dict[str, str | None] = {f"id-{i}": text for i, text in enumerate(STREAM)}
    rows |= {f"again-{i}": f" {text}\u200b" for i, text in enumerate(STREAM[::3])}
    tiny_tables.put_day(warehouse, day, rows | {"null": None, "marks": "！！！"})


def put_labels(warehouse: Warehouse, model: str, teacher: str, nights: int = 0) -> None:
    """Labels that follow the sum of both standardised margins and a little chance.

    The first ones are of nights; the others are of valid, with stored logits.
    """
    logits = tiny_teacher.logits_alone(teacher, LABELLED)
    margins = [student_margins(model, LABELLED), logits[:, 1].astype(float) - logits[:, 0]]
    chance = np.random.default_rng(0).normal(size=len(LABELLED))
    signal = sum((one - one.mean()) / one.std() for one in margins) + chance
    rows: list[tuple[Any, ...]] = []
    for i, text in enumerate(LABELLED):
        of_night = (None, "2026-11-08", "r", "valid 0.50-0.70", 0.1) if i < nights else ()
        rows.append((f"l-{i}", text, int(signal[i] > 0), "web", "train" if i < nights else "valid", *of_night))
    tiny_tables.put(warehouse, LABELLED_OPINION, {}, rows)
    put_label_logits(warehouse, teacher, logits, nights)


def put_label_logits(warehouse: Warehouse, teacher: str, logits: np.ndarray, nights: int = 0) -> None:
    """These logits of the labels of valid as those of a teacher."""
    rows = [
        (f"l-{i}", text_hash(normalise(text)), logits[i].tolist()) for i, text in enumerate(LABELLED) if i >= nights
    ]
    digest = registry().load(teacher).bundle.digest
    tiny_tables.put_logits(warehouse, teacher, "labelled", rows, fingerprint(digest, "float32"))


def student_margins(model: str, texts: list[str]) -> np.ndarray:
    scorer = Scorer(registry().load(model).bundle)
    return scorer.margins_normalised([normalise(text) for text in texts])


def score(warehouse: Warehouse, model: str, teacher: str | None, **options: Any) -> None:
    """Score the day with these options of the second reader."""
    sample = options.pop("sample", 0)
    reader = ReaderOptions(teacher, **options)
    score_day(warehouse, DAY, ScoringRun(registry().load(model), sample=sample, reader=reader))


def run_of(warehouse: Warehouse) -> Any:
    return warehouse.read(SCORING_RUN, dt=DAY).collect()[0]


def scores_of(warehouse: Warehouse) -> dict[str, tuple[Any, ...]]:
    """Score, decision, both readers' scores and who decided, to the last bit, by id."""
    columns = ("score", "is_valid", "student_score", "reader_score", "decided_by")
    rows = warehouse.read(OPINION_SCORE, dt=DAY).collect()
    return {row.opinion_id: tuple(row[column] for column in columns) for row in rows}


def folder_of(warehouse: Warehouse) -> Path:
    return Path(warehouse.root.removeprefix("file://"))
