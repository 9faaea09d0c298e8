"""Load one day of the stream: count its lines, parse and stage them, count what was staged, switch."""

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import BadInput, OpinionError
from jobs.common.privacy import redact_errors
from jobs.common.time_zones import session_zone
from jobs.ingest.inputs import count, read_input
from jobs.ingest.load_flags import Loading
from jobs.ingest.records import Opinion, Rejected, parse_fields, parse_line
from jobs.ingest.rejects import Rejects, reasons_text
from jobs.warehouse import publish
from jobs.warehouse.schema import arrow_schema, ddl_of, staged_columns
from jobs.warehouse.tables import RAW_OPINION, REJECTED_OPINION
from jobs.warehouse.warehouse import Warehouse

FIELDS = ("opinion_id", "text", "source", "published_at")
COLUMNS = staged_columns(RAW_OPINION, REJECTED_OPINION, table="string")
STAGED, STAGED_DDL = arrow_schema(COLUMNS), ddl_of(COLUMNS)


def load(warehouse: Warehouse, dt: str, loading: Loading) -> None:
    """Load the day and print what was counted."""
    path = loading.path_of(dt)
    lines = read_input(warehouse.spark, path, loading.format, FIELDS, needed=2)
    print(load_day(warehouse, dt, lines, path, loading.accept_rejects), flush=True)


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
