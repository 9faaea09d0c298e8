"""A night in one start of Spark: three steps, each with its lock and exit code; one that fails stops those after it."""

import json
import os
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput, BadModel, Busy
from distill.models.registry import Registry
from jobs import night
from jobs.common import locks
from jobs.reports import day_facts
from jobs.warehouse import publish
from jobs.warehouse.tables import RAW_OPINION, REJECTED_OPINION, SCORING_RUN
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model

pytestmark = pytest.mark.spark

DAYS = ["2026-11-09", "2026-11-10"]


class Night:
    """Runs the job in this process, in a database of its own."""

    def __init__(self, spark: SparkSession, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.database, self.folder, self.monkeypatch = database, folder, monkeypatch
        self.warehouse = Warehouse(spark, database)
        self.reports = Path(os.environ["OPINION_HOME"]) / "reports" / "day"

    def write(self, dt: str, rows: int) -> None:
        texts = [tiny_model.TEXTS[i % len(tiny_model.TEXTS)] for i in range(rows)]
        lines = [json.dumps({"opinion_id": f"{dt}-{i}", "text": text}) for i, text in enumerate(texts)]
        (self.folder / f"{dt}.jsonl").write_text("\n".join([*lines, "no record"]) + "\n")

    def run(self, *words: str) -> None:
        flags = ["--input", f"{self.folder}/{{dt}}.jsonl", "--sample", "0", "--database", self.database]
        self.monkeypatch.setattr(sys, "argv", ["night.py", *words, *flags])
        night.main()

    def published(self, dt: str) -> list[bool]:
        """Whether the day is loaded, scored and reported."""
        places = (
            self.warehouse.location(RAW_OPINION, {"dt": dt}),
            self.warehouse.location(SCORING_RUN, {"dt": dt}),
            (self.reports / dt / "index.html").exists(),
        )
        return [bool(place) for place in places]


@pytest.fixture(scope="module")
def model(home: Path) -> str:
    return tiny_model.add_model("night", 1)


@pytest.fixture
def a_night(spark, database, tmp_path, monkeypatch) -> Night:  # type: ignore[no-untyped-def]
    night = Night(spark, database, tmp_path, monkeypatch)
    for dt in DAYS:
        page = night.reports / dt / "index.html"
        page.unlink(missing_ok=True)
    return night


def test_a_day_is_loaded_scored_and_reported(a_night: Night, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    a_night.write(DAYS[0], 20)
    a_night.run("--dt", DAYS[0], "--model", model)
    assert a_night.published(DAYS[0]) == [True, True, True]
    output = capsys.readouterr().out
    parts = ["read 21 lines = stored 20 + rejected 1", "read 20 = scored 20 + rejected 0", f"/{DAYS[0]}/index.html"]
    assert sorted(parts, key=output.index) == parts
    run = a_night.warehouse.read(SCORING_RUN, dt=DAYS[0]).collect()[0]
    assert (run.model_version, run.raw_location) == (model, a_night.warehouse.location(RAW_OPINION, {"dt": DAYS[0]}))


def test_a_load_that_is_refused_stops_the_night(a_night: Night, model: str) -> None:
    (a_night.folder / f"{DAYS[0]}.jsonl").write_text("no record\n")
    with pytest.raises(BadInput, match="is a record"):
        a_night.run("--dt", DAYS[0], "--model", model)
    assert a_night.published(DAYS[0]) == [False, False, False]


def test_without_a_model_the_day_is_loaded(a_night: Night) -> None:
    a_night.write(DAYS[0], 5)
    with pytest.raises(BadModel):
        a_night.run("--dt", DAYS[0], "--model", "textcnn-20261101T000000Z-000000")
    assert a_night.published(DAYS[0]) == [True, False, False]


def test_a_day_that_another_scores_is_loaded_and_not_reported(a_night: Night, model: str) -> None:
    """Each step takes the lock of its own job."""
    a_night.write(DAYS[0], 5)
    path = publish.lock_path(a_night.warehouse, "score_opinions", f"dt={DAYS[0]}")
    with locks.hold(path, "the test"), pytest.raises(Busy, match=r"\(score_opinions\) is being written by another run"):
        a_night.run("--dt", DAYS[0], "--model", model)
    assert a_night.published(DAYS[0]) == [True, False, False]
    a_night.run("--dt", DAYS[0], "--model", model)
    assert a_night.published(DAYS[0]) == [True, True, True]


def test_a_report_that_fails_leaves_the_scores(a_night: Night, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_night.write(DAYS[0], 5)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(day_facts, "trend", full)
    with pytest.raises(OSError, match="No space left"):
        a_night.run("--dt", DAYS[0], "--model", model)
    assert a_night.published(DAYS[0]) == [True, True, False]


def test_of_several_days_one_that_fails_stops_no_other_and_the_champion_is_looked_up_once(
    a_night: Night, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for dt, rows in zip(DAYS, (10, 5), strict=True):
        a_night.write(dt, rows)
    loads, load = [], Registry.load
    monkeypatch.setattr(Registry, "load", lambda self, name: loads.append(name) or load(self, name))
    a_night.run("--from", DAYS[0], "--to", DAYS[1], "--model", model)
    assert [a_night.published(dt) for dt in DAYS] == [[True, True, True]] * 2
    assert loads.count(model) == 1 + len(DAYS), "once to score, once for each page"
    monkeypatch.undo()
    (a_night.folder / f"{DAYS[0]}.jsonl").unlink()
    a_night.monkeypatch = pytest.MonkeyPatch()
    with a_night.monkeypatch.context() as a_night.monkeypatch, pytest.raises(BadInput, match="1 of 2 days failed: "):
        a_night.run("--from", DAYS[0], "--to", DAYS[1], "--model", model)
    rejected = a_night.warehouse.read(REJECTED_OPINION, stage="load").count()
    assert rejected == 2, "the day that failed is as it was"
    assert f"{DAYS[1]}  done" in capsys.readouterr().out.splitlines()
