"""Metrics, thresholds, comparisons, and estimates from samples."""
