"""Load labelled texts into labelled_opinion, one row a text, beside what is there already.

A label is 1 (valid complaint) or 0 (junk). A text that carries both labels, in these files or together with what is in
the table, is taken out of labelled_opinion and put into rejected_label for people to decide; lines that are not
readable go there too. A row whose label is still empty is skipped and counted, so that an audit sample of
score_opinions can be loaded half labelled, and again later; the apostrophe that keeps a spreadsheet from taking a cell
for a formula (`'=1+1`) is taken away. Without --split a text goes to train, valid or test
(80/10/10) by the hash of its normalised form, so it never changes sides and equal texts are never on two.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from distill.text import normalise, text_hash, unscorable_reason
from jobs import publish
from jobs.cli import job_parser, run_main
from jobs.discreet import discreet
from jobs.inputs import count, read_input
from jobs.load_opinions import in_words
from jobs.records import BROKEN_ROW, content_of, reason_of_broken
from jobs.session import spark_session
from jobs.spreadsheets import unescaped
from jobs.tables import LABELLED_OPINION, REJECTED_LABEL, arrow_schema, ddl_of, staged_columns
from jobs.warehouse import Warehouse

FIELDS = ("opinion_id", "text", "label", "source")
NEEDED = ", ".join(FIELDS[:3])
CONFLICT = "conflicting_label"
NOT_UTF_8 = "invalid_utf8"
UNLABELLED = "unlabelled"  # not rejected: nobody has judged it yet
# Where a text is in several splits, the split that must stay unseen keeps it.
SPLITS = ("test", "valid", "train")
COLUMNS = list(REJECTED_LABEL.columns)


def main() -> None:
    """Parse, extract, transform, load."""
    parser = job_parser(__doc__, "jobs/load_labels.py --input labels/train.csv --split train")
    parser.add_argument("--input", required=True, nargs="+", metavar="PATH", help="files, folders or globs")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", help="format of the input")
    parser.add_argument("--split", choices=SPLITS, help="put all rows into this split (default: by hash of the text)")
    parser.add_argument("--replace", action="store_true", help="forget what the tables hold already")
    args = parser.parse_args()
    spark = spark_session("load_labels")
    rows = read_input(spark, args.input, args.format, FIELDS, needed=3)
    warehouse = Warehouse(spark, args.database)
    print(load(warehouse, rows, " ".join(args.input), args.split, args.replace), flush=True)


def load(warehouse: Warehouse, rows: DataFrame, source: str, split: str | None, replace: bool) -> str:
    """Publish the labels and return the lines that say what was counted. Raises BadInput when no row is usable."""
    tables = [LABELLED_OPINION, REJECTED_LABEL]
    with publish.run(warehouse, "load_labels", "labels", [(table, {}) for table in tables]) as run:
        # Kept, so that counting and writing see one reading of the input and of the clock.
        new = rows.mapInArrow(discreet(parser_of(split, run.started)), PARSED_DDL).persist()
        there = standing(warehouse)
        if replace:
            there = there.limit(0)
        try:
            read, beside = count(new, source), there.count()
            if read == 0:
                raise BadInput(f"{source} holds no row; the labels are left as they were")
            why = counts_by(new.where("reason is not null"), "reason")
            skipped = why.get(UNLABELLED, 0)
            if read == sum(why.values()):
                mend = "save the file as UTF-8" if NOT_UTF_8 in why else f"each needs {NEEDED}, label 0 or 1"
                raise BadInput(f"no row of {source} is a labelled text: {in_words(why)}; {mend}")
            labelled = new.where(F.col("reason").isNull() | (F.col("reason") != UNLABELLED))
            run.stage(judge(labelled.unionByName(there)), tables)
        finally:
            new.unpersist()
        stored = run.read_back(LABELLED_OPINION)
        counts = {(r.split, r.label): r["count"] for r in stored.groupBy("split", "label").count().collect()}
        reasons = counts_by(run.read_back(REJECTED_LABEL), "reason")
        repeated = read - skipped + beside - sum(counts.values()) - sum(reasons.values())
        if repeated < 0:
            raise OpinionError(f"{read + beside} labels became {read + beside - repeated}; nothing was published")
        run.switch([(table, {}) for table in tables])
    return summary(read, skipped, beside, counts, reasons, repeated)


def counts_by(rows: DataFrame, column: str) -> dict[str, int]:
    """Rows by the values of a column."""
    return {row[0]: row[1] for row in rows.groupBy(column).count().collect()}


def summary(
    read: int, skipped: int, beside: int, counts: dict[tuple[str, int], int], reasons: dict[str, int], repeated: int
) -> str:
    """What the load found, conflicts in a line of their own."""
    splits = ", ".join(
        f"{split} {counts.get((split, 0), 0) + counts.get((split, 1), 0)} ({counts.get((split, 1), 0)} valid)"
        for split in reversed(SPLITS)
    )
    lines = [
        f"labels: read {read} rows beside {beside} there already: {sum(counts.values())} stored, "
        f"{sum(reasons.values())} rejected ({in_words(reasons) or 'none'}), {repeated} left out as repeats",
        f"stored: {splits}",
    ]
    if skipped:
        lines.append(f"{skipped} of the rows read have no label yet and were skipped")
    if CONFLICT in reasons:
        lines.append(
            f"warning: {reasons[CONFLICT]} rows carry both labels for one text and are not used for training; "
            f"see rejected_label where reason='{CONFLICT}', correct the files and load them with --replace"
        )
    return "\n".join(lines)


def standing(warehouse: Warehouse) -> DataFrame:
    """The labels there already, conflicts among them, since a further row can neither settle nor hide one."""
    kept = warehouse.read(LABELLED_OPINION).withColumns({"content": F.lit(None), "reason": F.lit(None)})
    rejected = warehouse.read(REJECTED_LABEL)
    rejected = rejected.withColumn("reason", F.when(F.col("reason") != CONFLICT, F.col("reason")))
    both = kept.select(COLUMNS).unionByName(rejected.select(COLUMNS))
    return both.mapInArrow(discreet(with_key), PARSED_DDL)


def judge(labels: DataFrame) -> DataFrame:
    """One row a text for labelled_opinion, and what is rejected; rows that say nothing new are left out.

    Those are a text with the label it has, a conflict's row of the same id and label, and an unreadable row that is
    there with the same content: a file loaded twice changes nothing.
    """
    conflicting = (
        labels.where(F.col("reason").isNull())
        .groupBy("text_hash")
        .agg((F.min("label") != F.max("label")).alias("conflicts"))
    )
    rows = labels.join(conflicting, "text_hash", "left").withColumn(
        "reason", F.coalesce(F.col("reason"), F.when(F.col("conflicts"), F.lit(CONFLICT)))
    )
    rank: Column = reduce(
        lambda otherwise, split: F.when(F.col("split") == split[1], split[0]).otherwise(otherwise),
        enumerate(SPLITS),
        F.lit(len(SPLITS)),
    )
    same = Window.partitionBy("text_hash", "reason", "label", F.when(F.col("reason").isNotNull(), F.col("opinion_id")))
    first = F.row_number().over(same.orderBy(rank, "labelled_at", "opinion_id"))
    return (
        rows.withColumn("first", first)
        .where(F.col("first") == 1)
        .withColumn("table", F.when(F.col("reason").isNull(), LABELLED_OPINION.name).otherwise(REJECTED_LABEL.name))
        .select("table", *COLUMNS)
    )


PARSED_COLUMNS = staged_columns(REJECTED_LABEL, text_hash="string")
PARSED, PARSED_DDL = arrow_schema(PARSED_COLUMNS), ddl_of(PARSED_COLUMNS)


def parser_of(split: str | None, now: datetime) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that Spark maps over batches of input columns, each column as bytes."""

    def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [parse_label(fields, split) | {"labelled_at": now} for fields in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=PARSED)

    return parse


