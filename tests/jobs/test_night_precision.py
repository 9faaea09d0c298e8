"""From a scored night to its precision: the sample, its CSV, the labels that come back, what they say of the day."""

import csv
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from distill.errors import Held, OpinionError
from distill.models.registry import Registry
from distill.scoring.drift import Profile
from distill.scoring.scorer import Scorer
from jobs.ingest.inputs import read_input
from jobs.load_labels import FIELDS
from jobs.load_labels import load as load_labels
from jobs.night_precision import estimate, estimate_text
from jobs.reports.day_summary import day_summary, drift_line
from jobs.scoring.audit_sample import csv_of
from jobs.scoring.bands import BAND_EDGES
from jobs.scoring.sample_nights import sampled
from jobs.scoring.scoring_flags import ScoringRun
from jobs.steps.score_day import is_scored, score_day
from jobs.warehouse import publish
from jobs.warehouse.tables import (
    AUDIT_SAMPLE,
    LABELLED_OPINION,
    NIGHT_PRECISION,
    OPINION_SCORE,
    RAW_OPINION,
    SAMPLE_LABEL,
    SCORING_RUN,
)
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.tamper import dropped, nulled, tamper
from tests.jobs.tiny_model import TEXTS, add_model

DAY, ROWS, SIZE = "2026-11-09", 600, 60
SPREAD = 6  # the seed of a model that gives these texts scores of every band


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    """A day of texts of random characters, and some rows that repeat an id."""
    warehouse = Warehouse(spark, "nights")
    random, letters = np.random.default_rng(0), list("".join(TEXTS))
    texts = ["".join(random.choice(letters, 12)) for _ in range(ROWS)]
    texts = [["", "=", "-"][i % 3] + text for i, text in enumerate(texts)]
    rows: list[tuple[Any, ...]] = [(f"o{i}", text, "web", None) for i, text in enumerate(texts)]
    rows += [(f"o{i}", "物业乱收费", "web", None) for i in range(0, ROWS, 10)]
    partitions = [(RAW_OPINION, {"dt": DAY})]
    with publish.run(warehouse, "load_opinions", f"dt={DAY}", partitions) as run:
        raw = spark.createDataFrame(rows, RAW_OPINION.ddl)
        run.stage(raw.withColumn("table", F.lit(RAW_OPINION.name)), [RAW_OPINION])
        run.switch(partitions)
    return warehouse


