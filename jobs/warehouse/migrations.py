"""Create the tables of a database, upgrade older ones in place, and refuse foreign ones by name.

Each step checks the present state first, so the next job finishes a migration that died half-way. A new column of
`tables.py` is added at the table's end and is null in older rows. Older versions of this project differ in nothing
else, so any other difference is refused before any change.
"""

import json
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from distill.errors import BadInput, Busy
from jobs.common import locks
from jobs.common.home import home
from jobs.warehouse.schema import Table, View
from jobs.warehouse.tables import TABLES, VIEWS

PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
PATIENCE = 120  # seconds that a job waits for another one's migration
CURE = "rename it away or choose another --database"


def migrate(spark: SparkSession, database: str, root: str) -> None:
    """Create or upgrade the tables and views of the database; the empty folder of each table is below `root`.

    Raises BadInput for foreign tables and for newer ones, and Busy when another job migrates for too long.
    """
    if not pending_statements(spark, database):
        return
    # Hosts that do not share this lock may run the same statements twice, which is harmless.
    with locks.hold(home() / "locks" / f"{database},migrate.lock", f"the tables of {database}", PATIENCE):
        run_ddl_ignoring_exists(spark, f"CREATE DATABASE IF NOT EXISTS {database}")
        for statement in pending_statements(spark, database).values():
            run_ddl_ignoring_exists(spark, statement.format(database=database, root=root))
        if left := pending_statements(spark, database):
            raise Busy(f"{', '.join(left)} of {database} changed while this job migrated; run it again")


def run_ddl_ignoring_exists(spark: SparkSession, statement: str) -> None:
    """Run a DDL statement; ignore the error if another host has already created the object."""
    try:
        spark.sql(statement)
    except AnalysisException as e:
        # Spark's own check, or the metastore's answer when the object appeared after that check.
        if "ALREADY_EXISTS" not in (e.getCondition() or "") and "AlreadyExistsException" not in str(e):
            raise


@dataclass(frozen=True)
class Described:
    """A table or view as the metastore has it; `columns` are name -> SQL type, partitions last."""

    kind: str
    serde: str | None
    partitions: tuple[str, ...]
    columns: dict[str, str]
    view_text: str | None


def pending_statements(spark: SparkSession, database: str) -> dict[str, str]:
    """Missing or older tables, then views: name -> the statement that upgrades it; raises BadInput as `migrate`."""
    existing = existing_tables(spark, database)
    statements = {}
    for table in TABLES:
        if table.name not in existing:
            statements[table.name] = created(table)
        elif missing := missing_columns(f"{database}.{table.name}", existing[table.name], table):
            columns = ", ".join(f"{name} {table.columns[name]}" for name in missing)
            statements[table.name] = f"ALTER TABLE {{database}}.{table.name} ADD COLUMNS ({columns})"
    for view in VIEWS:
        if view.name not in existing:
            statements[view.name] = f"CREATE VIEW {{database}}.{view.name} COMMENT '{view.comment}' AS {view.query}"
        elif is_older(database, existing[view.name], view):
            # Not CREATE OR REPLACE: it drops the view first, and a reader would find none.
            statements[view.name] = f"ALTER VIEW {{database}}.{view.name} AS {view.query}"
    return statements


def created(table: Table) -> str:
    """The statement that creates a table; it is EXTERNAL, so that no statement on it deletes files."""
    keys = ", ".join(f"{column} string" for column in table.partitions)
    return (
        f"CREATE EXTERNAL TABLE {{database}}.{table.name} ({table.ddl}) COMMENT '{table.comment}' "
        + (f"PARTITIONED BY ({keys}) " if keys else "")
        + f"STORED AS PARQUET LOCATION '{{root}}/empty/{table.name}'"
    )


def missing_columns(name: str, described: Described, table: Table) -> list[str]:
    """The columns that an older table lacks; raises BadInput for a foreign or newer table."""
    if (described.kind, described.serde, described.partitions) != ("EXTERNAL", PARQUET, table.partitions):
        raise BadInput(
            f"table {name} is {described.kind}, partitioned by {', '.join(described.partitions) or 'nothing'}, of "
            f"{described.serde or 'no files'}; expected EXTERNAL, "
            f"{', '.join(table.partitions) or 'nothing'}, {PARQUET}; {CURE}"
        )
    expected = table.columns | dict.fromkeys(table.partitions, "string")
    actual = described.columns
    missing = [column for column in table.columns if column not in actual]
    unknown = [column for column in actual if column not in expected]
    if any(actual[column] != expected[column] for column in actual if column in expected) or (missing and unknown):
        wrong = [
            f"{column} is {actual.get(column, 'missing')}, expected {expected.get(column, 'no such column')}"
            for column in expected | actual
            if actual.get(column) != expected.get(column)
        ]
        raise BadInput(f"table {name} has other columns: {'; '.join(wrong)}; {CURE}")
    if unknown:
        raise BadInput(
            f"table {name} was made by a newer version of this project, with {', '.join(unknown)}: "
            "update this one, or choose another --database"
        )
    return missing


def is_older(database: str, described: Described, view: View) -> bool:
    """Whether the view has another query; raises BadInput for an object that is not a view."""
    if described.kind != "VIEW":
        raise BadInput(f"{database}.{view.name} is {described.kind}, expected a view; {CURE}")
    return described.view_text != view.query.format(database=database)


def existing_tables(spark: SparkSession, database: str) -> dict[str, Described]:
    """Tables and views of this project in the metastore, by name; none in a database that does not exist.

    One call of the catalog answers for all, as each job starts with this. DESCRIBE is a query a table: twenty times the
    time.
    """
    jvm: Any = spark._jvm
    catalog = spark._jsparkSession.sharedState().externalCatalog()
    if not catalog.databaseExists(database):
        return {}
    names = jvm.org.apache.spark.api.python.PythonUtils.toSeq([thing.name for thing in (*TABLES, *VIEWS)])
    answers = catalog.getTablesByName(database, names).iterator()
    tables = {}
    while answers.hasNext():
        answer = answers.next()
        tables[str(answer.identifier().table())] = described(answer)
    return tables


def described(answer: Any) -> Described:
    """A table of Spark's catalog (CatalogTable), as far as it is ours to know."""
    serde, text = answer.storage().serde(), answer.viewText()
    return Described(
        str(answer.tableType().name()),
        str(serde.get()) if serde.isDefined() else None,
        tuple(str(answer.partitionColumnNames().mkString(",")).split(","))
        if answer.partitionColumnNames().nonEmpty()
        else (),
        {
            field.name: field.dataType.simpleString()
            for field in StructType.fromJson(json.loads(answer.schema().json()))
        },
        str(text.get()) if text.isDefined() else None,
    )
