"""The Spark session of a job; its settings come from spark_conf/ through spark-submit."""

from pyspark.sql import SparkSession

from jobs.warehouse.shipping import ship_code


def spark_session(name: str) -> SparkSession:
    """Start (or get) the session, with Hive tables and this code on its executors."""
    spark = SparkSession.builder.appName(name).enableHiveSupport().getOrCreate()
    ship_code(spark)
    return spark
