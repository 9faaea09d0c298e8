"""Pairs of student and second reader on labels of nights: a night's scores, and the readers that nights take."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.scoring.scorer import Scorer
from distill.scoring.second_reader import rounded_margins
from distill.text.normalisation import normalise, text_hash
from jobs.training.night_comparison import NightComparison, PairInUse, pair_in_use, read_pairs
from jobs.training.night_labels import scores_of
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import read_day, tiny_model, tiny_teacher
from tests.jobs.read_day import STREAM, registry, run_of, score

pytestmark = pytest.mark.spark

READ, READER = 40, "pair"


@pytest.fixture(scope="module")
def champion(home) -> str:
    return tiny_model.add_model("read", 1)


@pytest.fixture(scope="module")
def challenger(home) -> str:
    """A version of the same weights: the labels of valid follow their margins, as a combination needs."""
    return tiny_model.add_model("read", 1)


@pytest.fixture(scope="module")
def teacher(home, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_teacher.add_teacher(tmp_path_factory.mktemp("encoder"), 1, scheme=READER)


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession, champion: str, teacher: str) -> Warehouse:
    """A night of the champion with the teacher as second reader."""
    warehouse = Warehouse(spark, "night_comparison")
    read_day.put_day(warehouse)
    read_day.put_labels(warehouse, champion, teacher)
    score(warehouse, champion, teacher, read=READ)
    return warehouse


@pytest.fixture
def in_use(warehouse: Warehouse, champion: str) -> PairInUse:
    pair = pair_in_use(warehouse, champion)
    assert pair is not None
    return pair


def labels_of_night(known_at: str = "2026-11-20") -> pd.DataFrame:
    """All texts of the day as labels of its sample, every third a complaint."""
    texts = [normalise(text) for text in STREAM]
    columns: dict[str, Any] = {"text": texts, "text_hash": [text_hash(text) for text in texts]}
    columns |= {"label": [int(i % 3 == 0) for i in range(len(texts))], "inclusion_probability": 0.1, "fold": 0}
    return pd.DataFrame(columns | {"known_at": pd.Timestamp(known_at, tz="UTC")})


def compared(warehouse: Warehouse, challenger: str, in_use: PairInUse | None, rows: pd.DataFrame) -> NightComparison:
    """The comparison, with the challenger's own scores in the place of out-of-fold ones."""
    model = registry().load(challenger)
    pairs = read_pairs(warehouse, registry(), in_use, model, rows) if in_use else None
    return NightComparison(rows, scores_of(Scorer(model.bundle), rows), model, 0.8, pairs, str(pairs) if pairs else "")


def test_the_pair_in_use_is_that_of_the_newest_night(warehouse, in_use: PairInUse, champion: str, teacher: str) -> None:
    run = run_of(warehouse)
    assert (in_use.reader, in_use.precision, in_use.dt) == (teacher, "float32", read_day.DAY)
    assert in_use.share == run.reader_rows / run.rows_scored
    assert (in_use.band.low, in_use.band.high) == pytest.approx((run.band_low, run.band_high))
    assert pair_in_use(warehouse, "read-20260101T000000Z-000000") is None


def test_the_champions_scores_of_labels_are_those_that_the_night_published(
    warehouse: Warehouse, in_use: PairInUse, champion: str, challenger: str
) -> None:
    comparison = compared(warehouse, challenger, in_use, rows := labels_of_night())
    published = read_day.scores_of(warehouse)
    expected = [published[f"id-{i}"][0] for i in range(len(STREAM))]
    assert any(published[f"id-{i}"][4] == "second reader" for i in range(len(STREAM)))
    assert comparison.champion(rows, registry().load(champion)).scores == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_challengers_scores_are_those_of_its_first_night(
    warehouse: Warehouse, in_use: PairInUse, champion: str, challenger: str, teacher: str
) -> None:
    """The labels in a band with as many rows have those of both; the reason names the reader."""
    rows = labels_of_night()
    comparison = compared(warehouse, challenger, in_use, rows)
    alone = compared(warehouse, challenger, None, rows)
    student = alone.challenger(rows).scores
    final = comparison.challenger(rows).scores
    changed = np.flatnonzero(final != student)
    reader = rounded_margins(tiny_teacher.logits_alone(teacher, [STREAM[i] for i in changed]))
    assert comparison.pairs is not None
    combination = comparison.pairs.of_challenger.combination
    margins = Scorer(registry().load(challenger).bundle).margins_normalised(rows["text"][changed].tolist())
    expected = 1 / (1 + np.exp(-combination.margins(margins, reader)))
    assert final[changed] == pytest.approx(expected, rel=2e-3)  # a score near 1 has few digits for its log odds
    assert 0.8 * in_use.share <= len(changed) / len(rows) <= in_use.share
    assert "second reader" in (reason := comparison.check(registry().load(champion)).reason) and teacher in reason
    assert "second reader" not in alone.check(registry().load(champion)).reason


@pytest.fixture
def another_reader(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A newer version of the second reader, with these sections of its manifest; it is gone after the test."""
    added = []

    def add(**sections: Any) -> str:
        added.append(tiny_teacher.add_teacher(tmp_path, 2, scheme=READER, **sections))
        return added[0]

    yield add
    shutil.rmtree(registry().path(added[0]))


def test_the_challenger_is_compared_with_the_newest_version_of_the_reader(
    warehouse: Warehouse, in_use: PairInUse, challenger: str, teacher: str, another_reader: Callable[..., str]
) -> None:
    newer = another_reader()
    # Those that the labels of valid follow; the margins of nights' labels are computed.
    read_day.put_label_logits(warehouse, newer, tiny_teacher.logits_alone(teacher, read_day.LABELLED))
    pairs = compared(warehouse, challenger, in_use, labels_of_night()).pairs
    assert pairs and (pairs.of_champion.version, pairs.of_challenger.version) == (teacher, newer)
    assert pairs.of_champion.margins != pairs.of_challenger.margins
    assert str(pairs) == f"second reader {newer}, the champion's {teacher}"


def test_labels_that_a_reader_has_learned_do_not_compare(
    warehouse: Warehouse, in_use: PairInUse, challenger: str, another_reader: Callable[..., str]
) -> None:
    newer = another_reader(lineage={"labels_at": "2026-11-20T12:00:00+00:00"})
    with pytest.raises(BadInput, match=f"too few labels of nights that .* and {newer} have not learned: 0"):
        compared(warehouse, challenger, in_use, labels_of_night("2026-11-20"))