def parse_label(fields: Mapping[str, bytes | None], split: str | None) -> dict[str, object]:
    """One row of a label file as a row of PARSED but its time; `reason` says why it cannot be used, if so."""
    if (raw := fields.get(BROKEN_ROW)) is not None:
        return rejected(fields, split, reason_of_broken(raw))
    try:
        row = {name: unescaped(value.decode("utf-8")) if value else None for name, value in fields.items()}
    except UnicodeDecodeError:
        return rejected(fields, split, NOT_UTF_8)
    label, identity = (row["label"] or "").strip(), (row["opinion_id"] or "").strip()
    normalised = None if row["text"] is None else normalise(row["text"])
    reason = unscorable_reason(normalised)
    if reason or not identity or label not in ("0", "1"):
        bad_label = "unreadable_label" if label else UNLABELLED
        return rejected(fields, split, reason or (bad_label if identity else "missing_id"))
    hashed = text_hash(normalised or "")
    return row | {"opinion_id": identity, "label": int(label), "split": split or split_of(hashed), "text_hash": hashed}


def rejected(fields: Mapping[str, bytes | None], split: str | None, reason: str) -> dict[str, object]:
    """A row that cannot be used."""
    content = content_of(fields)
    return {"content": content, "reason": reason, "split": split, "text_hash": text_hash(content)}


def split_of(hashed: str) -> str:
    """The split of a text whose file does not say: 80% train, 10% valid, 10% test."""
    part = int(hashed[:8], 16) % 10
    return "test" if part == 9 else "valid" if part == 8 else "train"


def with_key(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of the tables as rows of PARSED."""
    for batch in batches:
        rows = batch.to_pylist()
        for row in rows:
            row["text_hash"] = text_hash(row["content"] if row["text"] is None else normalise(row["text"]))
            row["labelled_at"] = row["labelled_at"] and row["labelled_at"].astimezone(UTC)
        yield pa.RecordBatch.from_pylist(rows, schema=PARSED)


if __name__ == "__main__":
    run_main(main)
