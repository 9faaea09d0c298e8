"""The Spark jobs: one file a job, run with spark-submit."""
