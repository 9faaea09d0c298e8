"""Train a student: build the vocabulary, train, pick the threshold, write the bundle and its manifest."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distill.data.dataset import Examples
from distill.data.labelled import NO_LABEL, Splits, TextRows, read_snapshot
from distill.data.snapshot import Snapshot
from distill.evaluation.evaluation import evaluate
from distill.models.architecture import Architecture
from distill.models.bundle import VOCABULARY, Bundle
from distill.models.registry import Registry
from distill.models.textcnn import Encodings, TextCNN
from distill.scoring.drift import Profile, length_bins, profile
from distill.scoring.scorer import Scorer, probability
from distill.text.vocabulary import Limit, Vocabulary
from distill.training.config import Outputs, TrainingConfig, TrainingTask
from distill.training.learner import Learner
from distill.training.lineage import lineage as lineage_of
from distill.training.loop import fit
from distill.training.ranks import ProcessGroup
from distill.training.schemes import STORED

# Words carry the topic; pairs of characters catch what segmentation hides: negations, endings, misspelt and rare words.
LIMITS = {"word": Limit(3, 60_000), "bigram": Limit(3, 60_000)}
WIDTHS = {"word": (1, 2, 3), "bigram": (1, 2)}
# Phrases to remember one by one.
WIDE = {"trigram": Limit(3, 300_000), "fourgram": Limit(3, 300_000)}
EMBEDDING = 64
FILTERS = 64
AVERAGE = 64  # units of the averaging part

VIEW = "student"


class Student:
    """A textCNN in training, and its vocabulary."""

    def __init__(self, texts: list[str], config: TrainingConfig):
        """Build the vocabulary from the normalised texts, and random weights."""
        torch.manual_seed(config.seed)
        self.vocabulary = Vocabulary.build(texts, LIMITS | WIDE)
        ids = {name: self.vocabulary.size(name) for name in WIDTHS}
        wide = {name: self.vocabulary.size(name) for name in WIDE}
        self.architecture = Architecture(ids, WIDTHS, EMBEDDING, FILTERS, wide, AVERAGE)
        self.model = TextCNN(self.architecture, config.dropout)

    def view(self, texts: list[str]) -> Encodings:
        """Normalised texts, encoded for the network."""
        return Encodings(self.vocabulary.encode_batch(texts), self.architecture)

    def bundle(self, lineage: Mapping[str, Any], splits: Splits, target: float) -> Bundle:
        """The bundle, not yet saved: its digest is empty.

        The threshold is the lowest score with precision `target` on `valid`; the metrics are those of the nightly
        scorer at that threshold. The profile, which days are compared with, comes from the transfer set, or from
        `valid` without one.
        """
        manifest = {
            "architecture": self.architecture.to_json(),
            "text": {
                "segmenter": self.vocabulary.segmenter.name,
                "dictionary_sha256": self.vocabulary.segmenter.dictionary_sha256,
                "max_chars": self.vocabulary.max_chars,
                "fingerprint": self.vocabulary.fingerprint(),
            },
            "threshold": {"value": 0.5},
            "lineage": lineage,
        }
        tensors = {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.model.state_dict().items()}
        bundle = Bundle(manifest, tensors, {VOCABULARY: self.vocabulary.to_bytes()}, "")
        scorer = Scorer(bundle)
        reached = evaluate(scorer.score_normalised, splits.valid, splits.test, target)
        stream = splits.train.labels == NO_LABEL
        days = profile_of(scorer, splits.train, stream) if stream.any() else profile_of(scorer, splits.valid)
        return replace(bundle, manifest={**manifest, **reached, "profile": days.to_json()})


@dataclass(frozen=True)
class TeacherFeatureSpec:
    """The features that a student takes from a BERT of the registry: first embeddings, a hint, or both.

    cache: a folder for features of tokens, kept from training to training. hint_layer: -1 is the last, None for no
    hint. hint_epochs: of stage 1.
    """

    registry: str
    teacher: str
    cache: str
    embeddings: bool = False
    hint_layer: int | None = None
    hint_epochs: int = 1


def train_on_rank(
    ranks: ProcessGroup, snapshot: Snapshot, task: TrainingTask, scheme: str, features: TeacherFeatureSpec | None = None
) -> Bundle | None:
    """Train on one rank, from the Parquet snapshot on; see `train_student`."""
    torch.set_num_threads(task.threads)
    return train_student(ranks, read_snapshot(snapshot), task, scheme, features)


def train_student(
    ranks: ProcessGroup, splits: Splits, task: TrainingTask, scheme: str, features: TeacherFeatureSpec | None = None
) -> Bundle | None:
    """Train a student by a scheme with stored logits of its teachers, if any.

    Rank 0 returns its bundle, not yet saved, the others None.
    """
    config = task.config
    student = Student(splits.train.texts, config)
    seen, unseen = (Examples.of(rows, {VIEW: student.view(rows.texts)}) for rows in (splits.train, splits.valid))
    cpu = time.process_time()
    if features:
        learn_teacher_features(ranks, student, (seen, unseen), (splits.train.texts, splits.valid.texts), task, features)
    cpu = ranks.total(time.process_time() - cpu, "CPU seconds of features")
    learner = Learner(VIEW, student.model, config, ranks)
    curve = fit(STORED[scheme](learner, config), [learner], seen, unseen, config, ranks, task.outputs)
    if ranks.rank:
        return None
    lineage = lineage_of({**task.lineage, "scheme": scheme}, config, ranks, curve)
    if features:
        lineage["teacher_features"] = {
            name: value for name, value in asdict(features).items() if name not in ("registry", "cache")
        } | {"cpu_seconds": cpu}
    return student.bundle(lineage, splits, task.target_precision)


def learn_teacher_features(
    ranks: ProcessGroup,
    student: Student,
    examples: tuple[Examples, Examples],
    texts: tuple[list[str], list[str]],
    task: TrainingTask,
    features: TeacherFeatureSpec,
) -> None:
    """Run the steps before the scheme: first embeddings, and stage 1 of a hint on the texts of both splits."""
    from distill.models.bert import from_bundle
    from distill.training import hint  # late: they need transformers, which other students do not
    from distill.training.embeddings import start_embeddings
    from distill.training.teacher_features import layer_of

    saved = Registry(features.registry).load(features.teacher)
    model, tokenizer = from_bundle(saved.bundle, "float32")
    folder = Path(task.outputs.checkpoints) / "teacher_features" if task.outputs.checkpoints else None

    def cache(name: str) -> Path | None:
        return folder / f"{name}.safetensors" if folder else None

    if features.embeddings:
        known = Path(features.cache, f"{saved.bundle.digest[:16]}.safetensors")
        start_embeddings(student.model, student.vocabulary, model, tokenizer, ranks, known)
    if features.hint_layer is None:
        return

    def hinted(rows: Examples, split_texts: list[str], name: str) -> Examples:
        layer = layer_of(model, tokenizer, split_texts, features.hint_layer or 0, ranks, cache(name))
        return replace(rows, views={**rows.views, hint.VIEW: layer})

    first = replace(task.config, epochs=features.hint_epochs, patience=features.hint_epochs, schedule=())
    regressed = Learner(VIEW, hint.HintRegressor(student.model, model.encoder.config.hidden_size), first, ranks)
    seen, unseen = hinted(examples[0], texts[0], "train"), hinted(examples[1], texts[1], "valid")
    where = Outputs(checkpoints=str(folder) if folder else None)
    fit(hint.Hint(regressed), [regressed], seen, unseen, first, ranks, where, judge=hint.judge)


def profile_of(scorer: Scorer, rows: TextRows, chosen: npt.NDArray[np.bool_] | None = None) -> Profile:
    """The profile of rows, or of the chosen ones, bool (rows,)."""
    numbers = np.arange(len(rows.texts)) if chosen is None else np.flatnonzero(chosen)
    texts = [rows.texts[i] for i in numbers]
    encoded = scorer.vocabulary.encode_batch(texts)
    lengths = length_bins(np.fromiter(map(len, texts), np.int64, len(texts)))
    return profile(probability(scorer.logits(encoded)), lengths, scorer.unknown(encoded), rows.sources[numbers])
