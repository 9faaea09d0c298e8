"""Labels of the nights' samples for a retraining, with scores of models that have not learned them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill.evaluation.out_of_fold import NightLabels, StartThreshold
from distill.models.saved_model import SavedModel
from distill.scoring.scorer import Scorer
from distill.text.normalisation import normalise, text_hash
from jobs.scoring.promise import ESTIMATE
from jobs.training.snapshot import fold_of_night, is_of_night
from jobs.warehouse.tables import LABELLED_OPINION
from jobs.warehouse.warehouse import Warehouse

COLUMNS = ["text", "text_hash", "label", "inclusion_probability", "fold", "known_at"]


def night_labels(warehouse: Warehouse) -> pd.DataFrame:
    """COLUMNS of each label from a night's sample in train; texts are normalised, known_at is in UTC."""
    rows = warehouse.read(LABELLED_OPINION).where(is_of_night() & (F.col("split") == "train"))
    rows = rows.select(
        "text",
        "label",
        "inclusion_probability",
        fold_of_night(F.col("text")).alias("fold"),
        F.unix_micros("labelled_at").alias("known_at"),
    )
    table = pd.DataFrame([row.asDict() for row in rows.collect()], columns=rows.columns)
    table["known_at"] = pd.to_datetime(table["known_at"], unit="us", utc=True)
    table["text"] = [normalise(text) for text in table["text"]]
    table["text_hash"] = [text_hash(text) for text in table["text"]]
    return table[COLUMNS].sort_values("text_hash", ignore_index=True)


def judged_by(rows: pd.DataFrame, scores: Mapping[str, float]) -> NightLabels:
    """The rows with a model's scores, which are given by text hash."""
    return NightLabels(
        rows["label"].to_numpy(np.int64),
        np.array([scores[key] for key in rows["text_hash"]], np.float32),
        1 / rows["inclusion_probability"].to_numpy(np.float64),
    )


def scores_of(scorer: Scorer, rows: pd.DataFrame) -> dict[str, float]:
    """The score of each row, by text hash."""
    scores = scorer.score_normalised(rows["text"].tolist())
    return dict(zip(rows["text_hash"], map(float, scores), strict=True))


def unlearned_by(rows: pd.DataFrame, model: SavedModel) -> pd.DataFrame:
    """The rows that were labelled after the snapshot of a model's labels; all rows when its time is unknown."""
    at = model.bundle.manifest.get("lineage", {}).get("labels_at")
    return rows[rows["known_at"] > datetime.fromisoformat(at)] if at else rows


def operating_threshold(start: StartThreshold, target: float, reader: str | None, database: str) -> dict[str, Any]:
    """The start threshold of a new champion, as the registry stores it; reader: the second reader of its nights."""
    return {
        "value": start.value,
        "source": ESTIMATE,
        "certified": False,
        "certified_precision": None,
        "target_precision": target,
        "precision": start.precision,
        "precision_lower": start.lower,
        "precision_upper": start.upper,
        "labels": start.labels,
        "labels_above": start.labels_above,
        "second_reader": reader,
        "database": database,
        "decided": datetime.now(UTC).isoformat(timespec="seconds"),
    }
