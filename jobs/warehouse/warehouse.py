"""The Hive database: its tables, where each partition's files are, and reading them back."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.common.home import home
from jobs.warehouse.files import Files
from jobs.warehouse.migrations import migrate
from jobs.warehouse.schema import Table

# Where the files of all tables are: any file system that Spark writes to. Set in spark_conf of a cluster.
DATA_ROOT = "spark.opinion.data"


class Warehouse:
    """One Hive database and the files behind it; opening it creates or upgrades its tables.

    Tables are EXTERNAL, and the files of their partitions are outside the tables' own, empty folders. So DROP PARTITION
    deletes no files of a run, and MSCK REPAIR restores none.
    """

    def __init__(self, spark: SparkSession, database: str):
        self.spark = spark
        self.database = database
        self.root = f"{spark.conf.get(DATA_ROOT, f'file://{home()}/data')}/{database}"
        self.files = Files(spark, self.root)
        migrate(spark, database, self.root)

    def name(self, table: Table) -> str:
        """The table's full name in SQL."""
        return f"{self.database}.{table.name}"

    def read(self, table: Table, **partition: str) -> DataFrame:
        """The rows of one partition (or of a leading part of its key), with the partition columns."""
        rows = self.spark.table(self.name(table))
        for column, value in partition.items():
            rows = rows.where(F.col(column) == value)
        return rows

    def days(self, table: Table) -> list[str]:
        """The days of a table that is partitioned by day alone, oldest first."""
        rows = self.spark.sql(f"SHOW PARTITIONS {self.name(table)}").collect()
        return sorted(row.partition.removeprefix("dt=") for row in rows)

    def location(self, table: Table, partition: dict[str, str]) -> str | None:
        """The location of a partition's files (of the table's, for an empty key); None for a missing partition."""
        # Read from the catalog: DESCRIBE would run as a query and take ten times as long.
        jvm, catalog = self.spark._jvm, self.spark._jsparkSession.sharedState().externalCatalog()
        assert jvm is not None
        if partition:
            key = jvm.org.apache.spark.api.python.PythonUtils.toScalaMap(partition)
            partition_option = catalog.getPartitionOption(self.database, table.name, key)
            if partition_option.isEmpty():
                return None
            stored = partition_option.get()
        else:
            stored = catalog.getTable(self.database, table.name)
        return str(jvm.org.apache.hadoop.fs.Path(stored.location()).toString())

    def set_location(self, table: Table, partition: dict[str, str], location: str, now: str | None) -> None:
        """Set the location of a partition's files (of the table's, for an empty key); now: the present location.

        It is one call to the metastore, so a reader sees the old files or the new ones.
        """
        name, where = self.name(table), clause(partition)
        if now is None:
            self.spark.sql(f"ALTER TABLE {name} ADD {where} LOCATION '{location}'")
        elif now != location:
            self.spark.sql(f"ALTER TABLE {name} {where} SET LOCATION '{location}'")


def clause(partition: dict[str, str]) -> str:
    """A partition key in SQL. Its values are checked days, versions and fixed words, so they need no escaping."""
    if not partition:
        return ""
    return "PARTITION (" + ", ".join(f"{column}='{value}'" for column, value in partition.items()) + ")"
