"""A day's report from its tables: the numbers are the tables', the opinions the right ones, the page replaced whole."""

import itertools
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.scoring.scorer import Scorer
from jobs.reports import pages
from jobs.reports.day_facts import day_facts, scoring_run_of, strongest_ngrams
from jobs.steps.report_day import draw, funnel
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    NIGHT_PRECISION,
    OPINION_SCORE,
    RAW_OPINION,
    REJECTED_OPINION,
    SCORING_RUN,
    VALID_COMPLAINT,
)
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.example_facts import a_day
from tests.jobs.tiny_model import TEXTS, tiny_bundle
from tests.jobs.tiny_tables import put

DAY = "2026-11-09"
AT = datetime(2026, 11, 10, 4, 15)
RUN = {
    "run_id": "r2",
    "model_version": "tiny-1",
    "bundle_digest": "d",
    "threshold": 0.5,
    "rows_read": 7,
    "rows_scored": 6,
    "rows_valid": 4,
    "rows_rejected": 1,
    "rows_cut": 0,
    "rejected_by_reason": {"null_text": 1},
    "score_histogram": [2, *[0] * 18, 4],
    "drift_psi": 0.3,
    "drift_psi_source": 0.05,
    "drift_band": "significant",
    "started": AT,
    "ended": AT,
    "second_reader": "bert-1",
    "reader_texts": 3,
    "reader_texts_computed": 1,
    "reader_rows": 4,
    "reader_seconds": 1.5,
    "band_low": -1.0,
    "band_high": 1.0,
    "combination": {"intercept": 0.1, "student": 0.5, "reader": 0.75},
    "combination_labels": "50 labels of valid",
    "rows_made_valid": 2,
    "rows_made_junk": 1,
}
# id, text, score; two complaints say the same, one of them with other spaces.
VALID = [("a", TEXTS[0], 0.9), ("b", f" {TEXTS[0]} ", 0.8), ("c", f"{TEXTS[2]}13812345678", 0.7), ("d", TEXTS[4], 0.6)]
JUNK = [("e", TEXTS[1], 0.1), ("f", TEXTS[3], 0.4)]
STUDENT = {"c": 0.25, "d": 0.45, "f": 0.75}  # the scores that the second reader changed


@pytest.fixture
def facts(spark: SparkSession, database: str) -> dict[str, Any]:
    """Facts of a day put into tables, and of the days around it."""
    warehouse = Warehouse(spark, database)
    raw = [(opinion, text, "web" if opinion < "d" else None, None) for opinion, text, _ in [*VALID, *JUNK]]
    put(warehouse, RAW_OPINION, {"dt": DAY}, [*raw, ("e", "another text", "web", None), ("n", None, "web", None)])
    scores = [
        (opinion, score, score >= 0.5, "tiny-1", "r2", STUDENT.get(opinion, score), 0.5 if opinion in STUDENT else None)
        for opinion, _, score in [*VALID, *JUNK]
    ]
    put(warehouse, OPINION_SCORE, {"dt": DAY}, scores)
    put(warehouse, VALID_COMPLAINT, {"dt": DAY}, [(o, t, "web", AT, s, "tiny-1", "r2") for o, t, s in VALID])
    put(warehouse, REJECTED_OPINION, {"dt": DAY, "stage": "load"}, [(None, "{", "broken_json", "r1")] * 3)
    sampled = [
        (*row, score, valid, "s", 4, "tiny-1", "r2")
        for row, score, valid in ((raw[0], 0.9, True), (raw[4], 0.1, False))
    ]
    put(warehouse, AUDIT_SAMPLE, {"dt": DAY}, [*sampled, (*sampled[0][:-1], "r1")])
    night = ("tiny-1", "r2", 2, 2, 1, 0.9, 0.8, 0.95, None, None, None, AT, "r3")
    put(warehouse, NIGHT_PRECISION, {"dt": DAY}, [night])
    for dt, share in (("2026-11-08", 1), (DAY, 4), ("2026-11-10", 5)):
        row = [RUN.get(column) for column in SCORING_RUN.columns]
        row[list(SCORING_RUN.columns).index("rows_valid")] = share
        put(warehouse, SCORING_RUN, {"dt": dt}, [tuple(row)])
    with pytest.raises(BadInput, match="has no day 2026-11-11; score it"):
        scoring_run_of(warehouse, "2026-11-11")
    return day_facts(warehouse, scoring_run_of(warehouse, DAY), tiny_bundle(1))


