"""The numbers of a scored day for its page and `facts.json`."""

import string
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from distill.errors import BadInput
from distill.models.bundle import Bundle
from distill.scoring.drift import expected_of
from distill.scoring.explain import Explanation, explain
from distill.scoring.scorer import Scorer, margin_of
from distill.text.normalisation import normalise
from jobs.common import time_zones
from jobs.reports.console import mask_digits
from jobs.reports.second_reader_facts import second_reader_facts
from jobs.scoring import promise
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

TOP, BORDERLINE, DAYS = 20, 10, 30
EXPLAINED = 200  # rows with the highest scores; equal texts are shown once
NGRAMS = 6  # shown of an opinion
PUNCTUATION = " " + string.punctuation + "。、,《》「」【】“”‘’…—·"
DRIFT = {  # histogram -> the column of its index
    "scores": "drift_psi",
    "lengths": "drift_psi_length",
    "unknown words": "drift_psi_unknown",
    "sources": "drift_psi_source",
}
DRIFT_TEXT = {
    "stable": "The day looks like what the model was trained on",
    "moderate": "The day differs somewhat from what the model was trained on",
    "significant": "The day is far from what the model was trained on",
    None: "No verdict on drift was kept for this day",
}


def scoring_run_of(warehouse: Warehouse, dt: str) -> Row:
    """The audit row of a day; raises BadInput when the day is not scored."""
    row = time_zones.first(warehouse.read(SCORING_RUN, dt=dt))
    if row is None:
        raise BadInput(f"{warehouse.name(SCORING_RUN)} has no day {dt}; score it: opinion score_opinions --dt {dt}")
    return row


def day_facts(warehouse: Warehouse, run: Row, bundle: Bundle) -> dict[str, Any]:
    """All facts of a day's report; bundle: the model that scored it."""
    dt, scorer, expected = run.dt, Scorer(bundle), expected_of(bundle.manifest)
    valid = warehouse.read(VALID_COMPLAINT, dt=dt)
    highest = explained(scorer, time_zones.collect(valid.orderBy(F.desc("score"), "opinion_id").limit(EXPLAINED)))
    at_load = by_reason(warehouse.read(REJECTED_OPINION, dt=dt, stage="load"))
    above = time_zones.collect(valid.orderBy("score", "opinion_id").limit(BORDERLINE * 3))
    return {
        "dt": dt,
        "database": warehouse.database,
        "zone": str(time_zones.session_zone(warehouse.spark)),
        "model": {
            "version": run.model_version,
            "digest": run.bundle_digest,
            "threshold": run.threshold,
            "threshold_margin": margin_of(run.threshold),
            "threshold_source": run.threshold_source or promise.BUNDLE,
        },
        "promise": {
            "text": promise.promise_text(run),
            "precision": run.expected_precision,
            "lower": run.precision_lower,
            "upper": run.precision_upper,
            "certified": bool(run.certified),
        },
        "unlabelled_sources": promise.source_lines(run.unlabelled_sources),
        "run": {"id": run.run_id, "started": minute(run.started), "ended": minute(run.ended)},
        "counts": {
            "lines": run.rows_read + sum(at_load.values()),
            "read": run.rows_read,
            "scored": run.rows_scored,
            "valid": run.rows_valid,
            "rejected": run.rows_rejected,
            "cut": run.rows_cut,
        },
        "valid_share": ratio(run.rows_valid, run.rows_scored),
        "rejected": {"load": at_load, "score": dict(run.rejected_by_reason)},
        "histograms": {"day": list(run.score_histogram), "training": expected.scores if expected else None},
        "drift": drift(run.asDict()),
        "sample": sample(warehouse, run),
        "second_reader": second_reader_facts(warehouse, run),
        "sources": sources(warehouse, run),
        "trend": trend(warehouse, dt),
        "ngrams": strongest_ngrams(highest),
        "top": highest[:TOP],
        "above": explained(scorer, above)[:BORDERLINE],
        "below": explained(scorer, just_below(warehouse, dt))[:BORDERLINE],
    }


def ratio(part: int, whole: int) -> float | None:
    """part / whole; None when whole is 0."""
    return part / whole if whole else None


def minute(time: Any) -> str | None:
    """A time in its own zone, to the minute."""
    return f"{time:%Y-%m-%d %H:%M}" if time else None


def by_reason(rejected: DataFrame) -> dict[str, int]:
    """Rejected rows by reason."""
    return {row.reason: row["count"] for row in rejected.groupBy("reason").count().orderBy("reason").collect()}


def drift(run: Mapping[str, Any]) -> dict[str, Any]:
    """The known stability indices of a run, the band of the largest, and its sentence."""
    parts = [{"name": name, "psi": run[column]} for name, column in DRIFT.items() if run[column] is not None]
    return {"band": run["drift_band"], "text": DRIFT_TEXT[run["drift_band"]], "parts": parts}


