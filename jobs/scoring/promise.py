"""The precision that a night promises, as text and as columns of scoring_run; the sources without labels."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.warehouse import publish
from jobs.warehouse.tables import LABELLED_OPINION, VALID_COMPLAINT

BUNDLE, ESTIMATE, CALIBRATED = "bundle", "estimate", "calibrated"  # where a threshold comes from
MOST_SOURCES = 20


def promise(operating: Mapping[str, Any] | None, reader: str | None = None) -> dict[str, Any]:
    """The columns of scoring_run from an operating threshold; without one there is no promise for the stream.

    reader: the second reader of the day, None without one or after its failure. A threshold that was calibrated on
    nights with another promises nothing.
    """
    if operating is None:
        return {"threshold_source": BUNDLE, "certified": False}
    if operating.get("second_reader") != reader:
        return {"threshold_source": ESTIMATE, "certified": False}
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
    if run.expected_precision is None and run.threshold_source == ESTIMATE:
        return (
            "precision on the stream: unknown, the threshold was chosen on nights with another second reader, or none; "
            "label nights like this one and run calibrate_threshold"
        )
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


def unlabelled_sources(run: publish.Run, raw: DataFrame) -> dict[str, dict[str, int]]:
    """Opinions, and staged complaints (valid), of each source that no label is of; the sources with most opinions."""
    source = F.coalesce("source", F.lit("")).alias("source")
    labelled = run.warehouse.read(LABELLED_OPINION).select(source).distinct()
    opinions = raw.select(source, F.lit(1).alias("opinions"), F.lit(0).alias("valid"))
    valid = run.read_back(VALID_COMPLAINT).select(source, F.lit(0).alias("opinions"), F.lit(1).alias("valid"))
    counts = (
        opinions.unionAll(valid)
        .groupBy("source")
        .agg(F.sum("opinions").alias("opinions"), F.sum("valid").alias("valid"))
    )
    unknown = counts.join(F.broadcast(labelled), "source", "left_anti")
    largest = unknown.orderBy(F.desc("opinions"), "source").limit(MOST_SOURCES).collect()
    return {row.source: {"opinions": row.opinions, "valid": row.valid} for row in largest}
