"""From labelled texts to a student's bundle: vocabulary, training, threshold, and what is said about it."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distill import metrics
from distill.architecture import Architecture
from distill.bundle import VOCABULARY, Bundle
from distill.dataset import Labelled, read_labelled
from distill.plan import Plan
from distill.ranks import Ranks
from distill.schemes import HardLabel
from distill.scorer import HISTOGRAM_BINS, Scorer, probability
from distill.textcnn import TextCNN
from distill.training import Split, fit
from distill.vocabulary import Limit, Vocabulary

# Words say what a text is about; pairs of characters catch what the segmentation hides: negations, endings, misspelt
# and rare words.
LIMITS = {"word": Limit(3, 60_000), "bigram": Limit(3, 60_000)}
WIDTHS = {"word": (1, 2, 3), "bigram": (1, 2)}
EMBEDDING = 64
FILTERS = 64
PACKAGES = ("torch", "numpy", "numba", "pyspark", "pyarrow", "jieba", "safetensors")


def train_on_rank(
    ranks: Ranks,
    snapshot: str,
    plan: Plan,
    target: float,
    lineage: Mapping[str, Any],
    threads: int,
    checkpoints: str | None = None,
) -> Bundle | None:
    """What one rank of a training does, from the Parquet snapshot on; see `train_student`."""
    torch.set_num_threads(threads)
    train, valid = (read_labelled(snapshot, split) for split in ("train", "valid"))
    test = read_labelled(snapshot, "test") if "test" in lineage["rows"] else None
    if ranks.rank == 0:
        print(f"training on {len(train.labels)} texts, validating on {len(valid.labels)}", flush=True)
    return train_student(train, valid, test, plan, target, lineage, ranks, checkpoints)


def train_student(
    train: Labelled,
    valid: Labelled,
    test: Labelled | None,
    plan: Plan,
    target: float,
    lineage: Mapping[str, Any],
    ranks: Ranks,
    checkpoints: str | None = None,
) -> Bundle | None:
    """Train a hard-label student; rank 0 returns its bundle, not yet saved (its digest is empty), the others None.

    The threshold is the lowest score with precision `target` on `valid`; metrics are those of the scorer that will run
    every night, at that threshold. `lineage` is what the caller knows of the data.
    """
    torch.manual_seed(plan.seed)
    vocabulary = Vocabulary.build(train.texts, LIMITS)
    architecture = Architecture({name: vocabulary.size(name) for name in WIDTHS}, WIDTHS, EMBEDDING, FILTERS)
    student = TextCNN(architecture, plan.dropout)
    encoded_train, encoded_valid = (
        Split(vocabulary.encode_batch(rows.texts), torch.from_numpy(rows.labels)) for rows in (train, valid)
    )
    student, curve = fit(
        student,
        lambda optimizer: HardLabel(student, optimizer),
        encoded_train,
        encoded_valid,
        plan,
        ranks,
        checkpoints,
    )
    if ranks.rank:
        return None
    manifest = {
        "architecture": architecture.to_json(),
        "text": {
            "segmenter": vocabulary.segmenter.name,
            "dictionary_sha256": vocabulary.segmenter.dictionary_sha256,
            "max_chars": vocabulary.max_chars,
            "fingerprint": vocabulary.fingerprint(),
        },
        "threshold": {"value": 0.5},
        "lineage": {
            **lineage,
            "training": {**asdict(plan), "ranks": ranks.size},
            "curve": [asdict(epoch) for epoch in curve],
            "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
            "python": platform.python_version(),
        },
    }
    tensors = {name: tensor.detach().numpy().copy() for name, tensor in student.state_dict().items()}
    bundle = Bundle(manifest, tensors, {VOCABULARY: vocabulary.to_bytes()}, "")
    return with_metrics(bundle, valid, test, target)


def with_metrics(bundle: Bundle, valid: Labelled, test: Labelled | None, target: float) -> Bundle:
    """The bundle with its threshold and with what it reaches on the splits."""
    scorer = Scorer(bundle)
    scores = score_normalised(scorer, valid.texts)
    threshold = metrics.threshold_at_precision(valid.labels, scores, target)
    found = {"valid": report(valid, scores, threshold.value)}
    if test is not None:
        found["test"] = report(test, score_normalised(scorer, test.texts), threshold.value)
    histogram = np.histogram(scores, HISTOGRAM_BINS, (0, 1))[0].tolist()
    sections = {"threshold": asdict(threshold), "metrics": found, "score_histogram": histogram}
    return Bundle({**bundle.manifest, **sections}, bundle.tensors, bundle.files, "")


def score_normalised(scorer: Scorer, texts: list[str]) -> npt.NDArray[np.float32]:
    """Scores of texts that are normalised and scorable, float32 (rows,)."""
    return probability(scorer.logits(scorer.vocabulary.encode_batch(texts)))


def report(rows: Labelled, scores: npt.NDArray[np.float32], threshold: float) -> dict[str, Any]:
    """AUC, and precision and recall at the threshold, over all rows and by source."""
    return {
        "rows": len(rows.labels),
        "auc": metrics.auc(rows.labels, scores),
        **asdict(metrics.precision_recall_at(rows.labels, scores, threshold)),
        "by_source": metrics.by_group(rows.labels, scores, rows.sources, threshold),
    }
