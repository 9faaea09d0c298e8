"""Times are the same on every host: what is stored, what facts.json holds, and what a page shows."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from distill.models.registry import Registry
from jobs.common.time_zones import collect, first, session_zone, shown
from jobs.night_precision import estimate
from jobs.reports import pages
from jobs.reports.day_facts import day_facts, scoring_run_of
from jobs.scoring.bands import LEAST_SAMPLE
from jobs.scoring.scoring_flags import ScoringRun
from jobs.steps.report_day import draw, funnel
from jobs.steps.score_day import score_day
from jobs.warehouse.tables import AUDIT_SAMPLE, NIGHT_PRECISION, RAW_OPINION, SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_model
from tests.jobs.tiny_tables import put

DAY = "2026-11-01"
# New York's clocks show 01:30 twice on this day, and Beijing's showed 01:30 twice on a day of 1991.
MOMENTS = {
    "summer": ("2026-11-01T05:30:00+00:00", "2026-11-01 13:30"),
    "winter": ("2026-11-01T06:30:00.123456+00:00", "2026-11-01 14:30"),
    "skipped": ("2026-03-08T07:30:00+00:00", "2026-03-08 15:30"),
    "first": ("1991-09-14T16:30:00+00:00", "1991-09-15 01:30"),
    "second": ("1991-09-14T17:30:00+00:00", "1991-09-15 01:30"),
    "before": ("1970-01-01T00:00:00+00:00", "1970-01-01 08:00"),
}
INSTANTS = {name: datetime.fromisoformat(moment) for name, (moment, _) in MOMENTS.items()}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/New_York"])
def host_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The zone of this process, as a host's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def stored(rows: DataFrame, column: str, key: str = "opinion_id") -> dict[str, datetime]:
    """The instants of a column by id, as Spark has them."""
    instants = rows.select(key, F.unix_micros(column).alias("micros")).collect()
    return {row[0]: EPOCH + timedelta(microseconds=row.micros) for row in instants}


@pytest.mark.spark
@pytest.mark.slow
def test_a_scored_day_has_the_same_times_on_every_host(
    spark: SparkSession, database: str, host_zone: str, tmp_path: Path
) -> None:
    warehouse, registry = Warehouse(spark, database), Registry(str(Path(os.environ["OPINION_HOME"]) / "registry"))
    texts = [*tiny_model.TEXTS, *(f"{text}，{text}" for text in tiny_model.TEXTS)][: len(MOMENTS)]
    put(warehouse, RAW_OPINION, {"dt": DAY}, [(k, t, "web", INSTANTS[k]) for k, t in zip(MOMENTS, texts, strict=True)])
    version = tiny_model.add_model("tiny", 1)
    saved = registry.load(version)
    begin = datetime.now(UTC)
    score_day(warehouse, DAY, ScoringRun(saved, sample=LEAST_SAMPLE))
    estimate(warehouse, DAY)
    end = datetime.now(UTC)

    assert stored(warehouse.read(RAW_OPINION, dt=DAY), "published_at") == INSTANTS
    assert stored(warehouse.read(AUDIT_SAMPLE, dt=DAY), "published_at") == INSTANTS
    complaints = stored(warehouse.read(VALID_COMPLAINT, dt=DAY), "published_at")
    assert complaints and complaints == {name: INSTANTS[name] for name in complaints}
    for table, columns in ((SCORING_RUN, ("started", "ended")), (NIGHT_PRECISION, ("estimated",))):
        for column in columns:
            assert begin <= stored(warehouse.read(table, dt=DAY), column, "run_id").popitem()[1] <= end, column

    run = scoring_run_of(warehouse, DAY)
    facts = day_facts(warehouse, run, saved.bundle)
    opinions = {one["opinion_id"]: one["published_at"] for part in ("top", "below") for one in facts[part]}
    assert opinions == {name: text for name, (_, text) in MOMENTS.items()}
    started = spark.sql(f"SELECT date_format(started, 'yyyy-MM-dd HH:mm') FROM {database}.scoring_run").first()
    assert started and facts["run"]["started"] == started[0] and facts["zone"] == "Asia/Shanghai"
    facts["funnel"] = funnel(facts)
    page = pages.write(tmp_path / "day", facts, lambda to: draw(facts, to), "day.html").read_text(encoding="utf-8")
    assert all(f" · {text} · " in page for _, text in MOMENTS.values()) and "all times are of Asia/Shanghai" in page


@pytest.mark.spark
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
def test_collected_rows_are_written_back_as_they_were(spark: SparkSession, host_zone: str, zone: str) -> None:
    before = str(session_zone(spark))
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        ddl = "name string, count int, at timestamp, words map<string,int>"
        rows = spark.createDataFrame([(k, 1, at, {"a": 1}) for k, at in INSTANTS.items()] + [("", 2, None, None)], ddl)
        collected = collect(rows.orderBy("name"))
        none, *timed = collected
        # In UTC, since Python finds a time that a clock shows twice unequal to every time of another zone.
        assert {row.name: row.at.astimezone(UTC) for row in timed} == INSTANTS
        assert {str(row.at.tzinfo) for row in timed} == {zone}
        assert tuple(none) == ("", 2, None, None) and timed[0].words == {"a": 1}
        again = spark.createDataFrame([tuple(row) for row in collected], ddl)
        assert stored(again.where("at IS NOT NULL"), "at", "name") == INSTANTS
        assert first(rows.where("name = 'winter'")) == next(row for row in timed if row.name == "winter")
        assert first(rows.where("false")) is None
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)


def test_a_moment_is_shown_in_beijing_whatever_its_offset(host_zone: str) -> None:
    moments = ("06:30:00.5+00:00", "14:30:00+08:00", "06:30:00Z", "06:30:00")
    assert {shown(f"2026-11-01T{moment}") for moment in moments} == {"2026-11-01 14:30:00"}
