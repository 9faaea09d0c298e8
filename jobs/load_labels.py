"""Load labelled texts into labelled_opinion, one row per text, in addition to the existing ones.

A label is 1 (valid complaint) or 0 (junk); docs/inputs.md lists how it may be written. A text with both labels, in
these files or in the table, moves from labelled_opinion to rejected_label, for people to decide; unreadable lines go
there too. A row with an empty label is skipped and counted, so that an audit sample of score_opinions can be loaded
half labelled, and again later. The apostrophe that stops a spreadsheet from reading a cell as a formula (`'=1+1`) is
removed. Without --split the hash of a text's normalised form decides between train, valid and test (80/10/10), so a
text never changes its split and equal texts share one.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from jobs.common.cli import job_parser
from jobs.common.failures import run_main
from jobs.common.privacy import redact_errors
from jobs.ingest import label_provenance
from jobs.ingest.inputs import count, read_input
from jobs.ingest.label_rows import PARSED_DDL, UNLABELLED, parser_of, with_key
from jobs.ingest.rejects import Rejects, add_flag, reasons_text
from jobs.warehouse import publish
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import LABELLED_OPINION, REJECTED_LABEL, SAMPLE_LABEL
from jobs.warehouse.warehouse import Warehouse

FIELDS = ("opinion_id", "text", "label", "source", "dt", "run_id")  # the last two come from a night's sample
NEEDED = f"each needs {', '.join(FIELDS[:3])}, label 1 or 0"
CONFLICT = "conflicting_label"
# A text in several splits goes to the first of these, which must stay unseen in training.
SPLITS = ("test", "valid", "train")
COLUMNS = list(REJECTED_LABEL.columns)


def main() -> None:
    """Parse, extract, transform, load."""
    parser = job_parser(__doc__, "load_labels --input labels/train.csv --split train")
    parser.add_argument("--input", required=True, nargs="+", metavar="PATH", help="files, folders or globs")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", help="format of the input")
    parser.add_argument("--split", choices=SPLITS, help="put all rows into this split (default: by hash of the text)")
    parser.add_argument("--replace", action="store_true", help="remove the stored labels first")
    add_flag(parser)
    args = parser.parse_args()
    spark = spark_session("load_labels")
    rows = read_input(spark, args.input, args.format, FIELDS, needed=3)
    warehouse = Warehouse(spark, args.database)
    source = " ".join(args.input)
    print(load(warehouse, rows, source, args.split, args.replace, args.accept_rejects), flush=True)


def load(
    warehouse: Warehouse, rows: DataFrame, source: str, split: str | None, replace: bool, accept: bool = False
) -> str:
    """Publish the labels and return the summary lines.

    Raises BadInput when no row is usable, or when more than half of the labelled rows are rejected without `accept`.
    """
    tables = [LABELLED_OPINION, REJECTED_LABEL, SAMPLE_LABEL]
    with publish.run(warehouse, "load_labels", "labels", [(table, {}) for table in tables]) as run:
        # Persisted, so that counting and writing use one read of the input and of the clock.
        copies = warehouse.read(SAMPLE_LABEL).limit(0) if replace else warehouse.read(SAMPLE_LABEL)
        samples = label_provenance.known_samples(warehouse, copies)
        parsed = new = rows.mapInArrow(redact_errors(parser_of(split, run.started)), PARSED_DDL).persist()
        existing_rows = existing_labels(warehouse)
        if replace:
            existing_rows = existing_rows.limit(0)
        try:
            read, existing = count(parsed, source), existing_rows.count()
            if named := not parsed.where("sample_run_id is not null").isEmpty():  # most inputs name no sample
                new = label_provenance.place(parsed, samples, split).persist()
            why = counts_by(new.where("reason is not null"), "reason")
            skipped = why.pop(UNLABELLED, 0)
            rejects = Rejects(source, read - skipped, new, why)
            refuse_unusable(rejects, read, skipped, accept)
            labelled = new.where(F.col("reason").isNull() | (F.col("reason") != UNLABELLED)).unionByName(existing_rows)
            expected = expected_rows(labelled)
            run.stage(judge(labelled), tables[:2])
            kept = copies.select(*SAMPLE_LABEL.columns)
            stage_samples(run, label_provenance.copied(new, samples) if named else kept)
            stored, refused = run.read_back(LABELLED_OPINION), run.read_back(REJECTED_LABEL)
            counts = {(r.split, r.label): r["count"] for r in stored.groupBy("split", "label").count().collect()}
            reasons = counts_by(refused, "reason")
            check_staged(expected, counts, reasons)
            placed = label_provenance.lines(new, samples) if named else []
            rejects.warn("rejected_label")
            run.switch([(table, {}) for table in tables])
        finally:
            new.unpersist()
            parsed.unpersist()
    repeated = read - skipped + existing - sum(expected)
    return "\n".join([summary(read, skipped, existing, counts, reasons, repeated), *placed])


def refuse_unusable(rejects: Rejects, read: int, skipped: int, accept: bool) -> None:
    """Raise BadInput for an input without usable rows, and for one with mostly rejected labelled rows."""
    source, left = rejects.source, "the labels are left as they were"
    if read == 0:
        raise BadInput(f"{source} holds no row; {left}")
    if read == skipped + rejects.count:
        why = reasons_text({**rejects.reasons, **({UNLABELLED: skipped} if skipped else {})})
        cause = rejects.cause() if rejects.count else ""
        raise BadInput(f"no row of {source} is a labelled text: {why}; {cause or NEEDED}; {left}")
    rejects.check(left, accept)


def expected_rows(labels: DataFrame) -> tuple[int, int]:
    """The distinct rows that labelled_opinion and rejected_label must get, counted independently of `judge`."""
    rows = labels.select("text_hash", "reason", "label", "opinion_id").distinct()
    by_text = rows.where("reason is null").groupBy("text_hash")
    texts = by_text.agg(F.count_distinct("label").alias("labels"), F.count("*").alias("rows"))
    one, both = texts.agg(F.count_if(F.col("labels") == 1), F.sum(F.expr("if(labels > 1, rows, 0)"))).collect()[0]
    return one, (both or 0) + rows.where("reason is not null").count()


def check_staged(expected: tuple[int, int], counts: dict[tuple[str, int], int], reasons: dict[str, int]) -> None:
    """Raise OpinionError unless the staged files hold exactly the expected rows."""
    staged = sum(counts.values()), sum(reasons.values())
    known = {(split, label) for split in SPLITS for label in (0, 1)}
    if staged != expected or not counts.keys() <= known or None in reasons:
        raise OpinionError(
            f"{expected[0]} labels and {expected[1]} rejected rows became {staged[0]} and {staged[1]} in the staged "
            "files, or some have no label; nothing was published"
        )


def stage_samples(run: publish.Run, rows: DataFrame) -> None:
    """Stage the rows of sample_label; raises OpinionError unless the staged files hold exactly these."""
    expected = label_provenance.counted(rows)
    run.stage(rows.withColumn("table", F.lit(SAMPLE_LABEL.name)), [SAMPLE_LABEL])
    staged = label_provenance.counted(run.read_back(SAMPLE_LABEL))
    if staged != expected:
        raise OpinionError(
            f"{expected[0]} rows of samples, {expected[1]} of them labelled, became {staged[0]} and {staged[1]} in the "
            "staged files; nothing was published"
        )


def counts_by(rows: DataFrame, column: str) -> dict[str, int]:
    """Rows by the values of a column."""
    return {row[0]: row[1] for row in rows.groupBy(column).count().collect()}


def summary(
    read: int, skipped: int, existing: int, counts: dict[tuple[str, int], int], reasons: dict[str, int], repeated: int
) -> str:
    """The summary of a load, with a line for conflicts."""
    splits = ", ".join(
        f"{split} {counts.get((split, 0), 0) + counts.get((split, 1), 0)} rows ({counts.get((split, 1), 0)} complaints)"
        for split in reversed(SPLITS)
    )
    lines = [
        f"labels: read {read} rows, {existing} stored before: {sum(counts.values())} stored, "
        f"{sum(reasons.values())} rejected ({reasons_text(reasons) or 'none'}), {repeated} left out as repeats",
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


def existing_labels(warehouse: Warehouse) -> DataFrame:
    """The stored labels and conflicts; a conflict stays one whatever rows follow."""
    labelled = warehouse.read(LABELLED_OPINION).withColumns({"content": F.lit(None), "reason": F.lit(None)})
    rejected = warehouse.read(REJECTED_LABEL)
    rejected = rejected.withColumn("reason", F.when(F.col("reason") != CONFLICT, F.col("reason")))
    both = labelled.select(COLUMNS).unionByName(rejected.select(COLUMNS))
    return both.mapInArrow(redact_errors(with_key), PARSED_DDL)


def judge(labels: DataFrame) -> DataFrame:
    """One row per text for labelled_opinion, and the rejects; rows without news are left out.

    Such rows are a text with its stored label, a conflict's row with the same id and label, and an unreadable row with
    stored content: a file loaded twice changes nothing.
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
        # The time of a text's first label stays when it moves to another split: a model may have learned it.
        .withColumn("labelled_at", F.min("labelled_at").over(same))
        .where(F.col("first") == 1)
        .withColumn("table", F.when(F.col("reason").isNull(), LABELLED_OPINION.name).otherwise(REJECTED_LABEL.name))
        .select("table", *COLUMNS)
    )


if __name__ == "__main__":
    run_main(main)
