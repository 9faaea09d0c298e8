"""Load one day of the opinion stream into raw_opinion(dt); lines that are no record go to rejected_opinion.

Every line of the input ends in exactly one of the two: lines in = rows stored + rejected, checked before anything is
published. A second load of a day replaces the first.
"""

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from jobs import publish
from jobs.cli import day, job_parser, run_main
from jobs.discreet import discreet
from jobs.inputs import count, read_input
from jobs.records import Opinion, Rejected, parse_fields, parse_line
from jobs.session import spark_session
from jobs.tables import RAW_OPINION, REJECTED_OPINION, arrow_schema, ddl_of, staged_columns
from jobs.warehouse import Warehouse

FIELDS = ("opinion_id", "text", "source", "published_at")
COLUMNS = staged_columns(RAW_OPINION, REJECTED_OPINION, table="string")
STAGED, STAGED_DDL = arrow_schema(COLUMNS), ddl_of(COLUMNS)


def main() -> None:
    """Parse, extract, transform, load."""
    parser = job_parser(__doc__, "jobs/load_opinions.py --dt 2026-11-09 --input stream/dt=2026-11-09.jsonl.gz")
    parser.add_argument("--dt", type=day, required=True, help="the day that the input is of")
    parser.add_argument("--input", required=True, help="file, folder or glob on any file system of Spark")
    parser.add_argument("--format", choices=["jsonl", "csv", "parquet"], default="jsonl", help="format of the input")
    args = parser.parse_args()
    spark = spark_session("load_opinions")
    lines = read_input(spark, args.input, args.format, FIELDS, needed=2)
    warehouse = Warehouse(spark, args.database)
    print(load_day(warehouse, args.dt, lines, args.input), flush=True)


def load_day(warehouse: Warehouse, dt: str, lines: DataFrame, source: str) -> str:
    """Publish the day and return the line that says what was counted.

    Raises BadInput when the input is empty or holds no record at all.
    """
    partitions = [(RAW_OPINION, {"dt": dt}), (REJECTED_OPINION, {"dt": dt, "stage": "load"})]
    with publish.run(warehouse, "load_opinions", f"dt={dt}", partitions) as run:
        read = count(lines, source)
        if read == 0:
            raise BadInput(f"{source} holds no line; the day {dt} is left as it was")
        parsed = lines.mapInArrow(discreet(parser_of(session_zone(warehouse.spark))), STAGED_DDL)
        run.stage(parsed.withColumn("run_id", F.lit(run.id)), [RAW_OPINION, REJECTED_OPINION])
        stored = run.read_back(RAW_OPINION).count()
        reasons = {r.reason: r["count"] for r in run.read_back(REJECTED_OPINION).groupBy("reason").count().collect()}
        rejected = sum(reasons.values())
        if stored == 0:
            raise BadInput(f"no line of {source} is a record: {in_words(reasons)}; each needs {', '.join(FIELDS)}")
        if read != stored + rejected:
            raise OpinionError(f"read {read} lines but staged {stored} + {rejected}; nothing was published")
        run.switch(partitions)
    return f"{dt}: read {read} lines = stored {stored} + rejected {rejected} ({in_words(reasons) or 'none'})"


def in_words(reasons: dict[str, int]) -> str:
    """Counts by reason, most frequent first."""
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda r: (-r[1], r[0])))


def session_zone(spark: SparkSession) -> ZoneInfo:
    """The zone of times without an offset. Raises BadInput for one that only Spark knows, such as GMT+8."""
    name = str(spark.conf.get("spark.sql.session.timeZone"))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as e:
        raise BadInput(f"spark.sql.session.timeZone is {name!r}; write it as a place, such as Asia/Shanghai") from e


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
