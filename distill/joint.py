"""A teacher and a student that train together: schemes 2, 3 and 4 from the snapshot to two bundles."""

from collections.abc import Mapping
from typing import Any

import torch

from distill import student as students
from distill import teacher as teachers
from distill.bert import from_pretrained, to_bundle
from distill.bundle import Bundle
from distill.dataset import Examples, Labelled, View, read_snapshot
from distill.evaluation import evaluate
from distill.learner import Learner
from distill.lineage import lineage as lineage_of
from distill.plan import Plan
from distill.ranks import Ranks
from distill.schemes import JOINT
from distill.student import Student
from distill.training import fit


def train_on_rank(
    ranks: Ranks,
    snapshot: str,
    init: str,
    max_length: int,
    layers: int | None,
    plan: Plan,
    teacher_plan: Plan,
    target: float,
    lineage: Mapping[str, Any],
    threads: int,
    checkpoints: str | None = None,
    board: str | None = None,
) -> tuple[Bundle, Bundle] | None:
    """What one rank of a joint training does; rank 0 returns the bundles of student and teacher, not yet saved.

    The batch, the epochs and the seed of both are those of `plan`; of `teacher_plan` are the teacher's learning rate,
    weight decay, clipping, average and precision.
    """
    torch.set_num_threads(threads)
    train, valid, test = splits = read_snapshot(snapshot, lineage)
    student = Student(train.texts, plan)
    encoder, tokenizer = from_pretrained(init, max_length, teacher_plan.precision, layers)

    def examples(rows: Labelled) -> Examples:
        view = tokenizer.encode(rows.texts)
        views: dict[str, View] = {students.VIEW: student.view(rows.texts), teachers.VIEW: view}
        return Examples(torch.from_numpy(rows.labels), views, torch.from_numpy(rows.logits), view.lengths)

    pupil = Learner(students.VIEW, student.model, plan, ranks)
    teacher = Learner(teachers.VIEW, encoder, teacher_plan, ranks)
    scheme = JOINT[lineage["scheme"]](teacher, pupil, plan)
    curve = fit(scheme, [pupil, teacher], examples(train), examples(valid), plan, ranks, checkpoints, board)
    if ranks.rank:
        return None
    made = {"init": init, **lineage_of(lineage, plan, ranks, curve)}
    said = evaluate(lambda texts: teachers.scores(encoder, tokenizer, texts, ranks.device), valid, test, target)
    return student.bundle(made, splits, target), to_bundle(encoder, tokenizer, {"lineage": made, **said})
