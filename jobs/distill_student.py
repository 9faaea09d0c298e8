"""Train a student and keep it in the registry as a new version.

It becomes nobody's champion by that: compare it, then promote it with jobs/registry.py.
"""

import argparse
from functools import partial

from distill.bundle import load_manifest
from distill.errors import BadInput
from distill.plan import Plan
from distill.registry import Registry
from jobs.cli import Parser, day, home, run_main
from jobs.launch import launch
from jobs.session import spark_session
from jobs.snapshot import Teacher, take
from jobs.trainings import RESTARTS, begin, board_of, check, in_words, threads_of, training_parser
from jobs.warehouse import Warehouse

SCHEMES = {
    "textcnn": "hard labels, no teacher",
    "offline": "a teacher's stored logits and the labels",
}


def main() -> None:
    """Snapshot labels and logits, train, register."""
    args = parser().parse_args()
    check_scheme(args)
    # Imported late: torch takes seconds, which --help and a wrong flag need not wait for.
    from distill.student import train_on_rank

    registry = Registry(str(home() / "registry"))
    teachers = [teacher(registry, args.teacher)] if args.teacher else []
    spark = spark_session("distill_student")
    warehouse = Warehouse(spark, args.database)
    days = sorted(set(args.transfer_dt))
    training = begin(
        registry,
        args,
        args.scheme,
        lambda folder: take(warehouse, folder, teachers, days, args.allow_missing_logits),
    )
    work = partial(
        train_on_rank,
        snapshot=str(training.folder),
        plan=Plan(
            epochs=args.epochs,
            seed=args.seed,
            temperature=args.temperature,
            alpha_soft=args.alpha_soft,
            beta_hard=args.beta_hard,
        ),
        target=args.target_precision,
        lineage=training.lineage,
        threads=threads_of(args),
        checkpoints=training.checkpoints,
        board=board_of(training.version),
    )
    bundle = launch(spark, args.num_proc, work, RESTARTS)
    where = registry.add(training.version, bundle.tensors, bundle.files, bundle.manifest)
    training.end()
    print(in_words(bundle.manifest), f"saved as {training.version} in {where}", sep="\n", flush=True)


def parser() -> Parser:
    """The command line."""
    found = training_parser(
        __doc__, "jobs/distill_student.py --scheme offline --teacher bert --transfer-dt 2026-11-09 2026-11-10", Plan()
    )
    schemes = "; ".join(f"{name}: {what}" for name, what in SCHEMES.items())
    found.add_argument("--scheme", choices=SCHEMES, default="textcnn", help=schemes)
    found.add_argument("--teacher", metavar="NAME[@VERSION]", help="whose stored logits the student learns from")
    found.add_argument(
        "--transfer-dt", type=day, nargs="+", default=[], help="days of raw_opinion whose texts, unlabelled, teach too"
    )
    found.add_argument("--temperature", type=float, default=Plan.temperature, help="T of the soft labels")
    found.add_argument("--alpha-soft", type=float, default=Plan.alpha_soft, help="weight of the soft loss")
    found.add_argument("--beta-hard", type=float, default=Plan.beta_hard, help="weight of the hard loss")
    found.add_argument(
        "--allow-missing-logits", action="store_true", help="labelled rows without logits have no soft loss"
    )
    return found


def check_scheme(args: argparse.Namespace) -> None:
    """Refuse flags that do not fit together; raises BadInput."""
    check(args)
    if args.scheme == "offline" and not args.teacher:
        raise BadInput("--scheme offline needs --teacher: a model whose logits jobs/store_teacher_logits.py has stored")
    if args.scheme == "textcnn" and (args.teacher or args.transfer_dt):
        raise BadInput("--scheme textcnn has no teacher; for --teacher and --transfer-dt choose --scheme offline")
    if args.temperature <= 0 or min(args.alpha_soft, args.beta_hard) < 0 or args.alpha_soft + args.beta_hard == 0:
        raise BadInput("--temperature must be above 0, --alpha-soft and --beta-hard 0 or more, and not both 0")


def teacher(registry: Registry, name: str) -> Teacher:
    """The teacher that a name means, with the fingerprints that its logits can be stored under."""
    from distill.logits import PRECISIONS, fingerprint

    version = registry.resolve(name)
    _, digest = load_manifest(registry.path(version))
    return Teacher(version, tuple(fingerprint(digest, precision) for precision in PRECISIONS))


if __name__ == "__main__":
    run_main(main)
