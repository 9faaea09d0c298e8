"""The Spark session of a job; all its settings come from spark_conf/."""

from pyspark.sql import SparkSession

from distill.errors import Infrastructure


def spark_session(name: str) -> SparkSession:
    """Start (or get) the session of spark-submit's settings, with Hive tables.

    Raises Infrastructure when Spark was started without the settings of spark_conf/.
    """
    spark = SparkSession.builder.appName(name).enableHiveSupport().getOrCreate()
    if spark.conf.get("spark.sql.session.timeZone") is None or spark.conf.get(
        "spark.sql.catalogImplementation"
    ) != "hive":
        raise Infrastructure("Spark has no Hive catalog; pass --properties-file spark_conf/local/spark-defaults.conf")
    return spark
