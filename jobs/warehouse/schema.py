"""Tables, views and staged rows: columns by name and SQL type, as Hive, Spark and Arrow need them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

# Columns that have one value in a run: what stages the rows of workers adds them.
OF_A_RUN = ("model_version", "run_id")
ARROW = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "array<bigint>": pa.list_(pa.int64()),
    "map<string,bigint>": pa.map_(pa.string(), pa.int64()),
    "map<string,double>": pa.map_(pa.string(), pa.float64()),
    "map<string,struct<opinions:bigint,valid:bigint>>": pa.map_(
        pa.string(), pa.struct([("opinions", pa.int64()), ("valid", pa.int64())])
    ),
}


@dataclass(frozen=True)
class Table:
    """A Hive table: column name -> SQL type (files hold these by name), partition columns (strings; or none)."""

    name: str
    comment: str
    columns: dict[str, str]
    partitions: tuple[str, ...] = ("dt",)

    @property
    def ddl(self) -> str:
        """The columns as a schema string, without the partitions."""
        return ddl_of(self.columns)


def staged_columns(*tables: Table, **more: str) -> dict[str, str]:
    """The columns of staged rows of several tables: those of the tables, then `more`."""
    columns = {name: kind for table in tables for name, kind in table.columns.items() if name not in OF_A_RUN}
    return columns | more


def ddl_of(columns: Mapping[str, str]) -> str:
    """Columns as a schema string of Spark."""
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Columns as the schema of the Arrow batches that Spark reads by `ddl_of`."""
    return pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])


@dataclass(frozen=True)
class View:
    """A Hive view; `{database}` in its query stands for the database."""

    name: str
    comment: str
    query: str
