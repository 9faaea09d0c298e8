"""Train a BERT teacher on labelled_opinion and keep it in the registry as a new version.

Checkpoints along the way are kept as versions of their own: the anchor points of a route.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.packages import need_transformers
from distill.plan import TEACHER
from distill.registry import Registry
from jobs.cli import Parser, home, run_main
from jobs.launch import launch
from jobs.session import spark_session
from jobs.snapshot import Wanted, take
from jobs.trainings import RESTARTS, begin, board_of, check, ended_when_refused, in_words, threads_of, training_parser
from jobs.warehouse import Warehouse

SCHEME = "bert"


def main() -> None:
    """Train one teacher, say what it reaches."""
    args = parser().parse_args()
    check_teacher(args)
    train(spark_session("train_teacher"), args)


def train(spark: SparkSession, args: argparse.Namespace) -> str:
    """Snapshot the labels, train, register; returns the version."""
    # Imported late: torch takes seconds, which --help and a wrong flag need not wait for.
    from distill.teacher import train_on_rank

    root = str(home() / "registry")
    warehouse = Warehouse(spark, args.database)
    wanted = Wanted(sources=args.sources, train_rows=args.train_rows)
    training = begin(Registry(root), args, SCHEME, lambda folder: take(warehouse, folder, wanted))
    work = partial(
        train_on_rank,
        snapshot=str(training.folder),
        init=args.init,
        max_length=args.max_length,
        layers=args.layers,
        plan=replace(
            TEACHER,
            epochs=args.epochs,
            batch=args.batch,
            accumulate=args.accumulate,
            learning_rate=args.learning_rate,
            class_weight=args.class_weight,
            precision=args.precision,
            seed=args.seed,
        ),
        target=args.target_precision,
        lineage=training.lineage,
        threads=threads_of(args),
        registry=root,
        version=training.version,
        checkpoints=training.checkpoints,
        board=board_of(training.version),
    )
    with ended_when_refused(training, args):
        manifest = launch(spark, args.num_proc, work, RESTARTS)
    training.end()
    print(in_words(manifest), f"saved as {training.version}", sep="\n", flush=True)
    return training.version


def parser() -> Parser:
    """The command line."""
    found = training_parser(__doc__, "jobs/train_teacher.py --init PATH_OR_HUB_NAME --num-proc 2", TEACHER)
    found.add_argument("--init", default="bert-base-chinese", help="pretrained encoder: a folder or a hub name")
    found.add_argument("--max-length", type=int, default=128, help="tokens of a text that are read")
    found.add_argument("--layers", type=int, help="keep the first layers of the encoder only (default: all)")
    found.add_argument("--batch", type=int, default=TEACHER.batch, help="rows of one rank at a step")
    found.add_argument("--accumulate", type=int, default=1, help="passes that a step is divided into, for memory")
    found.add_argument("--learning-rate", type=float, default=TEACHER.learning_rate, help="of the encoder at its peak")
    found.add_argument("--class-weight", choices=["none", "balanced"], default="none", help="of the labels in the loss")
    found.add_argument(
        "--precision", choices=["float32", "bfloat16"], default=TEACHER.precision, help="of the matrix products"
    )
    return found


def check_teacher(args: argparse.Namespace) -> None:
    """Refuse flags out of range, a machine without transformers, or an encoder of no use; raises BadInput."""
    check(args)
    if min(args.max_length, args.batch, args.accumulate, args.layers or 1) < 1 or args.learning_rate <= 0:
        raise BadInput("--max-length, --layers, --batch and --accumulate must be 1 or more, --learning-rate above 0")
    need_transformers("a teacher")
    check_encoder(args)


def check_encoder(args: argparse.Namespace) -> None:
    """Refuse an encoder that a teacher cannot be made of, before Spark starts; raises BadInput.

    Ranks on other hosts may have one that is not here: they refuse theirs.
    """
    if args.num_proc == 1 or Path(args.init).is_dir():
        from distill.pretrained import load  # late: torch takes seconds

        load(args.init, args.max_length, args.layers)


if __name__ == "__main__":
    run_main(main)
