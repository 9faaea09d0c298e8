"""A row that kills the process which scores it is found, set aside, and takes no other row with it."""

import faulthandler
import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from distill.errors import Infrastructure
from distill.scoring.scorer import Scorer
from jobs.common.privacy import WorkerFailed
from jobs.scoring import quarantine
from jobs.scoring.quarantine import MOST, REASON, isolated, worker_died
from jobs.scoring.worker import STAGED, score_batch
from tests.jobs import tiny_model

SCORER = Scorer(tiny_model.tiny_bundle(1))
RAW = pa.schema([*[(name, pa.string()) for name in ("opinion_id", "text", "source")],
                 ("published_at", pa.timestamp("us", tz="UTC")), ("repeats", pa.string())])  # fmt: skip
POISON = "毒"


def crash() -> None:
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(0)


def eat() -> None:
    eaten = []
    while True:
        eaten.append(np.ones(1 << 24))


def hang() -> None:
    time.sleep(3600)


def scoring_that(does: Callable[[], None]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Scoring which does that at each text that holds POISON."""

    def scoring(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if pc.any(pc.match_substring(batch["text"], POISON)).as_py():
                does()
            yield from score_batch(SCORER, batch)

    return scoring


def batch_of(texts: list[str | None]) -> pa.RecordBatch:
    rows = [{"opinion_id": str(i), "text": text} for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=RAW)


def rows_of(parts: Iterator[pa.RecordBatch]) -> list[str]:
    return sorted(repr(row) for row in pa.Table.from_batches(list(parts), STAGED).to_pylist())


TEXTS = [*tiny_model.TEXTS, None, "！！"] * 30


@pytest.mark.parametrize("does", [crash, kill, leave, eat])
@pytest.mark.parametrize("at", [[0], [len(TEXTS)], [3, 77, 78, 201]])
def test_just_the_rows_that_kill_are_set_aside(does, at: list[int], monkeypatch) -> None:
    monkeypatch.setattr(quarantine, "MEMORY", 256 << 20)  # eaten sooner
    texts = list(TEXTS)
    for i in at:
        texts.insert(i, f"{POISON}物业{i}")
    batch = batch_of(texts)
    harmless = batch.filter(pc.invert(pc.is_in(batch["opinion_id"], pa.array(list(map(str, at))))))
    staged = pa.Table.from_batches(list(isolated(scoring_that(does))(iter([batch]))), STAGED)
    aside = staged.filter(pc.equal(staged["reason"], REASON)).to_pylist()
    assert [(row["opinion_id"], row["content"], row["table"]) for row in aside] == [
        (str(i), texts[i], "rejected_opinion") for i in at
    ]
    rest = staged.filter(pc.fill_null(pc.not_equal(staged["reason"], REASON), True))
    assert sorted(map(repr, rest.to_pylist())) == rows_of(score_batch(SCORER, harmless))


def test_a_row_that_hangs_is_set_aside(monkeypatch) -> None:
    monkeypatch.setattr(quarantine, "SECONDS", 1)
    staged = pa.Table.from_batches(list(isolated(scoring_that(hang))(iter([batch_of(["好", POISON])]))), STAGED)
    assert staged["reason"].drop_null().to_pylist() == [REASON]
    assert staged["score"].is_valid().to_pylist().count(True) >= 1


def test_without_a_killer_nothing_differs_and_the_model_is_loaded_once() -> None:
    loads = []

    def scoring(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if not loads:
            loads.append(os.getpid())
        yield from scoring_that(kill)(batches)

    batches = [batch_of(TEXTS), batch_of([]), batch_of(["好"])]
    assert rows_of(isolated(scoring)(iter(batches))) == rows_of(scoring(iter(batches)))
    assert loads == [os.getpid()]


def test_when_all_rows_kill_it_is_not_the_rows() -> None:
    with pytest.raises(Infrastructure, match="it is not the rows"):
        list(isolated(scoring_that(kill))(iter([batch_of([POISON] * (MOST + 1))])))


def test_an_exception_is_no_death() -> None:
    def raises() -> None:
        raise ValueError("at line 3")

    with pytest.raises(WorkerFailed, match=r"^ValueError, its message left out.* in raises <") as raised:
        list(isolated(scoring_that(raises))(iter([batch_of([POISON])])))
    assert "at line 3" not in str(raised.value), "a message may quote a text"
    assert not worker_died(raised.value)
