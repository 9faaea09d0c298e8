"""Read Parquet files, whose columns and types may differ, as columns of text, without loss."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from multiprocessing.pool import ThreadPool
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from distill.errors import BadInput
from jobs.common.failures import known_failure
from jobs.common.file_errors import full_text, innermost_cause
from jobs.ingest.input_files import LITERAL, Input, as_path, check_columns

TIME = "published_at"  # the one field that may hold a fraction
# From this value on a float represents several whole numbers, so two ids may have become one.
LIMITS = {"float": 2.0**24, "double": 2.0**53}
NUMBERS = T.FloatType | T.DoubleType | T.DecimalType
NO_TEXT = T.ArrayType | T.MapType | T.StructType | T.VariantType | T.TimeType
FOOTER_THREADS = 8
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # the folder of rows whose partition column is null


@dataclass
class Group:
    """Files with the same columns: by field its column, or the name of a folder `name=value`."""

    columns: dict[str, T.StructField]
    folders: dict[str, str]
    uris: list[str] = field(default_factory=list)


def read_parquet(files: Input, fields: Sequence[str], needed: int) -> DataFrame:
    """The named fields as bytes: numbers as plain digits, times with their offset.

    Every file is read by its own schema; a field that it lacks is null in its rows. Raises BadInput for a file without
    the first `needed` fields, and for one with numbers that its type may have changed.
    """
    parts = []
    groups = grouped(files, fields, needed)
    for group in groups:
        # Single paths only where files differ: Spark lists a folder faster than thousands of paths.
        reader, paths = files.reader(), files.paths
        if len(groups) > 1:
            reader, paths = reader.options(**LITERAL), [unquote(uri) for uri in group.uris]
        schema = T.StructType([c for c in group.columns.values() if not isinstance(c.dataType, T.NullType)])
        rows = reader.schema(schema).parquet(*paths)
        check_numbers(rows, group)
        inside = [as_text(column).cast("binary").alias(name) for name, column in group.columns.items()]
        rows = rows.select(inside + [folder_value(folder).alias(name) for name, folder in group.folders.items()])
        parts.append(rows)
    everything = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), parts)
    return everything.select([name for name in fields if name in everything.columns])


def grouped(files: Input, fields: Sequence[str], needed: int) -> list[Group]:
    """The files by their columns, from their footers."""
    conf = files.hadoop_conf()
    with ThreadPool(FOOTER_THREADS) as pool:
        footers = pool.map(lambda uri: read_footer(files, conf, uri), files.files)
    columns: dict[str, dict[str, T.StructField]] = {}
    groups: dict[str, Group] = {}
    for uri, footer in zip(files.files, footers, strict=True):
        if footer is None:
            continue
        path, text = as_path(uri), str(footer)
        folders = folders_of(path, fields)
        key = f"{text}\n{sorted(folders)}"
        if key not in columns:
            columns[key] = columns_of(files, path, footer, fields, needed, folders)
        inside = columns[key]
        outside = {name: folder for name, folder in folders.items() if name not in inside}
        group = groups.setdefault(f"{inside} {outside}", Group(inside, outside))
        group.uris.append(uri)
    if not groups:
        raise BadInput(f"--input {files.shown} holds no row: its files are empty")
    return list(groups.values())


def read_footer(files: Input, conf: Any, uri: str) -> Any:
    """The schema in a file's footer, a Java object; None for an empty file, which Hive writes for no rows."""
    jvm: Any = files.spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(uri))
    skip = jvm.org.apache.parquet.format.converter.ParquetMetadataConverter.SKIP_ROW_GROUPS
    try:
        return (
            jvm.org.apache.parquet.hadoop.ParquetFileReader.readFooter(conf, path, skip).getFileMetaData().getSchema()
        )
    except Py4JJavaError as e:
        text = full_text(e)
        if "is not a Parquet file (length is too low: 0)" in text:
            return None
        raise (known_failure(e) or BadInput(f"--input {as_path(uri)} cannot be read: {innermost_cause(text)}")) from e


def columns_of(
    files: Input, path: str, footer: Any, fields: Sequence[str], needed: int, folders: dict[str, str]
) -> dict[str, T.StructField]:
    """The columns of a file that hold the fields, by Spark's types. Columns of other names may be of any type."""
    types = list(footer.getFields())
    names = [column.getName() for column in types]
    # Names are compared without case, as in Hive and Spark.
    lower = [name.lower() if name.lower() in fields else name for name in names]
    check_columns(path, [*lower, *(name for name in folders if name not in lower)], fields, needed)
    columns = {}
    for name in fields:
        if name in lower:
            columns[name] = spark_column(files, path, types[lower.index(name)])
    return columns