def score(
    warehouse: Warehouse,
    version: str,
    profile: Profile | None = None,
    operating: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    registry = Registry(str(Path(os.environ["OPINION_HOME"]) / "registry"))
    model = registry.load(version)
    if profile:
        bundle = replace(model.bundle, manifest={**model.bundle.manifest, "profile": profile.to_json()})
        model = replace(model, bundle=bundle)
    model = replace(model, operating=operating)
    score_day(warehouse, DAY, ScoringRun(model, **{"sample": 0, **options}))


@pytest.mark.spark
@pytest.mark.slow
def test_a_night_is_sampled_labelled_and_judged(warehouse: Warehouse, home: Path, tmp_path: Path) -> None:
    version = add_model("offline", SPREAD)
    score(warehouse, version, sample=SIZE)
    [run] = warehouse.read(SCORING_RUN, dt=DAY).collect()
    scores = {row.opinion_id: row for row in warehouse.read(OPINION_SCORE, dt=DAY).collect()}
    sample = warehouse.read(AUDIT_SAMPLE, dt=DAY).collect()
    ids = {row.opinion_id for row in sample}
    assert len(ids) == len(sample) == SIZE
    assert {row.run_id for row in sample} == {run.run_id}
    assert (run.threshold_source, run.certified, run.expected_precision) == ("bundle", False, None)
    assert {name: tuple(of) for name, of in run.unlabelled_sources.items()} == {"web": (run.rows_read, run.rows_valid)}
    line = f"web: {run.rows_read} opinions, no label, {run.rows_valid} flagged"
    assert line in day_summary(warehouse, DAY, highest=False)
    edges = np.array(BAND_EDGES, np.float32)
    bands = Counter((s.is_valid, int(np.digitize(np.float32(s.score), edges))) for s in scores.values())
    drawn = Counter(row.stratum for row in sample)
    for row in sample:
        band = int(np.digitize(np.float32(row.score), edges))
        assert row.inclusion_probability == drawn[row.stratum] / row.stratum_rows
        assert (row.score, row.is_valid) == (scores[row.opinion_id].score, scores[row.opinion_id].is_valid)
        assert row.stratum_rows == bands[row.is_valid, band]
        assert Scorer(Registry(str(home / "registry")).load(version).bundle).score([row.text]).scores[0] == row.score

    # The same rows again when the day is scored again, in a file of their own, which says nothing of their scores.
    score(warehouse, version, sample=SIZE)
    [run] = warehouse.read(SCORING_RUN, dt=DAY).collect()
    assert {row.opinion_id for row in warehouse.read(AUDIT_SAMPLE, dt=DAY).collect()} == ids
    with open(csv_of(DAY, run.run_id), encoding="utf-8-sig", newline="") as file:
        to_label = list(csv.DictReader(file))
    assert list(to_label[0]) == ["opinion_id", "text", "label", "source", "dt", "run_id"]
    assert {(row["label"], row["dt"], row["run_id"]) for row in to_label} == {("", DAY, run.run_id)}
    assert {row["opinion_id"] for row in to_label} == ids
    assert {row["text"][0] for row in to_label} > {"'"} and not {row["text"][0] for row in to_label} & set("=-")

    report = day_summary(warehouse, DAY, highest=False)
    assert report.startswith(f"read {run.rows_read} = scored") and report.endswith(
        f"label its sample in a browser: {csv_of(DAY, run.run_id).with_suffix('.html')}"
    )
    assert day_summary(warehouse, DAY).count("\n") == report.count("\n") + 10 + 6

    # Half of it labelled says nothing of some stratum; all of it does.
    truth = {row.opinion_id: int(row.score > 0.4) for row in sample}
    for labelled in (set(list(ids)[: SIZE // 8]), ids):
        path = tmp_path / f"{len(labelled)}.csv"
        with open(path, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(to_label[0]))
            writer.writeheader()
            writer.writerows(
                row | {"label": truth[row["opinion_id"]] if row["opinion_id"] in labelled else ""} for row in to_label
            )
        rows = read_input(warehouse.spark, [str(path)], "csv", FIELDS, needed=3)
        report = load_labels(warehouse, rows, str(path), None, False)
        assert (f"{SIZE - len(labelled)} of the rows read have no label yet" in report) is (labelled != ids)
        assert f"{len(labelled)} labels are of rows that a night's sample drew" in report
        again = f"{SIZE // 8} of {SIZE // 8} labels agree with an earlier label of the same row, Cohen's kappa "
        assert (again in report) is (labelled == ids)
    estimates = estimate(warehouse, DAY)
    assert (estimates["rows_sampled"], estimates["rows_labelled"]) == (SIZE, SIZE)
    assert estimates["complaints"] == sum(truth.values()) and estimates["sample_run_id"] == run.run_id
    exact = {"precision": 1.0, "recall": run.rows_valid / sum(s.score > 0.4 for s in scores.values())}
    for name, value in exact.items():
        assert estimates[f"{name}_lower"] <= value <= estimates[f"{name}_upper"], name
    assert estimates["precision"] == 1.0 and estimates["precision_lower"] > 0.8
    [stored] = warehouse.read(NIGHT_PRECISION, dt=DAY).collect()
    assert stored.asDict() == {**estimates, "estimated": stored.estimated}
    assert f"{SIZE} of {SIZE} sampled rows are labelled; precision 1.000" in estimate_text(estimates)
    assert (estimates["promised_precision"], estimates["contradicts_promise"]) == (None, None)
    assert_provenance(warehouse, version, {row.opinion_id: row for row in sample}, truth, tmp_path)


def assert_provenance(
    warehouse: Warehouse, version: str, sample: dict[str, Row], truth: dict[str, int], tmp_path: Path
) -> None:
    """The labels keep their sample, also when the day is scored again; strangers are counted and count for nothing."""
    [run] = warehouse.read(SCORING_RUN, dt=DAY).collect()
    kept = {row.opinion_id: row for row in warehouse.read(SAMPLE_LABEL).collect()}
    assert {opinion: row.label for opinion, row in kept.items()} == truth
    for opinion, row in kept.items():
        assert (row.sample_dt, row.sample_run_id, row.model_version) == (DAY, run.run_id, version)
        assert (row.score, row.stratum, row.text) == (
            sample[opinion].score,
            sample[opinion].stratum,
            sample[opinion].text,
        )
    rows = {row.opinion_id: row for row in warehouse.read(LABELLED_OPINION).collect()}
    assert all(rows[o].inclusion_probability == kept[o].inclusion_probability > 0 for o in rows)

    before = datetime(2020, 1, 1, tzinfo=UTC)
    labels = sampled(warehouse, version, before)
    assert labels.whole == [DAY] and not labels.unused and int(labels.rows["label"].sum()) == sum(truth.values())
    assert sampled(warehouse, version, datetime.now(UTC)).unused == {"learned by the model": SIZE}
    assert sampled(warehouse, "another", before).rows.empty

    # At an operating threshold the day promises something, and the next sample is of another run.
    promised = {"source": "calibrated", "precision": 0.99, "precision_lower": 0.95, "precision_upper": 1.0}
    score(warehouse, version, sample=SIZE, operating={"value": 0.9, "certified": True, **promised})
    [after] = warehouse.read(SCORING_RUN, dt=DAY).collect()
    assert (after.threshold, after.threshold_source, after.certified) == (np.float32(0.9), "calibrated", True)
    scores = warehouse.read(OPINION_SCORE, dt=DAY).collect()
    assert all(row.is_valid == (row.score >= np.float32(0.9)) for row in scores)
    assert after.rows_valid == sum(row.is_valid for row in scores) < run.rows_valid
    assert after.unlabelled_sources == {} and "certified" in day_summary(warehouse, DAY, highest=False)
    estimate(warehouse, DAY)

    [stranger] = [row for row in scores if row.opinion_id not in truth][:1]
    lines = [
        f"{stranger.opinion_id},no text of the day at all,0,web,{DAY},{after.run_id}",
        f"o1,another text,1,web,{DAY},{run.run_id}",
        f"o2,a third text,0,web,{DAY},a run that never was",
    ]
    path = tmp_path / "strangers.csv"
    path.write_text("\n".join(["opinion_id,text,label,source,dt,run_id", *lines]), encoding="utf-8")
    read = read_input(warehouse.spark, [str(path)], "csv", FIELDS, needed=3)
    for change in (dropped, nulled("label")):
        with pytest.MonkeyPatch.context() as patch:
            tamper(patch, SAMPLE_LABEL, change)
            with pytest.raises(OpinionError, match=rf"{SIZE} rows of samples, {SIZE} of them .*nothing was published"):
                load_labels(warehouse, read, str(path), None, False)
    report = load_labels(warehouse, read, str(path), None, False)
    assert "warning: 3 labels name a sample that did not draw their row" in report
    assert {row.opinion_id: row.label for row in warehouse.read(SAMPLE_LABEL).collect()} == truth
    assert warehouse.read(LABELLED_OPINION).where("sample_dt is not null and stratum is null").count() == 3


@pytest.mark.spark
@pytest.mark.slow
def test_a_day_far_from_the_training_is_held_or_published_with_a_warning(warehouse: Warehouse, home: Path) -> None:
    version = add_model("offline", SPREAD)
    far = Profile(1000, [1000, *[0] * 19], [0] * 10 + [1000], [1000, *[0] * 7], {"hotline": 1000})
    before = warehouse.location(OPINION_SCORE, {"dt": DAY})
    with pytest.raises(
        Held, match=rf"{DAY} is far from what {version} was trained on .*sources .*nothing was published"
    ):
        score(warehouse, version, far, hold_on_drift=True)
    assert warehouse.location(OPINION_SCORE, {"dt": DAY}) == before
    registry = Registry(str(home / "registry"))
    model = registry.load(version)
    assert not is_scored(warehouse, DAY, model)

    score(warehouse, version, far)
    assert is_scored(warehouse, DAY, model)
    assert not is_scored(warehouse, DAY, registry.load(add_model("offline", 3)))
    assert not is_scored(warehouse, DAY, replace(model, operating={"value": 0.7}))
    assert warehouse.read(AUDIT_SAMPLE, dt=DAY).count() == 0, (
        "no sample was asked for, and the last one is of another run"
    )
    [run] = warehouse.read(SCORING_RUN, dt=DAY).collect()
    assert run.drift_band == "significant"
    assert min(run.drift_psi_length, run.drift_psi_unknown, run.drift_psi_source) > 0.25 and run.drift_psi > 0
    assert drift_line(run).startswith("warning: the day is far from what the model was trained on; drift")

    # Against itself the day is stable; what a bundle does not have is not compared.
    same = Profile(run.rows_read, run.score_histogram, [], [], {"web": run.rows_read})
    score(warehouse, version, same, hold_on_drift=True)
    [run] = warehouse.read(SCORING_RUN, dt=DAY).collect()
    assert (run.drift_psi, run.drift_psi_source, run.drift_psi_length, run.drift_band) == (0, 0, None, "stable")
