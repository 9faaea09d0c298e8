"""The Hive warehouse: tables, migrations, files, publishing, the Spark session and what it ships to executors."""
