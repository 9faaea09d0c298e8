"""The rows that every peer learns and is judged by: labels, a teacher's stored logits, days of the stream."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from nights import read_oracle, read_texts
from scorer import read as raw_texts
from second_reader_days import Numbers, stored_logits

from distill.data.labelled import NO_LABEL, Splits, TextRows, concat
from distill.text.normalisation import text_hash, unscorable_reason
from distill.text.text_batch import normalise_batch
from distill.training.config import TrainingConfig

SPLITS = ("train", "valid", "test")
TRANSFER = tuple(f"2026-11-{day:02}" for day in range(9, 15))
JUDGED = tuple(f"2026-11-{day:02}" for day in range(15, 20))  # none of their texts is learned
TIMED = 20_000  # raw texts of the judged days
PART = 10  # --part keeps every tenth row that is learned


@dataclass(frozen=True)
class Data:
    """The rows that a peer learns, and those that judge it.

    splits: train with the transfer set. stream: the rows of the judged days that the oracle knows. timed: raw texts.
    """

    splits: Splits
    stream: TextRows
    timed: list[str]


def read_data(args: argparse.Namespace) -> Data:
    """The rows; args: labelled, teacher, stream and oracle are their files, part asks for a tenth of those to learn."""
    train, valid, test = read_splits(args)
    train = concat(train, transfer_set(args, {*train.texts, *valid.texts, *test.texts}))
    if args.part:
        train = every(train, PART)
    days = [args.stream / f"dt={dt}.jsonl.gz" for dt in JUDGED]
    timed = [text for day in days for text in raw_texts(day)][:TIMED]
    return Data(Splits(train, valid, test), judged_rows(args), timed)


def read_splits(args: argparse.Namespace) -> list[TextRows]:
    """Labelled texts, each once, as `load_labels` stores them: the last split has it, and none if its labels differ."""
    split_of: dict[str, str] = {}
    labels: dict[str, set[int]] = {}
    for split in SPLITS:
        with open(args.labelled / f"{split}.csv", encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        for row, text in zip(rows, normalise_batch([row["text"] for row in rows]), strict=True):
            if unscorable_reason(text) is None:
                split_of[text] = split
                labels.setdefault(text, set()).add(int(row["label"]))
    logits = stored_logits(args.teacher / "logits" / "labelled.parquet")
    known = [(text, *found) for text, found in labels.items() if len(found) == 1]
    return [rows_of({text: label for text, label in known if split_of[text] == split}, logits) for split in SPLITS]


def transfer_set(args: argparse.Namespace, known: set[str], days: Sequence[str] = TRANSFER) -> TextRows:
    """The texts of the days, each once, without those that carry a label or have no logits."""
    labels: dict[str, int] = {}
    logits: dict[str, Numbers] = {}
    for dt in days:
        labels |= dict.fromkeys(read_texts(args.stream / f"dt={dt}.jsonl.gz").values(), NO_LABEL)
        logits |= stored_logits(args.teacher / "logits" / f"{dt}.parquet")
    fresh = {text: label for text, label in labels.items() if text not in known and text_hash(text) in logits}
    return rows_of(fresh, logits)


def judged_rows(args: argparse.Namespace, days: Sequence[str] = JUDGED) -> TextRows:
    """The rows of the days that the oracle knows, day after day; a text may come often."""
    oracle, texts, labels = read_oracle(args.oracle), [], []
    logits: dict[str, Numbers] = {}
    for dt in days:
        for number, text in read_texts(args.stream / f"dt={dt}.jsonl.gz").items():
            if number in oracle[dt] and unscorable_reason(text) is None:
                texts.append(text)
                labels.append(oracle[dt][number])
        logits |= stored_logits(args.teacher / "logits" / f"{dt}.parquet")
    return replace(rows_of(dict.fromkeys(texts, 0), logits, texts), labels=np.array(labels, np.int64))


def rows_of(labels: Mapping[str, int], logits: Mapping[str, Numbers], texts: list[str] | None = None) -> TextRows:
    """Rows by text, or of the given texts, with the logits of one teacher, NaN where there are none."""
    texts = list(labels) if texts is None else texts
    missing = np.full(2, np.nan, np.float32)
    stored = np.array([logits.get(text_hash(text), missing) for text in texts], np.float32).reshape(-1, 1, 2)
    return TextRows(texts, np.array([labels[text] for text in texts], np.int64), np.array([""] * len(texts)), stored)


def every(rows: TextRows, step: int) -> TextRows:
    """Every so many rows, from the first on."""
    return TextRows(rows.texts[::step], rows.labels[::step], rows.sources[::step], rows.logits[::step])


def soft_targets(rows: TextRows, temperature: float) -> npt.NDArray[np.float64]:
    """The probabilities of a valid complaint that a model of probabilities is to learn, float64 (rows,).

    The teacher's probability at the temperature and the label are mixed by the weights of the student's loss, T^2 and
    beta_hard; a row that lacks one of them has the other.
    """
    margins = rows.logits[:, 0, 1].astype(np.float64) - rows.logits[:, 0, 0]
    soft, weight = 1 / (1 + np.exp(-margins / temperature)), temperature**2
    beta = np.where(rows.labels == NO_LABEL, 0.0, TrainingConfig.beta_hard)
    return np.where(np.isnan(soft), rows.labels, (weight * soft + beta * rows.labels) / (weight + beta))
