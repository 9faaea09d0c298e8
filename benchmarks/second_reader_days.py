"""Days of the stream for the benchmark of a second reader: labels of the oracle, margins of both readers, folds."""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from nights import read_texts

from distill.evaluation import metrics
from distill.evaluation.combination import ReadLabels
from distill.scoring.scorer import Scorer
from distill.scoring.second_reader import Combination, distances, rounded_margins
from distill.text.normalisation import text_hash, unscorable_reason
from distill.text.text_batch import normalise_batch

TARGET = 0.95
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Day:
    """The scorable rows of a day: labels, text hashes, margins of both readers, (rows,) each."""

    texts: list[str]
    hashes: npt.NDArray[np.str_]
    rows: ReadLabels


@dataclass(frozen=True)
class Fold:
    """A day, and what the labels of the other days give it: their rows, the threshold, the order of its texts.

    rank: (rows,), of each row's text among the different texts, the nearest to the threshold first.
    """

    day: Day
    others: ReadLabels
    threshold: float
    rank: npt.NDArray[np.int64]

    def final_margins(self, texts: int, numbers: Combination) -> Numbers:
        """The final margins when so many texts are read, (rows,)."""
        rows, read = self.day.rows, self.rank < texts
        return np.where(read, numbers.margins(rows.student, rows.reader), rows.student)


def folds_of(days: dict[str, Day]) -> list[Fold]:
    """A fold for each day."""
    folds = []
    for dt, day in days.items():
        others = concat([days[other].rows for other in days if other != dt])
        threshold = metrics.threshold_at_precision(others.labels, others.student, TARGET).value
        order = np.lexsort((day.hashes, distances(day.rows.student, threshold)))
        ranks = {key: rank for rank, key in enumerate(dict.fromkeys(day.hashes[order].tolist()))}
        folds.append(Fold(day, others, threshold, np.array([ranks[key] for key in day.hashes.tolist()])))
    return folds


def concat(parts: list[ReadLabels]) -> ReadLabels:
    """The labels of several days."""
    return ReadLabels(
        *(np.concatenate([getattr(one, name) for one in parts]) for name in ("labels", "student", "reader"))
    )


def stored_logits(path: Path) -> dict[str, Numbers]:
    """Stored logits by text hash."""
    rows = pq.read_table(path, columns=["text_hash", "logits"])
    logits = np.array(rows["logits"].combine_chunks().flatten(), np.float32).reshape(-1, 2)
    return dict(zip(rows["text_hash"].to_pylist(), logits, strict=True))


def read_labels(scorer: Scorer, texts: list[str], labels: list[int], logits: dict[str, Numbers]) -> Day:
    """Labelled texts with the margins of both readers; those without stored logits are left out."""
    known = [
        (text, key, label) for text, label in zip(texts, labels, strict=True) if (key := text_hash(text)) in logits
    ]
    kept = [text for text, _, _ in known]
    reader = rounded_margins(np.array([logits[key] for _, key, _ in known], np.float32))
    rows = ReadLabels(np.array([label for *_, label in known]), scorer.margins_normalised(kept), reader)
    return Day(kept, np.array([key for _, key, _ in known]), rows)


def read_day(args: argparse.Namespace, scorer: Scorer, dt: str, truth: dict[str, int]) -> Day:
    """The rows of a day that the oracle knows."""
    texts = read_texts(args.stream / f"dt={dt}.jsonl.gz")
    known = [(text, truth[one]) for one, text in texts.items() if one in truth and unscorable_reason(text) is None]
    logits = stored_logits(args.teacher / "logits" / f"{dt}.parquet")
    return read_labels(scorer, [text for text, _ in known], [label for _, label in known], logits)


def read_valid(args: argparse.Namespace, scorer: Scorer) -> ReadLabels:
    """The labels of valid."""
    with open(args.valid, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = dict(zip(normalise_batch([row["text"] for row in rows]), (int(row["label"]) for row in rows), strict=True))
    texts = [text for text in labels if unscorable_reason(text) is None]
    logits = stored_logits(args.teacher / "logits" / "labelled.parquet")
    return read_labels(scorer, texts, [labels[text] for text in texts], logits).rows
