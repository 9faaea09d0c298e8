"""Load a day of the opinion stream into raw_opinion(dt); lines that are not records go to rejected_opinion.

Every input line ends in exactly one of the two: lines read = rows stored + rejected, checked before anything is
published. A second load of a day replaces the first. An input with mostly rejected lines is refused (docs/inputs.md).
"""

import argparse
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from jobs.common.cli import Parser, day, job_parser
from jobs.common.failures import run_main
from jobs.common.privacy import redact_errors
from jobs.common.time_zones import session_zone
from jobs.ingest.inputs import count, read_input
from jobs.ingest.records import Opinion, Rejected, parse_fields, parse_line
from jobs.ingest.rejects import Rejects, add_flag, reasons_text
from jobs.scoring.backfill import between, each
from jobs.warehouse import publish
from jobs.warehouse.schema import arrow_schema, ddl_of, staged_columns
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import RAW_OPINION, REJECTED_OPINION
from jobs.warehouse.warehouse import Warehouse

DAY = "{dt}"  # stands for the day in --input
FIELDS = ("opinion_id", "text", "source", "published_at")
COLUMNS = staged_columns(RAW_OPINION, REJECTED_OPINION, table="string")
STAGED, STAGED_DDL = arrow_schema(COLUMNS), ddl_of(COLUMNS)


def main() -> None:
    """Parse, extract, transform, load."""
    args = parser().parse_args()
    days = chosen_days(args)
    spark = spark_session("load_opinions")
    warehouse = Warehouse(spark, args.database)

    def load(dt: str) -> None:
        path = args.input.replace(DAY, dt)
        lines = read_input(spark, path, args.format, FIELDS, needed=2)
        print(load_day(warehouse, dt, lines, path, args.accept_rejects), flush=True)

    if args.dt:
        load(args.dt)
    else:
        each(days, None, load)


def parser() -> Parser:
    """The command line."""
    example = "load_opinions --dt 2026-11-09 --input stream/dt=2026-11-09.jsonl.gz"
    several = "--from 2026-11-09 --to 2026-11-15 --input 'stream/dt={dt}.jsonl.gz'"
    flags = job_parser(__doc__, example, f".venv/bin/opinion load_opinions {several}")
    flags.add_argument("--dt", type=day, help="the day of the input")
    flags.add_argument("--from", type=day, dest="first", metavar="DT", help="load all days from this one on …")
    flags.add_argument("--to", type=day, dest="last", metavar="DT", help="… to this one, also those loaded before")
    flags.add_argument(
        "--input", required=True, help=f"file, folder or glob on any file system of Spark; {DAY} stands for the day"
    )
    flags.add_argument("--format", choices=["jsonl", "csv", "parquet"], default="jsonl", help="format of the input")
    add_flag(flags)
    return flags


def chosen_days(args: argparse.Namespace) -> list[str]:
    """The days that the flags name; raises BadInput for flags that do not fit together."""
    if bool(args.dt) == bool(args.first or args.last) or (not args.dt and not (args.first and args.last)):
        raise BadInput("name one day with --dt, or several with both --from and --to")
    days = [args.dt] if args.dt else between(args.first, args.last)
    if not days:
        raise BadInput(f"--from {args.first} is after --to {args.last}")
    if not args.dt and DAY not in args.input:
        raise BadInput(f"--input {args.input} is the same for every day; write {DAY} where the day stands in the path")
    return days


def load_day(warehouse: Warehouse, dt: str, lines: DataFrame, source: str, accept: bool = False) -> str:
    """Publish the day and return the summary line.

    Raises BadInput when the input is empty or holds no record, or when more than half of it is rejected without
    `accept`.
    """
    partitions = [(RAW_OPINION, {"dt": dt}), (REJECTED_OPINION, {"dt": dt, "stage": "load"})]
    left = f"the day {dt} is left as it was"
    with publish.run(warehouse, "load_opinions", f"dt={dt}", partitions) as run:
        read = count(lines, source)
        if read == 0:
            raise BadInput(f"{source} holds no line; {left}")
        parsed = lines.mapInArrow(redact_errors(parser_of(session_zone(warehouse.spark))), STAGED_DDL)
        run.stage(parsed.withColumn("run_id", F.lit(run.id)), [RAW_OPINION, REJECTED_OPINION])
        records, refused = run.read_back(RAW_OPINION), run.read_back(REJECTED_OPINION)
        stored, named = records.agg(F.count("*"), F.count("opinion_id")).collect()[0]
        reasons = {r.reason: r["count"] for r in refused.groupBy("reason").count().collect()}
        rejected = sum(reasons.values())
        if read != stored + rejected or named != stored or None in reasons:
            raise OpinionError(
                f"read {read} lines but staged {stored} ({named} with an id) + {rejected}; nothing was published"
            )
        rejects = Rejects(source, read, refused, reasons, lines)
        if stored == 0:
            why = f"{reasons_text(reasons)}; each needs {', '.join(FIELDS)}"
            raise BadInput(f"no line of {source} is a record: {why}; {rejects.cause()}; {left}")
        if fault := rejects.gbk_fault(records):
            raise BadInput(f"{source}: {reasons['invalid_utf8']} of its {read} lines are not UTF-8: {fault}; {left}")
        rejects.check(left, accept)
        rejects.warn(f"rejected_opinion where dt='{dt}' and stage='load'")
        run.switch(partitions)
    return f"{dt}: read {read} lines = stored {stored} + rejected {rejected} ({reasons_text(reasons) or 'none'})"


def parser_of(zone: ZoneInfo) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that Spark maps over Arrow batches of input; times without an offset are in `zone`."""

    def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.schema.names == ["line"]:
                records = [parse_line(line, zone) for line in batch.column(0).to_pylist()]
            else:
                records = [parse_fields(fields, zone) for fields in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist([staged_row(record) for record in records], schema=STAGED)

    return parse


def staged_row(record: Opinion | Rejected) -> dict[str, object]:
    """A record as a row of the staged files."""
    table = RAW_OPINION if isinstance(record, Opinion) else REJECTED_OPINION
    return {"table": table.name, **record._asdict()}


if __name__ == "__main__":
    run_main(main)