def sample(warehouse: Warehouse, run: Row) -> dict[str, Any]:
    """The numbers of sampled and labelled opinions of the run, and the estimates of night_precision."""
    rows = warehouse.read(AUDIT_SAMPLE, dt=run.dt).where(F.col("run_id") == run.run_id).count()
    estimate = time_zones.first(warehouse.read(NIGHT_PRECISION, dt=run.dt).where(F.col("sample_run_id") == run.run_id))
    return {
        "rows": rows,
        "labelled": estimate.rows_labelled if estimate else 0,
        "contradicts": bool(estimate and estimate.contradicts_promise),
        "estimates": [
            {
                "name": name,
                "value": estimate[name],
                "lower": estimate[f"{name}_lower"],
                "upper": estimate[f"{name}_upper"],
            }
            for name in ("precision", "recall")
            if estimate and estimate[name] is not None
        ],
    }


def sources(warehouse: Warehouse, run: Row) -> list[dict[str, Any]]:
    """Opinions, valid complaints and expected precision by source, the source with most complaints first."""
    expected = run.source_precision or {}
    rows, valid = (
        {row.source: row["count"] for row in warehouse.read(table, dt=run.dt).groupBy("source").count().collect()}
        for table in (RAW_OPINION, VALID_COMPLAINT)
    )
    by_source = [
        {
            "source": source,
            "rows": count,
            "valid": valid.get(source, 0),
            "share": ratio(valid.get(source, 0), count),
            "precision": expected.get(source or ""),
        }
        for source, count in rows.items()
    ]
    return sorted(by_source, key=lambda one: (-one["valid"], -one["rows"], one["source"] or ""))


def trend(warehouse: Warehouse, dt: str) -> list[dict[str, Any]]:
    """The last scored days up to this one, oldest first."""
    runs = time_zones.collect(warehouse.read(SCORING_RUN).where(F.col("dt") <= dt).orderBy(F.desc("dt")).limit(DAYS))
    return [
        {
            "dt": run.dt,
            "read": run.rows_read,
            "valid": run.rows_valid,
            "share": ratio(run.rows_valid, run.rows_scored),
            "drift": {name: run[column] for name, column in DRIFT.items()},
            "model": run.model_version,
            "threshold": run.threshold,
            "precision": run.expected_precision,
            "lower": run.precision_lower,
            "upper": run.precision_upper,
            "certified": bool(run.certified),
        }
        for run in reversed(runs)
    ]


def just_below(warehouse: Warehouse, dt: str) -> list[Row]:
    """The opinions with the highest scores below the threshold, with their texts, highest first."""
    scores = warehouse.read(OPINION_SCORE, dt=dt).where("not is_valid")
    nearest = scores.orderBy(F.desc("score"), "opinion_id").limit(BORDERLINE * 3).select("opinion_id", "score")
    raw = warehouse.read(RAW_OPINION, dt=dt)
    rows = raw.join(F.broadcast(nearest), "opinion_id", "inner")
    # The first row of a repeated id is the one that was scored.
    ordered = rows.orderBy(F.desc("score"), "opinion_id", F.col("published_at").asc_nulls_last(), "text")
    return list({row.opinion_id: row for row in reversed(time_zones.collect(ordered))}.values())[::-1]


def explained(scorer: Scorer, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Each opinion with its explanation, in the given order; equal texts once, with their number."""
    opinions: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = normalise(row.text or "")
        if key in opinions:
            opinions[key]["times"] += 1
        else:
            where = {"opinion_id": row.opinion_id, "source": row.source, "published_at": minute(row.published_at)}
            opinions[key] = {**where, "score": row.score, "times": 1, **margin_facts(explain(scorer, row.text))}
    return list(opinions.values())


def margin_facts(explanation: Explanation) -> dict[str, Any]:
    """The parts of a text's margin by character and by the strongest n-grams; long numbers are masked."""
    text = mask_digits(explanation.text)
    return {
        "margin": explanation.margin,
        "base": explanation.base,
        "text": text,
        "characters": [round(weight, 4) for weight in explanation.characters().tolist()],
        "ngrams": [
            {"ngram": text[part.start : part.end], "start": part.start, "end": part.end, "margin": part.margin}
            for part in explanation.parts[:NGRAMS]
        ],
    }


def strongest_ngrams(opinions: Iterable[Mapping[str, Any]], count: int = 15) -> list[dict[str, Any]]:
    """The n-grams that contribute most to complaints, summed over the shown opinions, without numbers."""
    total: dict[str, float] = defaultdict(float)
    for opinion in opinions:
        for one in opinion["ngrams"]:
            words = one["ngram"].strip(PUNCTUATION)
            if one["margin"] > 0 and any(map(str.isalpha, words)) and "*" not in words:
                total[words] += one["margin"] * opinion["times"]
    strongest = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:count]
    return [{"ngram": ngram, "margin": margin} for ngram, margin in strongest]
