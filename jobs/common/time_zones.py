"""Times for display, and rows of tables whose times carry their zone.

PySpark turns a timestamp into a naive datetime in the host's zone. On a host in UTC it prints eight hours off. On a
host with summer time, writing it back moves one hour of the year. So `collect` and `first` replace DataFrame's own
wherever a row has a time. Spark writes an aware datetime back unchanged.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from distill.errors import BadInput

if TYPE_CHECKING:  # the registry's commands read no table and should not load Spark
    from pyspark.sql import DataFrame, Row, SparkSession

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEIJING = ZoneInfo("Asia/Shanghai")
WHEN = f"WHEN ({BEIJING.key})"  # heads a column of `shown` times


def session_zone(spark: SparkSession) -> ZoneInfo:
    """The zone of times without an offset; raises BadInput for a name that only Spark knows, such as GMT+8."""
    name = str(spark.conf.get("spark.sql.session.timeZone"))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError) as e:
        raise BadInput(f"spark.sql.session.timeZone is {name!r}; write it as a place, such as Asia/Shanghai") from e


def collect(rows: DataFrame) -> list[Row]:
    """All rows, their timestamps as aware datetimes in the session's zone."""
    from pyspark.sql import Row
    from pyspark.sql import functions as F
    from pyspark.sql.types import TimestampType

    names = [field.name for field in rows.schema if isinstance(field.dataType, TimestampType)]
    if not names:
        return rows.collect()
    zone = session_zone(rows.sparkSession)

    def aware(micros: int | None) -> datetime | None:
        return None if micros is None else (EPOCH + timedelta(microseconds=micros)).astimezone(zone)

    collected = rows.withColumns({name: F.unix_micros(name) for name in names}).collect()
    return [Row(**{**row.asDict(), **{name: aware(row[name]) for name in names}}) for row in collected]


def first(rows: DataFrame) -> Row | None:
    """The first row, as `collect` returns it; None for no rows."""
    collected = collect(rows.limit(1))
    return collected[0] if collected else None


def shown(moment: str) -> str:
    """An ISO 8601 time as Beijing's date and time to the second; without an offset it is taken as UTC."""
    time = datetime.fromisoformat(moment)
    return f"{(time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
