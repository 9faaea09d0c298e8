"""Train a teacher: from labelled texts to versions of the teacher and the anchor points of its route."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distill.data.dataset import Examples
from distill.data.labelled import TextRows, read_snapshot
from distill.data.snapshot import Snapshot
from distill.evaluation.evaluation import evaluate
from distill.models.architecture import Precision
from distill.models.bert import Bert, Tokenizer, from_bundle, from_pretrained, to_bundle
from distill.models.precision import precision_of
from distill.models.registry import Registry
from distill.models.versions import anchor_name
from distill.scoring.logits import BertTeacher
from distill.scoring.scorer import probability
from distill.training.checkpoint import Checkpoints
from distill.training.config import Encoder, TrainingConfig, TrainingTask, WarmStart
from distill.training.learner import Learner
from distill.training.lineage import lineage as lineage_of
from distill.training.loop import fit
from distill.training.ranks import ProcessGroup
from distill.training.scheme_table import BERT
from distill.training.schemes import HardLabel

VIEW = "teacher"


def train_on_rank(
    ranks: ProcessGroup,
    snapshot: Snapshot,
    task: TrainingTask,
    start: Encoder | WarmStart,
    registry: str,
    version: str,
) -> dict[str, Any] | None:
    """Train a teacher on one rank, from the Parquet snapshot on, from an encoder or from a teacher of the registry.

    Rank 0 saves the bundle as `version`, and each anchor point of the route as `version` with `-step-N`; it returns the
    manifest, the others None.
    """
    config = task.config
    torch.set_num_threads(task.threads)
    torch.manual_seed(config.seed)
    train, valid, test = read_snapshot(snapshot)
    model, tokenizer = begin_from(start, registry, precision_of(config.precision, ranks.device))
    teacher = Learner(VIEW, model, config, ranks)
    scheme = HardLabel(teacher, config, class_weight(train, config).to(ranks.device))
    seen, unseen = examples(train, tokenizer), examples(valid, tokenizer)
    curve = fit(scheme, [teacher], seen, unseen, config, ranks, task.outputs)
    if ranks.rank:
        return None
    trained = replace(config, precision=model.precision)
    lineage = {**origin(start), **lineage_of({**task.lineage, "scheme": BERT}, trained, ranks, curve)}
    reached = evaluate(lambda texts: scores(model, tokenizer, texts, ranks.device), valid, test, task.target_precision)
    models = Registry(registry)
    bundle = to_bundle(model, tokenizer, {"lineage": lineage, **reached})
    for step, tensors in Checkpoints(task.outputs.checkpoints, config, ranks).route().items():
        if anchor_name(version, step) not in models.versions():  # an earlier run may have saved it
            model.load_state_dict(tensors)
            anchor = to_bundle(model, tokenizer, {"lineage": {**lineage, "route_of": version, "step": step}})
            models.add(anchor_name(version, step), anchor.tensors, anchor.files, anchor.manifest)
    models.add(version, bundle.tensors, bundle.files, bundle.manifest)
    return bundle.manifest


def begin_from(start: Encoder | WarmStart, registry: str, precision: Precision) -> tuple[Bert, Tokenizer]:
    """The teacher that a training begins with, on every rank alike but for the random head of an encoder."""
    if isinstance(start, WarmStart):
        return from_bundle(Registry(registry).load(start.version).bundle, precision)
    return from_pretrained(start.init, start.max_length, precision, start.layers)


def origin(start: Encoder | WarmStart) -> dict[str, str]:
    """The fact of the lineage that says what a teacher began from."""
    return {"warm_start": start.version} if isinstance(start, WarmStart) else {"init": start.init}


def examples(rows: TextRows, tokenizer: Tokenizer) -> Examples:
    """A split as the teacher sees it; texts of a batch are of similar length."""
    view = tokenizer.encode(rows.texts)
    return Examples.of(rows, {VIEW: view}, view.lengths)


def class_weight(rows: TextRows, config: TrainingConfig) -> torch.Tensor:
    """Weights of both labels, float32 (2,): ones, or balanced with an average of 1 per row."""
    if config.class_weight == "none":
        return torch.ones(2)
    return torch.from_numpy(len(rows.labels) / (2 * np.bincount(rows.labels, minlength=2))).float()


def scores(model: Bert, tokenizer: Tokenizer, texts: list[str], device: torch.device) -> npt.NDArray[np.float32]:
    """Probabilities of a valid complaint, float32 (texts,)."""
    return probability(BertTeacher(model, tokenizer, device).logits(texts))
