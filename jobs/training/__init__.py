"""Trainings on Spark: snapshots of labels and logits, the launch of ranks, decisions of a retraining."""
