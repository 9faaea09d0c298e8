"""The rows of a grid's report for machines."""

from collections.abc import Mapping
from typing import Any

COSTS = ("wall_s", "cpu_s", "total_cpu_s")


def json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the JSON."""
    teacher = {
        "version": row["teacher_version"],
        "auc": row["teacher_auc"],
        "recall_at_95_precision": row["teacher_recall"],
    }
    return {
        "scheme": row["scheme"],
        "label": row["label"],
        "options": row["flags"],
        "seed": row["seed"],
        "labels_hash": row["labels_hash"],
        "student": {
            "version": row["model_version"],
            "auc": row["auc"],
            "recall_at_95_precision": row["recall"],
            "precision": row["precision"],
        },
        "teacher": teacher if row["teacher_version"] else None,
        "coverage": row["coverage"],
        "churn": row["churn"],
        "negative_flips": row["negative_flips"],
        "phase": row["phase"] or "final",
        "valid": {"auc": row["valid_auc"], "recall_at_95_precision": row["valid_recall"]},
        **{column: row[column] for column in COSTS},
    }
