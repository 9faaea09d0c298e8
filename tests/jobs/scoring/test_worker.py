"""The rows of a batch: a score is of the text and the bundle alone, and every row ends in one place."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.scoring.scorer import Scorer
from jobs.scoring.worker import STAGED, score_batch
from jobs.warehouse.tables import VALID_COMPLAINT
from tests.jobs import tiny_model

SCORER = Scorer(tiny_model.tiny_bundle(1))
NOON = datetime(2026, 11, 9, 12, tzinfo=UTC)
RAW = pa.schema([*[(name, pa.string()) for name in ("opinion_id", "text", "source")],
                 ("published_at", pa.timestamp("us", tz="Asia/Shanghai")), ("repeats", pa.string())])  # fmt: skip
cells = st.one_of(st.none(), st.text(st.sampled_from("物业乱收费退款好吃 ，！a1\x00𠀀"), max_size=12))
records = st.tuples(
    cells, cells, cells, st.one_of(st.none(), st.just(NOON)), st.sampled_from([None, None, "duplicate_row"])
)


def batch_of(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(RAW.names, row, strict=True)) for row in rows], schema=RAW)


def staged_rows(batches: list[pa.RecordBatch]) -> list[str]:
    """The staged rows of the batches, in an order that does not depend on how the rows were cut into batches."""
    staged = [part for batch in batches for part in score_batch(SCORER, batch)]
    assert all(part.schema == STAGED for part in staged)
    rows = [{**row, "score": row["score"] and row["score"].hex()} for part in staged for row in part.to_pylist()]
    return sorted(repr(row) for row in rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(records, max_size=15), st.integers(1, 15))
def test_the_cut_into_batches_changes_no_bit(rows: list[tuple[Any, ...]], size: int) -> None:
    one = staged_rows([batch_of(rows)])
    several = staged_rows([batch_of(rows[i : i + size]) for i in range(0, len(rows), size)])
    sliced = staged_rows([batch_of(rows).slice(i, size) for i in range(0, len(rows), size)])
    assert one == several == sliced
    assert sum(VALID_COMPLAINT.name not in row for row in one) == len(rows)


@pytest.mark.parametrize("rows", [0, 1, 8192, 8193])
def test_batches_of_no_row_of_one_and_around_the_limit(rows: int) -> None:
    texts = [*tiny_model.TEXTS, None, "!!!"]
    made = [(str(i), texts[i % 7], None, NOON + timedelta(seconds=i), None) for i in range(rows)]
    scores, valid, rejected, repeated = score_batch(SCORER, batch_of(made))
    assert scores.num_rows + rejected.num_rows == rows
    assert repeated.num_rows == 0
    assert valid.num_rows == sum(scores["is_valid"].to_pylist())
    of_text = {text: score for text, score in zip(tiny_model.TEXTS, SCORER.score(tiny_model.TEXTS).scores, strict=True)}
    for opinion, score in zip(scores["opinion_id"].to_pylist(), scores["score"].to_pylist(), strict=True):
        assert score == of_text[texts[int(opinion) % 7]]


def test_nulls_everywhere() -> None:
    scores, valid, rejected, repeated = score_batch(SCORER, batch_of([(None,) * 5, (None, None, None, None, "why")]))
    assert (scores.num_rows, valid.num_rows) == (0, 0)
    assert rejected["reason"].to_pylist() == ["null_text"]
    assert repeated["reason"].to_pylist() == ["why"]
