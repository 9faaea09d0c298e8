"""Joint training of a teacher and a student: schemes 2, 3 and 4, from the snapshot to two bundles."""

import torch

from distill.data.dataset import Examples, View
from distill.data.labelled import TextRows, read_snapshot
from distill.data.snapshot import Snapshot
from distill.evaluation.evaluation import evaluate
from distill.models.bert import to_bundle
from distill.models.bundle import Bundle
from distill.models.precision import precision_of
from distill.training import student as students
from distill.training import teacher as teachers
from distill.training.config import Encoder, TrainingConfig, TrainingTask, WarmStart
from distill.training.joint_schemes import JOINT
from distill.training.learner import Learner
from distill.training.lineage import lineage as lineage_of
from distill.training.loop import fit
from distill.training.ranks import ProcessGroup
from distill.training.student import Student


def train_on_rank(
    ranks: ProcessGroup,
    snapshot: Snapshot,
    task: TrainingTask,
    scheme: str,
    start: Encoder | WarmStart,
    registry: str,
    teacher_config: TrainingConfig,
) -> tuple[Bundle, Bundle] | None:
    """Train both on one rank, the teacher from an encoder or from a version of the registry.

    Rank 0 returns the bundles of student and teacher, not yet saved.

    Batch, epochs and seed of both come from the task's config; `teacher_config` has the teacher's learning rate, weight
    decay, clipping, average and precision.
    """
    config = task.config
    torch.set_num_threads(task.threads)
    train, valid, test = splits = read_snapshot(snapshot)
    student = Student(train.texts, config)
    model, tokenizer = teachers.begin_from(start, registry, precision_of(teacher_config.precision, ranks.device))

    def examples(rows: TextRows) -> Examples:
        view = tokenizer.encode(rows.texts)
        views: dict[str, View] = {students.VIEW: student.view(rows.texts), teachers.VIEW: view}
        return Examples.of(rows, views, view.lengths)

    pupil = Learner(students.VIEW, student.model, config, ranks)
    teacher = Learner(teachers.VIEW, model, teacher_config, ranks)
    both = JOINT[scheme](teacher, pupil, config)
    curve = fit(both, [pupil, teacher], examples(train), examples(valid), config, ranks, task.outputs)
    if ranks.rank:
        return None
    lineage = {**teachers.origin(start), **lineage_of({**task.lineage, "scheme": scheme}, config, ranks, curve)}
    target = task.target_precision
    sections = evaluate(lambda texts: teachers.scores(model, tokenizer, texts, ranks.device), valid, test, target)
    return student.bundle(lineage, splits, target), to_bundle(model, tokenizer, {"lineage": lineage, **sections})
