"""A student's training: snapshot of labels and stored logits, ranks, a version of the registry."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from distill.errors import BadInput
from distill.models.architecture import KIND
from distill.models.bundle import Bundle, load_manifest
from distill.models.registry import Registry
from distill.models.versions import anchor_name
from distill.scoring.logits import PRECISIONS, fingerprint
from distill.training import joint, student
from distill.training.config import TEACHER, TrainingTask, WarmStart
from distill.training.scheme_table import LINEAR, SCHEMES
from distill.training.student import TeacherFeatureSpec
from jobs.common.home import home, home_registry
from jobs.training.launch import launch
from jobs.training.snapshot import SnapshotSpec, StoredTeacher, write_snapshot
from jobs.training.student_flags import StudentTraining
from jobs.training.training_run import RESTARTS, Training, begin, metrics_summary
from jobs.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Distilled:
    """A student in the registry, its manifest, and that of the teacher that trained along."""

    version: str
    manifest: dict[str, Any]
    teacher_version: str | None = None
    teacher_manifest: dict[str, Any] | None = None


def distil(open_warehouse: Callable[[], Warehouse], options: StudentTraining, version: str) -> Distilled:
    """Train the version, or continue its training, and save it.

    The warehouse is opened after the teachers are found in the registry.
    """
    registry = home_registry()
    training, bundle, teacher_bundle = fit(registry, open_warehouse, options, version)
    done = Distilled(version, bundle.manifest)
    if teacher_bundle:
        name = version.replace(options.scheme, f"{options.scheme}-teacher", 1)
        registry.add(name, teacher_bundle.tensors, teacher_bundle.files, teacher_bundle.manifest)
        done = replace(done, teacher_version=name, teacher_manifest=teacher_bundle.manifest)
        print(metrics_summary(teacher_bundle.manifest), f"the teacher, saved as {name}", sep="\n")
    where = registry.add(version, bundle.tensors, bundle.files, bundle.manifest)
    training.end()
    print(metrics_summary(bundle.manifest), f"saved as {version} in {where}", sep="\n", flush=True)
    return done


def fit_without(warehouse: Warehouse, options: StudentTraining, version: str, fold: int) -> Bundle:
    """Train the version's like without a fold of the nights' labels, or go on with it; it is not saved."""
    options = replace(options, held_out=fold)
    training, bundle, _ = fit(home_registry(), lambda: warehouse, options, f"{version}-without-{fold}")
    training.end()
    return bundle


def fit(
    registry: Registry, open_warehouse: Callable[[], Warehouse], options: StudentTraining, version: str
) -> tuple[Training, Bundle, Bundle | None]:
    """Train a student, or go on with it: the training, the student, and the teacher that trained along, if any."""
    start = registry.resolve(options.start) if options.start else None
    options = replace(options, teacher=tuple(resolved(registry, name) for name in options.teacher), start=start)
    if options.uses_teacher_features:
        check_encoder(registry, options.teacher[0])
    anchors = [anchor_name(options.teacher[0], step) for step, _ in options.route]
    spec = SnapshotSpec(
        [stored_teacher(registry, name) for name in (*options.teacher, *anchors)],
        sorted(set(options.transfer_dt)),
        options.allow_missing_logits,
        options.sources,
        options.train_rows,
        options.held_out,
    )
    warehouse = open_warehouse()
    training = begin(version, options, lambda folder: write_snapshot(warehouse, folder, spec))
    task = training.task(options, options.config())
    is_joint = SCHEMES[options.scheme].joint
    with training.ended_when_refused():
        work = joint_work if is_joint else stored_work
        trained = launch(warehouse.spark, options.num_proc, work(options, training, task, registry), RESTARTS)
    return (training, *trained) if is_joint else (training, trained, None)


def resolved(registry: Registry, name: str) -> str:
    """The version that a name means; the linear teacher is none of the registry's."""
    return name if name == LINEAR else registry.resolve(name)


def check_encoder(registry: Registry, version: str) -> None:
    """Raise BadInput when the version is no BERT, and so has no such layers."""
    kind = LINEAR if version == LINEAR else load_manifest(registry.path(version))[0]["architecture"]["kind"]
    if kind in (KIND, LINEAR):
        raise BadInput(
            f"--hint and --embeddings teacher read features of the first teacher, a BERT; {version} is not one: "
            "name a teacher of opinion train_teacher first"
        )


def stored_teacher(registry: Registry, version: str) -> StoredTeacher | None:
    """The teacher, with the possible fingerprints of its logits; None for the linear teacher."""
    if version == LINEAR:
        return None
    _, digest = load_manifest(registry.path(version))
    return StoredTeacher(version, tuple(fingerprint(digest, precision) for precision in PRECISIONS))


def stored_work(
    options: StudentTraining, training: Training, task: TrainingTask, registry: Registry
) -> Callable[..., Any]:
    """The function of each rank for a student that trains alone."""
    features = None
    if options.uses_teacher_features:
        embeddings = options.embeddings == "teacher"
        features = TeacherFeatureSpec(
            registry.root,
            options.teacher[0],
            str(home() / "cache" / "token_features"),
            embeddings,
            options.hint,
            options.hint_epochs,
        )
    return partial(
        student.train_on_rank, snapshot=training.snapshot, task=task, scheme=options.scheme, features=features
    )


def joint_work(
    options: StudentTraining, training: Training, task: TrainingTask, registry: Registry
) -> Callable[..., Any]:
    """The function of each rank for a joint training."""
    config = replace(
        TEACHER, learning_rate=options.teacher_learning_rate, gradient_accumulation_steps=options.accumulate
    )
    return partial(
        joint.train_on_rank,
        snapshot=training.snapshot,
        task=task,
        scheme=options.scheme,
        start=WarmStart(options.start) if options.start else options.encoder,
        registry=registry.root,
        teacher_config=config,
    )
