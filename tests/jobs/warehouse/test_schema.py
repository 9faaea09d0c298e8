"""The columns of staged rows come from the tables', for Spark and for Arrow alike."""

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import from_arrow_schema

from jobs.ingest import label_rows
from jobs.scoring import worker
from jobs.steps import load_day
from jobs.warehouse.schema import OF_A_RUN, arrow_schema, ddl_of, staged_columns
from jobs.warehouse.tables import (
    OPINION_SCORE,
    RAW_OPINION,
    REJECTED_LABEL,
    REJECTED_OPINION,
    VALID_COMPLAINT,
)

STAGED = {
    "load_opinions": (load_day.STAGED, load_day.STAGED_DDL, (RAW_OPINION, REJECTED_OPINION), {"table"}),
    "load_labels": (label_rows.PARSED, label_rows.PARSED_DDL, (REJECTED_LABEL,), {"text_hash"}),
    "score_rows": (
        worker.STAGED,
        worker.STAGED_DDL,
        (OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION),
        {"table", "cell"},
    ),
}


@pytest.mark.parametrize("job", STAGED)
def test_what_a_worker_stages_has_every_column_of_its_tables_with_its_type(job: str) -> None:
    schema, ddl, tables, more = STAGED[job]
    as_spark_reads = {field.name: field.dataType.simpleString() for field in from_arrow_schema(schema)}
    assert ", ".join(f"{name} {kind}" for name, kind in as_spark_reads.items()) == ddl
    of_tables = {name: kind for table in tables for name, kind in table.columns.items() if name not in OF_A_RUN}
    assert of_tables.items() <= as_spark_reads.items() and as_spark_reads.keys() - of_tables.keys() == more


def test_a_column_that_a_table_gains_is_staged() -> None:
    columns = staged_columns(RAW_OPINION, VALID_COMPLAINT, cell="smallint")
    assert list(columns) == [*RAW_OPINION.columns, "score", "cell"]
    assert ddl_of(columns).endswith("published_at timestamp, score float, cell smallint")
    assert arrow_schema(columns).field("published_at").type == pa.timestamp("us", tz="UTC")
