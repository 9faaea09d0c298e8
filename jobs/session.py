"""The Spark session of a job; its settings come from spark_conf/ through spark-submit."""

from pyspark.sql import SparkSession


def spark_session(name: str) -> SparkSession:
    """Start (or get) the session, with tables in the Hive metastore."""
    return SparkSession.builder.appName(name).enableHiveSupport().getOrCreate()
