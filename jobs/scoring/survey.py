"""One pass over a day before it is scored: rows by source, and ids that may be repeated.

The hashes and sources of a small day fit in the driver, which needs no Python worker and no shuffle for them. Of a big
one Spark's own grouping would move a row for every id. There each task hashes, sorts and cuts its ids into the same
ranges, a range a row, so that few rows are shuffled however large the day is.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from distill.errors import BadInput
from jobs.common.privacy import BatchFunction, redact_errors
from jobs.scoring.id_hashes import LOW, Hashes, hashes_of_ids
from jobs.scoring.raw_rows import SparkRows

# Bytes of files at rest, some 200,000 rows, that the driver looks over by itself.
SMALL_DAY = 16 << 20
MOST_REPEATED = 20_000_000  # hashes of repeated ids, 160 MB, which the driver sends to each executor
RANGES = 64  # of hashes; each task sends one block of bytes per range, and one task finds the repeats in a range
BOUNDS = (np.arange(1, RANGES, dtype=np.float64) * (2.0**64 / RANGES) - 2.0**63).astype(np.int64)
RANGE_ROWS = pa.schema(
    [
        ("range", pa.int32()),
        ("hashes", pa.binary()),
        ("source", pa.string()),
        ("rows", pa.int64()),
        ("id_sum", pa.int64()),
        ("repeated", pa.int64()),
    ]
)
RANGE_ROWS_DDL = "range int, hashes binary, source string, rows bigint, id_sum bigint, repeated bigint"


class Survey(NamedTuple):
    """Rows by source, the hashes (`id_hash`) of repeated ids (or of ids that share a hash), and `id_sum`.

    repeated: int64. id_sum: the sum of all ids' `id_half`, which the audit compares.
    """

    sources: dict[str, int]
    repeated: Hashes
    id_sum: int


def survey(rows: SparkRows, known: Sequence[str], here: bool = False) -> Survey:
    """Survey the rows; rows without a known source count together under the empty name.

    Without known sources all rows count so. here: in the driver, for a day that fits. Raises BadInput for more than
    MOST_REPEATED repeated ids.
    """
    columns = ["opinion_id", "source"] if known else ["opinion_id"]
    if here:
        return survey_of(rows.table(*columns), frozenset(known))
    ranges = rows.map(find_repeated(frozenset(known)), RANGE_ROWS_DDL, *columns)
    blocks = ranges.repartition("range").mapInArrow(redact_errors(find_doubles), RANGE_ROWS_DDL).collect()
    sources: Counter[str] = Counter()
    for row in blocks:
        if row.rows:
            sources[row.source] += row.rows
    repeated = sum(row.repeated or 0 for row in blocks)
    if repeated > MOST_REPEATED or any(row.repeated and not row.hashes for row in blocks):
        raise BadInput(
            f"{repeated:,} values of opinion_id occur more than once in the day, at most {MOST_REPEATED:,} can be told "
            "apart: remove the repeated rows from the input, or give each opinion an id of its own, and load it again"
        )
    return Survey(dict(sources), hashes_of([row.hashes for row in blocks]), sum(row.id_sum or 0 for row in blocks))


def survey_of(rows: pa.Table, known: frozenset[str]) -> Survey:
    """The survey of all ids and sources of a day."""
    parts = [hashes_of_ids(ids.drop_null()) for ids in rows.column("opinion_id").chunks]
    hashes = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    return Survey(dict(counted(rows, known)), again(hashes), int((hashes & LOW).sum()))


def counted(rows: pa.Table | pa.RecordBatch, known: frozenset[str]) -> Counter[str]:
    """Rows by known source; of the others together, under the empty name."""
    sources: Counter[str] = Counter()
    if not known:
        return Counter({"": rows.num_rows}) if rows.num_rows else sources
    for source in pc.value_counts(rows.column("source")).to_pylist():
        sources[source["values"] if source["values"] in known else ""] += source["counts"]
    return sources


def again(hashes: Hashes) -> Hashes:
    """The hashes that occur more than once, of sorted ones."""
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def find_repeated(known: frozenset[str]) -> BatchFunction:
    """The task over ids and sources: it yields its sorted hashes, one row per range, and rows by source."""

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sources: Counter[str] = Counter()
        parts = []
        for batch in batches:
            parts.append(hashes_of_ids(batch.column("opinion_id").drop_null()))
            sources += counted(batch, known)
        hashes = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
        blocks = np.split(hashes, np.searchsorted(hashes, BOUNDS))
        rows = [{"range": i, "hashes": block.tobytes()} for i, block in enumerate(blocks) if len(block)]
        rows += [{"range": 0, "source": source, "rows": count} for source, count in sources.items()]
        rows.append({"range": 0, "rows": 0, "id_sum": int((hashes & LOW).sum())})
        yield pa.RecordBatch.from_pylist(rows, RANGE_ROWS)

    return find


def find_doubles(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The task over all rows of some ranges: it yields the repeated hashes, and passes counts on.

    Above its share of MOST_REPEATED it yields only their number: the day is refused.
    """
    blocks: list[bytes | None] = []
    ranges: set[int] = set()
    for batch in batches:
        blocks += batch.column("hashes").to_pylist()
        ranges.update(batch.column("range").to_pylist())
        yield batch.filter(pc.is_valid(batch.column("rows")))
    repeated = again(np.sort(hashes_of(blocks)))
    found = {"repeated": len(repeated), "hashes": repeated.tobytes()}
    if len(repeated) > 2 * MOST_REPEATED * len(ranges) / RANGES:  # so are the other ranges, as hashes are spread evenly
        found["hashes"] = b""
    yield pa.RecordBatch.from_pylist([found] if len(repeated) else [], RANGE_ROWS)


def hashes_of(blocks: Sequence[bytes | None]) -> Hashes:
    """The hashes in blocks of bytes."""
    return np.frombuffer(b"".join(block for block in blocks if block), np.int64)
