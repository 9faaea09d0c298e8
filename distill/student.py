"""From labelled texts to a student's bundle: vocabulary, training, threshold, and what is said about it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distill.architecture import Architecture
from distill.bundle import VOCABULARY, Bundle
from distill.dataset import Examples, Labelled, read, read_labelled, together
from distill.evaluation import evaluate
from distill.learner import Learner
from distill.lineage import lineage as lineage_of
from distill.plan import Plan
from distill.ranks import Ranks
from distill.schemes import SCHEMES
from distill.scorer import Scorer, probability
from distill.textcnn import Encodings, TextCNN
from distill.training import fit
from distill.vocabulary import Limit, Vocabulary

# Words say what a text is about; pairs of characters catch what the segmentation hides: negations, endings, misspelt
# and rare words.
LIMITS = {"word": Limit(3, 60_000), "bigram": Limit(3, 60_000)}
WIDTHS = {"word": (1, 2, 3), "bigram": (1, 2)}
EMBEDDING = 64
FILTERS = 64


def train_on_rank(
    ranks: Ranks,
    snapshot: str,
    plan: Plan,
    target: float,
    lineage: Mapping[str, Any],
    threads: int,
    checkpoints: str | None = None,
    board: str | None = None,
) -> Bundle | None:
    """What one rank of a training does, from the Parquet snapshot on; see `train_student`."""
    torch.set_num_threads(threads)
    train, valid = (read_labelled(f"{snapshot}/labels", split) for split in ("train", "valid"))
    test = read_labelled(f"{snapshot}/labels", "test") if "test" in lineage["rows"] else None
    if "transfer" in lineage:
        train = together(train, read(f"{snapshot}/transfer"))
    if ranks.rank == 0:
        print(f"training on {len(train.labels)} texts, validating on {len(valid.labels)}", flush=True)
    return train_student(train, valid, test, plan, target, lineage, ranks, checkpoints, board)


def train_student(
    train: Labelled,
    valid: Labelled,
    test: Labelled | None,
    plan: Plan,
    target: float,
    lineage: Mapping[str, Any],
    ranks: Ranks,
    checkpoints: str | None = None,
    board: str | None = None,
) -> Bundle | None:
    """Train a student by the scheme of its lineage.

    Rank 0 returns its bundle, not yet saved (its digest is empty), the others None.

    The threshold is the lowest score with precision `target` on `valid`; metrics are those of the scorer that will run
    every night, at that threshold. `lineage` is what the caller knows of the data.
    """
    torch.manual_seed(plan.seed)
    vocabulary = Vocabulary.build(train.texts, LIMITS)
    architecture = Architecture({name: vocabulary.size(name) for name in WIDTHS}, WIDTHS, EMBEDDING, FILTERS)
    student = Learner("student", TextCNN(architecture, plan.dropout), plan, ranks)
    encoded_train, encoded_valid = (
        Examples(
            torch.from_numpy(rows.labels),
            {"student": Encodings(vocabulary.encode_batch(rows.texts), architecture)},
            torch.from_numpy(rows.logits),
        )
        for rows in (train, valid)
    )
    scheme = SCHEMES[lineage["scheme"]](student, plan)
    curve = fit(scheme, [student], encoded_train, encoded_valid, plan, ranks, checkpoints, board)
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
        "lineage": lineage_of(lineage, plan, ranks, curve),
    }
    tensors = {name: tensor.detach().cpu().numpy().copy() for name, tensor in student.model.state_dict().items()}
    bundle = Bundle(manifest, tensors, {VOCABULARY: vocabulary.to_bytes()}, "")
    scorer = Scorer(bundle)
    reached = evaluate(lambda texts: score_normalised(scorer, texts), valid, test, target)
    return replace(bundle, manifest={**manifest, **reached})


def score_normalised(scorer: Scorer, texts: list[str]) -> npt.NDArray[np.float32]:
    """Scores of texts that are normalised and scorable, float32 (rows,)."""
    return probability(scorer.logits(scorer.vocabulary.encode_batch(texts)))
