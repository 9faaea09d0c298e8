"""The precision that a night promises, as text and as columns of scoring_run; the sources without labels."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.warehouse import publish
from jobs.warehouse.tables import LABELLED_OPINION, VALID_COMPLAINT

BUNDLE, ESTIMATE, CALIBRATED = "bundle", "estimate", "calibrated"  # where a threshold comes from
MOST_SOURCES = 20


def promise(operating: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns of scoring_run from an operating threshold; without one there is no promise for the stream."""
    if operating is None:
        return {"threshold_source": BUNDLE, "certified": False}
    return {
        "threshold_source": operating["source"],
        "expected_precision": operating["precision"],
        "precision_lower": operating["precision_lower"],
        "precision_upper": operating["precision_upper"],
        "certified": operating["certified"],
        "source_precision": {name: of["precision"] for name, of in operating.get("sources", {}).items()},
    }


def promise_text(run: Row) -> str:
    """The line with the promise of a scored day."""
    if run.expected_precision is None:
        return (
            "precision on the stream: unknown, the threshold is that of the validation rows; "
            "label a night's sample and run calibrate_threshold"
        )
    bounds = f"{run.expected_precision:.3f} (bounds {run.precision_lower:.3f} to {run.precision_upper:.3f})"
    return f"precision on the stream: {bounds}, {'certified' if run.certified else 'an estimate, not certified'}"


def source_lines(sources: Mapping[str, Any] | None) -> list[str]:
    """A line for each source without labels, the one with most complaints first."""
    ordered = sorted((sources or {}).items(), key=lambda item: (-item[1].valid, -item[1].opinions, item[0]))
    return [f"{name or '(none)'}: {of.opinions:,} opinions, no label, {of.valid:,} flagged" for name, of in ordered]


def unlabelled_sources(run: publish.Run, raw: DataFrame) -> dict[str, tuple[int, int]]:
    """Opinions and staged complaints of the day's sources without labels, those with most opinions."""
    labelled = run.warehouse.read(LABELLED_OPINION).select(F.coalesce("source", F.lit("")).alias("source")).distinct()
    source = F.coalesce("source", F.lit("")).alias("source")

    def unknown(rows: DataFrame) -> dict[str, int]:
        counted = rows.select(source).groupBy("source").count().join(F.broadcast(labelled), "source", "left_anti")
        return {row.source: row["count"] for row in counted.orderBy(F.desc("count"), "source").limit(1000).collect()}

    opinions = unknown(raw)
    valid = unknown(run.read_back(VALID_COMPLAINT)) if opinions else {}
    largest = sorted(opinions, key=lambda name: (-opinions[name], name))[:MOST_SOURCES]
    return {name: (opinions[name], valid.get(name, 0)) for name in largest}
