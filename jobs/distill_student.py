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

from distill.bundle import load_manifest
from distill.errors import BadInput
from distill.plan import TEACHER, Plan
from distill.registry import Registry, anchor_name
from jobs.cli import Parser, day, home, run_main
from jobs.launch import launch
from jobs.session import spark_session
from jobs.snapshot import Teacher, Wanted, take
from jobs.trainings import (
    RESTARTS,
    Training,
    begin,
    board_of,
    check,
    in_words,
    need_transformers,
    threads_of,
    training_parser,
)
from jobs.warehouse import Warehouse

SCHEMES = {
    "textcnn": "hard labels, no teacher",
    "offline": "a teacher's stored logits and the labels",
    "multi-teacher": "the stored logits of several",
    "joint-isolated": "a teacher trains along and learns nothing from the student",
    "joint-coupled": "it gets the gradient of the soft loss one step later",
    "joint-sum": "one loss for both",
}


@dataclass(frozen=True)
class Distilled:
    """A student in the registry, its manifest, and that of the teacher that trained along."""

    version: str
    manifest: dict[str, Any]
    teacher_version: str | None = None
    teacher_manifest: dict[str, Any] | None = None


def main() -> None:
    """Train one student, say what it reaches."""
    args = parser().parse_args()
    check_scheme(args)
    distil(lambda: spark_session("distill_student"), args)


def distil(session: Callable[[], SparkSession], args: argparse.Namespace) -> Distilled:
    """Snapshot labels and logits, train, register; the session is made when the flags have been found to be right."""
    root = str(home() / "registry")
    registry = Registry(root)
    names = [registry.resolve(name) for name in args.teacher]
    anchors = [anchor_name(names[0], step) for step, _ in args.route]
    teachers = [teacher(registry, version) for version in [*names, *anchors]]
    plan = plan_of(args, len(names))
    spark = session()
    warehouse = Warehouse(spark, args.database)
    wanted = Wanted(teachers, sorted(set(args.transfer_dt)), args.allow_missing_logits, args.sources, args.train_rows)
    training = begin(registry, args, args.scheme, lambda folder: take(warehouse, folder, wanted))
    joint = args.scheme.startswith("joint")
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


def parser() -> Parser:
    """The command line."""
    found = training_parser(
        __doc__, "jobs/distill_student.py --scheme offline --teacher bert --transfer-dt 2026-11-09 2026-11-10", Plan()
    )
    schemes = "; ".join(f"{name}: {what}" for name, what in SCHEMES.items())
    found.add_argument("--scheme", choices=SCHEMES, default="textcnn", help=schemes)
    found.add_argument("--batch", type=int, default=Plan.batch, help="rows of one rank at a step")
    found.add_argument("--accumulate", type=int, default=1, help="passes that a step is divided into, for memory")
    found.add_argument("--learning-rate", type=float, default=Plan.learning_rate, help="of the student at its peak")
    soft = found.add_argument_group("soft labels")
    soft.add_argument("--temperature", type=float, default=Plan.temperature, help="T of teacher and student")
    soft.add_argument("--alpha-soft", type=float, nargs="+", help="weight of each teacher's soft loss (default: 1)")
    soft.add_argument("--beta-hard", type=float, default=Plan.beta_hard, help="weight of the hard loss")
    stored = found.add_argument_group("offline and multi-teacher")
    stored.add_argument(
        "--teacher", metavar="NAME[@VERSION]", nargs="+", default=[], help="whose stored logits the student learns from"
    )
    stored.add_argument(
        "--transfer-dt", type=day, nargs="+", default=[], help="days of raw_opinion whose texts, unlabelled, teach too"
    )
    stored.add_argument(
        "--allow-missing-logits", action="store_true", help="labelled rows without them have the hard loss alone"
    )
    stored.add_argument(
        "--route",
        type=anchor,
        nargs="+",
        default=[],
        metavar="STEP:EPOCHS",
        help="first learn from the first teacher as it was after so many steps, anchor after anchor; then --epochs",
    )
    stored.add_argument(
        "--hint", type=int, metavar="LAYER", help="first learn a layer of the first teacher; -1: the last"
    )
    stored.add_argument("--hint-epochs", type=int, default=1, help="epochs of the hint")
    stored.add_argument(
        "--embeddings",
        choices=["random", "teacher"],
        default="random",
        help="first values of the student's embeddings; teacher: from inside the first teacher, a BERT",
    )
    joint = found.add_argument_group("joint schemes")
    joint.add_argument("--init", default="bert-base-chinese", help="pretrained encoder: a folder or a hub name")
    joint.add_argument("--max-length", type=int, default=128, help="tokens of a text that the teacher reads")
    joint.add_argument("--layers", type=int, help="keep the first layers of the encoder only (default: all)")
    joint.add_argument(
        "--teacher-learning-rate", type=float, default=TEACHER.learning_rate, help="of the encoder at its peak"
    )
    return found


def anchor(text: str) -> tuple[int, int]:
    """Argument type: STEP:EPOCHS."""
    step, _, epochs = text.partition(":")
    if step.isdecimal() and epochs.isdecimal() and int(epochs) > 0:
        return int(step), int(epochs)
    raise argparse.ArgumentTypeError(f"{text!r} is not STEP:EPOCHS, such as 120:1")


def check_scheme(args: argparse.Namespace) -> None:
    """Refuse flags that do not fit together; raises BadInput."""
    check(args)
    scheme, teachers = args.scheme, len(args.teacher)
    stored = scheme in ("offline", "multi-teacher")
    if scheme == "offline" and teachers != 1:
        raise BadInput("--scheme offline needs one --teacher, whose logits jobs/store_teacher_logits.py has stored")
    if scheme == "multi-teacher" and teachers < 2:
        raise BadInput("--scheme multi-teacher needs two or more after --teacher; with one choose --scheme offline")
    looks_inside = args.hint is not None or args.embeddings == "teacher"
    if not stored and (teachers or args.transfer_dt or args.route or looks_inside):
        raise BadInput(
            f"--scheme {scheme} reads no stored logits; --teacher, --transfer-dt, --route, --hint and --embeddings "
            "teacher are of --scheme offline and multi-teacher"
        )
    weights = [*(args.alpha_soft or [1.0]), args.beta_hard]
    if args.alpha_soft and len(args.alpha_soft) != max(1, teachers):
        raise BadInput(f"--alpha-soft has {len(args.alpha_soft)} weights for {max(1, teachers)} teachers")
    if args.temperature <= 0 or min(weights) < 0 or sum(weights) == 0:
        raise BadInput("--temperature must be above 0, --alpha-soft and --beta-hard 0 or more, and not all 0")
    if min(args.batch, args.accumulate, args.hint_epochs, args.max_length, args.layers or 1) < 1:
        raise BadInput("--batch, --accumulate, --hint-epochs, --max-length and --layers must be 1 or more")
    if min(args.learning_rate, args.teacher_learning_rate) <= 0:
        raise BadInput("--learning-rate and --teacher-learning-rate must be above 0")
    if scheme.startswith("joint") or looks_inside:
        need_transformers(f"--scheme {scheme}")


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
    if args.hint is not None or args.embeddings == "teacher":
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