def spark_column(files: Input, path: str, column: Any) -> T.StructField:
    """A column of a Parquet schema as Spark reads it; raises BadInput for one that is not a plain value."""
    jvm: Any = files.spark._jvm
    conf = files.spark._jsparkSession.sessionState().conf()
    converter = jvm.org.apache.spark.sql.execution.datasources.parquet.ParquetToSparkSchemaConverter(conf)
    types = jvm.java.util.ArrayList()
    types.add(column)
    try:
        schema = converter.convert(jvm.org.apache.parquet.schema.MessageType("one", types)).json()
    except (PySparkException, Py4JJavaError) as e:
        name = column.getName()
        if "TIMESTAMP(NANOS" in str(e):
            raise BadInput(
                f"--input {path}: column {name}: Spark reads no nanoseconds; write its times in microseconds"
            ) from e
        raise BadInput(f"--input {path}: column {name}: {innermost_cause(full_text(e))}; make it a string") from e
    [field] = T.StructType.fromJson(json.loads(schema)).fields
    if isinstance(field.dataType, NO_TEXT):
        raise BadInput(f"--input {path}: column {field.name} is {field.dataType.simpleString()}; make it a string")
    return field


def folders_of(path: str, fields: Sequence[str]) -> dict[str, str]:
    """The fields whose values stand in folder names, as in `source=weibo/part-0.parquet`, and the names there."""
    names = [part.partition("=")[0] for part in path.split("/")[:-1] if "=" in part]
    return {name.lower(): name for name in names if name.lower() in fields}


def folder_value(name: str) -> Column:
    """The value in the innermost folder of that name, as text: it is never read as a number."""

    def decoded(
        text: Column,
    ) -> Column:  # Spark's function decodes + as a blank, which is right for forms and wrong for paths
        return F.coalesce(F.try_url_decode(F.replace(text, F.lit("+"), F.lit("%2B"))), text)

    written = decoded(F.regexp_extract("_metadata.file_path", f".*/{re.escape(name)}=([^/]*)/", 1))
    # Spark's path is an encoded URI, and Hive encodes characters that a folder's name cannot hold.
    return F.nullif(decoded(written), F.lit(NO_VALUE)).cast("binary")


def as_text(column: T.StructField) -> Column:
    """A column as text."""
    value, kind = F.col(f"`{column.name}`"), column.dataType
    if isinstance(kind, T.NullType):
        return F.lit(None)
    if isinstance(kind, T.BinaryType):
        return value
    if isinstance(kind, T.TimestampType):
        return F.date_format(value, "yyyy-MM-dd'T'HH:mm:ss.SSSSSSxxx")
    if isinstance(kind, T.FloatType | T.DoubleType):
        # Plain digits without an exponent. A larger number can only be a time, and its row is rejected.
        plain = F.coalesce(value.try_cast("decimal(38,6)").cast("string"), value.cast("string"))
        return F.when(~F.isnan(value), without_zeros(plain))
    if isinstance(kind, T.DecimalType):
        return without_zeros(value.cast("string"))
    return value.cast("string")


def without_zeros(number: Column) -> Column:
    """A number in digits without the zeros at the end of its fraction."""
    return F.regexp_replace(F.regexp_replace(number, r"(\.\d*[1-9])0+$", "$1"), r"\.0+$", "")


def check_numbers(rows: DataFrame, group: Group) -> None:
    """Raise BadInput for a column of numbers with a fraction, or with a float too large to be exact."""
    wrong = []
    for name, column in group.columns.items():
        value, kind = F.col(f"`{column.name}`"), column.dataType
        if name == TIME or not isinstance(kind, NUMBERS):
            continue
        if isinstance(kind, T.DecimalType):
            bad = value.cast("string").rlike(r"\.\d*[1-9]")
        else:
            limit = F.lit(LIMITS[kind.simpleString()])
            number = value.cast("double")
            bad = ~F.isnan(number) & ((F.abs(number) >= limit) | (F.rint(number) != number))
        shown = F.concat(F.lit(f"column {column.name} is {kind.simpleString()} and holds "), value.cast("string"))
        wrong.append(F.when(bad, shown))
    if not wrong:
        return
    first = rows.select(F.coalesce(*wrong).alias("fault"), "_metadata.file_path").where("fault is not null").first()
    if first:
        raise BadInput(
            f"--input {as_path(first.file_path)}: {first.fault}; only whole numbers that the type holds exactly are "
            "taken from it, so write the column as a string"
        )
