"""The figures behind a retraining's decision: champion and challenger on the same held-out labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

from distill.data.labelled import TextRows
from distill.evaluation import metrics
from distill.evaluation.comparison import SOURCE_POSITIVES, size
from distill.models.saved_model import SavedModel
from distill.scoring.scorer import Scorer

CURVE_POINTS = 400  # enough for a plot, few enough for a file
Models = Mapping[str, SavedModel]  # "champion" (where there was one) and "challenger"


def retrain_facts(decision: Mapping[str, Any], models: Models, rows: TextRows, labels_hash: str) -> dict[str, Any]:
    """All facts of a retraining's page.

    decision: as `jobs/retrain.py` stores it. rows: the held-out labels of today; their hash shows whether they are
    those of the decision.
    """
    scorers = {role: Scorer(model.bundle) for role, model in models.items()}
    scores = {role: scorer.score_normalised(rows.texts) for role, scorer in scorers.items()}
    caught = {role: scores[role] >= scorer.threshold for role, scorer in scorers.items()}
    return {
        "decision": dict(decision),
        "rows": {
            "count": len(rows.labels),
            "complaints": int(rows.labels.sum()),
            "labels_hash": labels_hash,
            "as_decided": labels_hash == decision["held_out"]["labels_hash"],
        },
        "models": {
            role: card(model) | {"reached": reached(rows.labels, scores[role], scorers[role])}
            for role, model in models.items()
        },
        "changes": changes(rows.labels, caught["champion"], caught["challenger"]) if len(caught) > 1 else None,
        "sources": by_source(rows, caught),
    }


def reached(labels: npt.NDArray[Any], scores: npt.NDArray[np.float32], scorer: Scorer) -> dict[str, Any]:
    """AUC, precision and recall at the model's own threshold, and the curve, thinned for a plot."""
    at = metrics.precision_recall_at(labels, scores, float(scorer.threshold))
    precision, recall, _ = precision_recall_curve(labels, scores)
    thinned = np.unique(np.linspace(0, len(recall) - 1, CURVE_POINTS).astype(int))
    return {
        "auc": metrics.auc(labels, scores),
        "precision": at.precision,
        "recall": at.recall,
        "precision_bounds": [at.precision_lower, at.precision_upper],
        "recall_bounds": [at.recall_lower, at.recall_upper],
        "curve": {"recall": recall[thinned].tolist(), "precision": precision[thinned].tolist()},
    }


def changes(
    labels: npt.NDArray[Any], old: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_]
) -> dict[str, int | float | None]:
    """How the decisions of two models differ, over complaints and over all rows."""
    complaints = labels == 1
    return {
        "coverage": metrics.coverage(labels, old, new),
        "churn": metrics.churn(old, new),
        "negative_flips": metrics.negative_flips(labels, old, new),
        "both": int((complaints & old & new).sum()),
        "champion_only": int((complaints & old & ~new).sum()),
        "challenger_only": int((complaints & ~old & new).sum()),
        "neither": int((complaints & ~old & ~new).sum()),
        "false_champion": int((~complaints & old).sum()),
        "false_challenger": int((~complaints & new).sum()),
    }


def by_source(rows: TextRows, caught: Mapping[str, npt.NDArray[np.bool_]]) -> list[dict[str, Any]]:
    """Recall by source and model, the source with most complaints first. judged: it has enough complaints."""
    recalls = []
    for source in np.unique(rows.sources):
        here = (rows.sources == source) & (rows.labels == 1)
        if count := int(here.sum()):
            recall = {role: float(decided[here].mean()) for role, decided in caught.items()}
            enough = count >= SOURCE_POSITIVES
            recalls.append({"source": str(source), "complaints": count, "recall": recall, "judged": enough})
    return sorted(recalls, key=lambda one: (-one["complaints"], one["source"]))


def card(model: SavedModel) -> dict[str, Any]:
    """A model's architecture and lineage from its manifest."""
    manifest = model.bundle.manifest
    lineage, threshold = manifest.get("lineage", {}), manifest["threshold"]
    training, transfer = lineage.get("training", {}), lineage.get("transfer") or {}
    return {
        "version": model.version,
        "digest": model.bundle.digest,
        "bytes": size(model.bundle),
        "scheme": lineage.get("scheme"),
        "teachers": [teacher["version"] for teacher in lineage.get("teachers", [])],
        "data_hash": lineage.get("data_hash"),
        "rows": lineage.get("rows", {}),
        "transfer": {"days": transfer.get("days", []), "rows": transfer.get("rows")},
        "seed": training.get("seed"),
        "epochs": len(lineage.get("curve", [])),
        "training": training,
        "threshold": threshold["value"],
        "target_precision": threshold.get("target_precision"),
        "metrics": {
            split: {name: metrics.get(name) for name in ("rows", "auc", "precision", "recall")}
            for split, metrics in manifest.get("metrics", {}).items()
        },
        "git_commit": lineage.get("git_commit"),
        "python": lineage.get("python"),
        "packages": lineage.get("packages", {}),
    }
