"""Train a student on labelled_opinion and keep it in the registry as a new version.

It becomes nobody's champion by that: compare it, then promote it with jobs/registry.py.
"""

from functools import partial

from distill.plan import Plan
from distill.registry import Registry
from jobs.cli import home, run_main
from jobs.launch import launch
from jobs.session import spark_session
from jobs.trainings import RESTARTS, begin, board_of, check, in_words, threads_of, training_parser


def main() -> None:
    """Snapshot the labels, train, register."""
    parser = training_parser(__doc__, "jobs/distill_student.py --scheme textcnn --seed 1", Plan())
    parser.add_argument("--scheme", choices=["textcnn"], default="textcnn", help="textcnn: hard labels, no teacher")
    args = parser.parse_args()
    check(args)
    # Imported late: torch takes seconds, which --help and a wrong flag need not wait for.
    from distill.student import train_on_rank

    spark = spark_session("distill_student")
    registry = Registry(str(home() / "registry"))
    training = begin(spark, registry, args, args.scheme)
    work = partial(
        train_on_rank,
        snapshot=training.snapshot,
        plan=Plan(epochs=args.epochs, seed=args.seed),
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


if __name__ == "__main__":
    run_main(main)
