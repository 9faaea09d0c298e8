"""Labelled texts, altered, with the teacher's logits: a student could learn them besides the labels and the stream.

Each text is altered once, in one of three ways in turn: some of its clauses that follow one another, the first half of
its clauses with the last half of another text's, or the text without one word in seven (Tang et al. 2019,
arXiv:1903.12136, drop and exchange words likewise).
"""

import argparse
import re
from collections.abc import Iterator, Set
from pathlib import Path

import numpy as np
import torch
from peers_data import rows_of

from distill.data.labelled import NO_LABEL, TextRows
from distill.models import bundle as bundles
from distill.models.precision import precision_of
from distill.scoring.logits import teacher_of
from distill.text.normalisation import text_hash, unscorable_reason
from distill.text.segmenter import default_segmenter

SEED = 7
CLAUSE = re.compile(r"[^,.!?;~，。！？；]+[,.!?;~，。！？；]*")
KEPT = (0.3, 0.7)  # share of the clauses
LOST = 0.15  # share of the words
PART = 2000  # texts of similar length that the teacher reads at a time


def altered_texts(args: argparse.Namespace, texts: list[str], known: Set[str]) -> TextRows:
    """The altered texts that are none of the known ones, without labels; logits are kept in the home."""
    found = [text for text in dict.fromkeys(alter(texts)) if text not in known and unscorable_reason(text) is None]
    cache = args.home / "altered-logits.npy"
    if not cache.exists():
        args.home.mkdir(parents=True, exist_ok=True)
        np.save(cache, teacher_logits(args.teacher, found))
    logits = np.load(cache)
    return rows_of(
        dict.fromkeys(found, NO_LABEL), {text_hash(text): row for text, row in zip(found, logits, strict=True)}
    )


def alter(texts: list[str]) -> Iterator[str]:
    """Each text altered, where it has clauses enough."""
    rng, segmenter = np.random.default_rng(SEED), default_segmenter()
    for number, text in enumerate(texts):
        clauses = CLAUSE.findall(text)
        if number % 3 == 0 and len(clauses) > 1:
            count = max(1, round(len(clauses) * rng.uniform(*KEPT)))
            first = rng.integers(len(clauses) - count + 1)
            yield "".join(clauses[first : first + count])
        elif number % 3 == 1 and clauses:
            others = CLAUSE.findall(texts[rng.integers(len(texts))])
            yield "".join(clauses[: max(1, len(clauses) // 2)] + others[len(others) // 2 :])
        elif number % 3 == 2:
            words = segmenter.segment(text)
            yield "".join(word for word, stays in zip(words, rng.random(len(words)) >= LOST, strict=True) if stays)


def teacher_logits(teacher: Path, texts: list[str]) -> np.ndarray:
    """The teacher's logits, float32 (texts, 2), in the precision that is fastest here."""
    model = teacher_of(bundles.load(teacher / "bundle"), precision_of("auto", torch.device("cpu")))
    logits = np.empty((len(texts), 2), np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for part in np.split(order, range(PART, len(order), PART)):
        logits[part] = model.logits([texts[i] for i in part])
    return logits
