"""A second reader's part in a day: the lines of the summary, and the facts and examples of the page."""

from typing import Any

from pyspark.sql import Row
from pyspark.sql import functions as F

from jobs.common import time_zones
from jobs.reports.console import mask_digits
from jobs.warehouse.tables import OPINION_SCORE, RAW_OPINION
from jobs.warehouse.warehouse import Warehouse

EXAMPLES = 5  # of changed decisions, in each direction


def second_reader_lines(run: Row) -> list[str]:
    """The lines about the second reader of a scored day; none without one."""
    if run.second_reader is None:
        return []
    if run.warning is not None:
        return [f"warning: {run.warning}"]
    if not run.reader_texts:
        return [f"second reader {run.second_reader}: no text to read"]
    numbers = run.combination
    return [
        f"second reader {run.second_reader}: {run.reader_texts} texts ({run.reader_texts_computed} computed, the rest "
        f"stored) of {run.reader_rows} rows with student margins {run.band_low:+.2f} to {run.band_high:+.2f} in "
        f"{run.reader_seconds:.0f} s; it made {run.rows_made_valid} rows valid and {run.rows_made_junk} junk",
        f"final margin: {numbers['intercept']:+g} {numbers['student']:+g} student {numbers['reader']:+g} reader, "
        f"from {run.combination_labels}",
    ]


def second_reader_facts(warehouse: Warehouse, run: Row) -> dict[str, Any] | None:
    """The facts of the page; None without a second reader."""
    if run.second_reader is None:
        return None
    return {
        "version": run.second_reader,
        "lines": second_reader_lines(run),
        "failed": run.warning is not None,
        "texts": run.reader_texts or 0,
        "rows": run.reader_rows or 0,
        "made_valid": run.rows_made_valid or 0,
        "made_junk": run.rows_made_junk or 0,
        "examples": examples(warehouse, run, True) + examples(warehouse, run, False) if run.reader_texts else [],
    }


def examples(warehouse: Warehouse, run: Row, is_valid: bool) -> list[dict[str, Any]]:
    """Opinions that the second reader made valid, or junk, those with the largest change first; equal texts once."""
    scores = warehouse.read(OPINION_SCORE, dt=run.dt).where(F.col("is_valid") == is_valid)
    changed = scores.where((F.col("student_score") >= F.lit(run.threshold)) != F.col("is_valid"))
    change = F.abs(F.col("score") - F.col("student_score"))
    columns = ("opinion_id", "score", "student_score", "reader_score", "is_valid")
    largest = changed.orderBy(change.desc(), "opinion_id").limit(4 * EXAMPLES).select(*columns)
    rows = warehouse.read(RAW_OPINION, dt=run.dt).join(F.broadcast(largest), "opinion_id", "inner")
    # The first row of a repeated id is the one that was scored.
    ordered = rows.orderBy(change.desc(), "opinion_id", F.col("published_at").asc_nulls_last(), "text")
    found: dict[str, dict[str, Any]] = {}
    seen = set()
    for row in time_zones.collect(ordered):
        text = mask_digits(row.text or "")
        if row.opinion_id not in seen:
            facts = {column: row[column] for column in columns} | {"source": row.source, "text": text}
            found.setdefault(text, facts)
        seen.add(row.opinion_id)
    return list(found.values())[:EXAMPLES]
