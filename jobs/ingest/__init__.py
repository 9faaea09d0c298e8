"""Input files: opinions and labels from JSON lines, CSV and Parquet."""
