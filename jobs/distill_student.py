"""Train a student and keep it in the registry as a new version.

It becomes nobody's champion by that: compare it, then promote it with jobs/registry.py. The teacher that trains along
in the joint schemes is kept too.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pyspark.sql import SparkSession

from distill.architecture import KIND
from distill.bundle import load_manifest
from distill.errors import BadInput
from distill.plan import TEACHER, Plan
from distill.registry import Registry, anchor_name
from jobs.cli import home, run_main
from jobs.launch import launch
from jobs.session import spark_session
from jobs.snapshot import Teacher, Wanted, take
from jobs.student_flags import check_scheme, looks_inside, parser
from jobs.trainings import RESTARTS, Training, begin, board_of, ended_when_refused, in_words, threads_of
from jobs.warehouse import Warehouse


@dataclass(frozen=True)
class Distilled:
    """A student in the registry, its manifest, and that of the teacher that trained along."""

    version: str
    manifest: dict[str, Any]
    teacher_version: str | None = None
    teacher_manifest: dict[str, Any] | None = None


def main() -> None:
    """Train one student, say what it reaches."""
    args = parser(__doc__).parse_args()
    check_scheme(args)
    distil(lambda: spark_session("distill_student"), args)


def distil(session: Callable[[], SparkSession], args: argparse.Namespace) -> Distilled:
    """Snapshot labels and logits, train, register; the session is made when the flags have been found to be right."""
    root = str(home() / "registry")
    registry = Registry(root)
    names = [registry.resolve(name) for name in args.teacher]
    if looks_inside(args):
        check_encoder(registry, names[0])
    anchors = [anchor_name(names[0], step) for step, _ in args.route]
    teachers = [teacher(registry, version) for version in [*names, *anchors]]
    plan = plan_of(args, len(names))
    spark = session()
    warehouse = Warehouse(spark, args.database)
    wanted = Wanted(teachers, sorted(set(args.transfer_dt)), args.allow_missing_logits, args.sources, args.train_rows)
    training = begin(registry, args, args.scheme, lambda folder: take(warehouse, folder, wanted))
    joint = args.scheme.startswith("joint")
    with ended_when_refused(training, args):
        work = joint_work(args, plan, training) if joint else stored_work(args, plan, training, root, names)
        found = launch(spark, args.num_proc, work, RESTARTS)
    student, beside = found if joint else (found, None)
    done = Distilled(training.version, student.manifest)
    if beside:
        name = training.version.replace(args.scheme, f"{args.scheme}-teacher", 1)
        registry.add(name, beside.tensors, beside.files, beside.manifest)
        done = replace(done, teacher_version=name, teacher_manifest=beside.manifest)
        print(in_words(beside.manifest), f"the teacher, saved as {name}", sep="\n")
    where = registry.add(training.version, student.tensors, student.files, student.manifest)
    training.end()
    print(in_words(student.manifest), f"saved as {training.version} in {where}", sep="\n", flush=True)
    return done


def plan_of(args: argparse.Namespace, teachers: int) -> Plan:
    """The student's plan."""
    return Plan(
        epochs=args.epochs + sum(epochs for _, epochs in args.route),
        batch=args.batch,
        accumulate=args.accumulate,
        learning_rate=args.learning_rate,
        seed=args.seed,
        temperature=args.temperature,
        alpha_soft=tuple(args.alpha_soft or [1.0] * max(1, teachers)),
        beta_hard=args.beta_hard,
        schedule=schedule(args, teachers),
    )


def check_encoder(registry: Registry, version: str) -> None:
    """Raise BadInput when the version is a textCNN, which has no layers to look into."""
    manifest, _ = load_manifest(registry.path(version))
    if manifest.get("architecture", {}).get("kind") == KIND:
        raise BadInput(
            f"--hint and --embeddings teacher look inside the first teacher, a BERT; {version} is a textCNN: "
            "name a teacher of jobs/train_teacher.py first"
        )


def schedule(args: argparse.Namespace, teachers: int) -> tuple[tuple[int, ...], ...]:
    """By epoch the numbers of the logits that teach: an anchor, stored after all teachers, replaces the first."""
    others = tuple(range(1, teachers))
    if not args.route:
        return ()
    route = [(teachers + i, *others) for i, (_, epochs) in enumerate(args.route) for _ in range(epochs)]
    return (*route, *[(0, *others)] * args.epochs)


def teacher(registry: Registry, version: str) -> Teacher:
    """The teacher, with the fingerprints that its logits can be stored under."""
    from distill.logits import PRECISIONS, fingerprint  # late: torch takes seconds

    _, digest = load_manifest(registry.path(version))
    return Teacher(version, tuple(fingerprint(digest, precision) for precision in PRECISIONS))


def stored_work(
    args: argparse.Namespace, plan: Plan, training: Training, root: str, teachers: list[str]
) -> Callable[..., Any]:
    """What each rank does for a student that trains alone."""
    from distill.student import Inside, train_on_rank

    inside = None
    if looks_inside(args):
        inside = Inside(root, teachers[0], args.embeddings == "teacher", args.hint, args.hint_epochs)
    return partial(train_on_rank, **common(args, plan, training), inside=inside)


def joint_work(args: argparse.Namespace, plan: Plan, training: Training) -> Callable[..., Any]:
    """What each rank does for a student and a teacher that train together."""
    from distill.joint import train_on_rank

    teacher_plan = replace(TEACHER, learning_rate=args.teacher_learning_rate, accumulate=plan.accumulate)
    return partial(
        train_on_rank,
        **common(args, plan, training),
        init=args.init,
        max_length=args.max_length,
        layers=args.layers,
        teacher_plan=teacher_plan,
    )


def common(args: argparse.Namespace, plan: Plan, training: Training) -> dict[str, Any]:
    """What both take."""
    return {
        "snapshot": str(training.folder),
        "plan": plan,
        "target": args.target_precision,
        "lineage": training.lineage,
        "threads": threads_of(args),
        "checkpoints": training.checkpoints,
        "board": board_of(training.version),
    }


if __name__ == "__main__":
    run_main(main)