@pytest.mark.spark
def test_the_facts_are_those_of_the_tables(facts: dict[str, Any], tmp_path: Path) -> None:
    assert facts["counts"] == {"lines": 10, "read": 7, "scored": 6, "valid": 4, "rejected": 1, "cut": 0}
    indices = [{"name": "scores", "psi": 0.3}, {"name": "sources", "psi": 0.05}]
    assert facts["drift"]["band"] == "significant" and facts["drift"]["parts"] == indices
    precision = {"name": "precision", "value": 0.9, "lower": 0.8, "upper": 0.95}
    assert facts["sample"] == {"rows": 2, "labelled": 2, "contradicts": False, "estimates": [precision]}
    assert facts["rejected"] == {"load": {"broken_json": 3}, "score": {"null_text": 1}}
    assert [(one["dt"], one["valid"]) for one in facts["trend"]] == [("2026-11-08", 1), (DAY, 4)], "no later day"
    assert {one["source"]: (one["rows"], one["valid"]) for one in facts["sources"]} == {"web": (5, 4), None: (3, 0)}

    assert [(one["opinion_id"], one["times"]) for one in facts["top"]] == [("a", 2), ("c", 1), ("d", 1)]
    assert [one["opinion_id"] for one in facts["above"]] == ["d", "c", "b"]
    assert [one["opinion_id"] for one in facts["below"]] == ["f", "e"]
    assert "13812345678" not in json.dumps(facts) and "***********" in facts["top"][1]["text"]
    margin = facts["top"][0]["base"] + sum(facts["top"][0]["characters"])
    assert margin == pytest.approx(facts["top"][0]["margin"], abs=0.01)
    logits = Scorer(tiny_bundle(1)).score([TEXTS[0]]).scores[0]
    assert 1 / (1 + 2.718281828 ** -facts["top"][0]["margin"]) == pytest.approx(logits, abs=1e-5)

    second = facts["second_reader"]
    assert (second["version"], second["failed"], second["rows"]) == ("bert-1", False, 4)
    assert (second["made_valid"], second["made_junk"]) == (2, 1)
    changed = [(one["opinion_id"], one["is_valid"], one["student_score"]) for one in second["examples"]]
    assert changed == [("c", True, 0.25), ("d", True, pytest.approx(0.45)), ("f", False, 0.75)], "the largest first"
    assert "it made 2 rows valid and 1 junk" in second["lines"][0]
    assert "final margin: +0.1 +0.5 student +0.75 reader, from 50 labels of valid" in second["lines"]

    assert shape(facts) == shape(a_day()), "the tests of pages are given what the job collects"
    facts["funnel"] = funnel(facts)
    page = pages.write(tmp_path / "day", facts, lambda to: draw(facts, to), "day.html")
    assert json.loads((page.parent / "facts.json").read_text(encoding="utf-8")) == json.loads(json.dumps(facts))


def shape(facts: Any) -> Any:
    """The keys of nested facts, of a list those of its first element; not the reasons of rejects, which are data."""
    if isinstance(facts, dict):
        return {key: shape(value) for key, value in facts.items() if key not in ("rejected", "below", "funnel")}
    return [shape(facts[0])] if isinstance(facts, list) and facts and isinstance(facts[0], dict) else None


def test_the_funnel_loses_what_was_rejected_the_most_frequent_reason_first() -> None:
    steps = funnel(a_day())
    assert [(step["name"], step["rows"]) for step in steps] == [
        ("Lines of the feed", 1013),
        ("Read", 1001),
        ("Scored", 990),
        ("Valid complaints", 40),
    ]
    assert steps[0]["lost"] == [{"reason": "broken json", "rows": 7}, {"reason": "missing id", "rows": 5}]
    assert steps[0]["percent"] == 100 and steps[3]["percent"] == pytest.approx(100 * 40 / 1013)
    for before, after in itertools.pairwise(steps[:3]):
        assert before["rows"] - sum(one["rows"] for one in before["lost"]) == after["rows"]


def test_ngrams_are_summed_without_their_punctuation_and_never_of_numbers() -> None:
    margins = [("退款,", 1.0), ("退款", 2.0), ("***1", 9.0), ("5!", 9.0), ("好", -3.0)]
    opinions = [{"times": 2, "ngrams": [{"ngram": ngram, "margin": margin} for ngram, margin in margins]}]
    assert strongest_ngrams(opinions) == [{"ngram": "退款", "margin": 6.0}]


def test_a_report_replaces_the_one_before_and_a_failed_one_leaves_it(tmp_path: Path) -> None:
    facts = a_day()
    facts["funnel"] = funnel(facts)
    first = pages.write(tmp_path / "day", facts, lambda to: draw(facts, to), "day.html")
    (first.parent / "of the first").touch()
    content = first.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)|<script|<link|url\(|@import', content), "nothing to fetch"

    def fails(to: Path) -> dict[str, str]:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        pages.write(tmp_path / "day", facts, fails, "day.html")
    assert first.read_text(encoding="utf-8") == content
    pages.write(tmp_path / "day", facts, lambda to: draw(facts, to), "day.html")
    assert sorted(file.name for file in tmp_path.rglob("*")) == [
        "day", "facts.json", "histogram.png", "index.html", "ngrams.png", "trend.png",
    ]  # fmt: skip
