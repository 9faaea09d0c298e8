"""Train a student on labelled_opinion and keep it in the registry as a new version.

It becomes nobody's champion by that: compare it, then promote it with jobs/registry.py.
"""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pyspark.sql import functions as F

from distill.errors import BadInput
from distill.plan import Plan
from distill.registry import Registry
from jobs.cli import CHECKOUT, home, job_parser, run_main
from jobs.launch import launch
from jobs.session import spark_session
from jobs.tables import LABELLED_OPINION
from jobs.warehouse import Warehouse

RESTARTS = 2  # of all ranks, when one dies


def main() -> None:
    """Snapshot the labels, train, register."""
    parser = job_parser(__doc__, "jobs/distill_student.py --scheme textcnn --seed 1")
    parser.add_argument("--scheme", choices=["textcnn"], default="textcnn", help="textcnn: hard labels, no teacher")
    parser.add_argument("--epochs", type=int, default=Plan.epochs, help="at most so many passes over the labels")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights, order and dropout")
    parser.add_argument("--target-precision", type=float, default=0.95, help="of the rows called valid complaints")
    parser.add_argument("--resume", metavar="VERSION", help="go on with a training that was stopped")
    parser.add_argument("--num-proc", type=int, default=1, help="ranks that train together; more than 1 needs Horovod")
    args = parser.parse_args()
    if min(args.epochs, args.num_proc) < 1 or not 0 <= args.seed < 2**31 or not 0 < args.target_precision <= 1:
        raise BadInput(
            "--epochs and --num-proc must be 1 or more, --seed 0 or more, --target-precision above 0 and at most 1"
        )
    # Imported late: torch takes seconds, which --help and a wrong flag need not wait for.
    from distill.student import train_on_rank

    spark = spark_session("distill_student")
    registry = Registry(str(home() / "registry"))
    version = args.resume or registry.new_version(args.scheme, datetime.now(UTC))
    registry.path(version)  # refuses what is not the name of a version
    # The labels of the moment and the checkpoints: kept until the model is saved, so that a training can be resumed.
    folder = home() / "train" / version
    if not args.resume:
        lineage = snapshot_labels(Warehouse(spark, args.database), f"{folder}/labels")
        lineage |= {"scheme": args.scheme, "git_commit": git_commit()}
        (folder / "lineage.json").write_text(json.dumps(lineage), encoding="utf-8")
    elif not (folder / "lineage.json").exists():
        raise BadInput(f"--resume {version}: there is nothing to resume in {folder}")
    work = partial(
        train_on_rank,
        snapshot=f"{folder}/labels",
        plan=Plan(epochs=args.epochs, seed=args.seed),
        target=args.target_precision,
        lineage=json.loads((folder / "lineage.json").read_text(encoding="utf-8")),
        threads=max(1, len(os.sched_getaffinity(0)) // args.num_proc),
        checkpoints=f"{folder}/checkpoints",
    )
    print(f"training {version}; if it is stopped, the same flags and --resume {version} go on with it", flush=True)
    bundle = launch(spark, args.num_proc, work, RESTARTS)
    where = registry.add(version, bundle.tensors, bundle.files, bundle.manifest)
    shutil.rmtree(folder)
    print(in_words(bundle.manifest), f"saved as {version} in {where}", sep="\n", flush=True)


def snapshot_labels(warehouse: Warehouse, folder: str) -> dict[str, Any]:
    """Write the labels of the moment as Parquet for the training; returns what identifies them.

    Raises BadInput when there are none.
    """
    rows = warehouse.read(LABELLED_OPINION).select("text", "label", "source", "split")
    rows.write.parquet(f"file://{folder}")
    written = warehouse.spark.read.schema(rows.schema).parquet(f"file://{folder}")
    counts = {row.split: row["count"] for row in written.groupBy("split").count().collect()}
    for split in ("train", "valid"):
        if split not in counts:
            raise BadInput(
                f"{warehouse.name(LABELLED_OPINION)} has no rows of the split {split!r}; "
                "load some with jobs/load_labels.py"
            )
    # Independent of the order and the files of the rows.
    digest = written.select(F.sum(F.xxhash64(*written.columns).cast("decimal(38,0)"))).first()
    return {
        "data": str(warehouse.location(LABELLED_OPINION, {})),
        "data_hash": f"{int(digest[0]) % 2**64:016x}" if digest else "",
        "rows": counts,
    }


def git_commit() -> str | None:
    """The checkout's commit, with a + when files differ from it; None outside of a checkout."""
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def in_words(manifest: dict[str, Any]) -> str:
    """What the model reaches, for the person who trained it."""
    threshold = manifest["threshold"]
    lines = [
        f"threshold {threshold['value']:.4f}: on valid, precision {threshold['precision']:.3f} "
        f"(95% interval {threshold['precision_lower']:.3f} to {threshold['precision_upper']:.3f})"
    ]
    for split, found in manifest["metrics"].items():
        lines.append(
            f"{split:>6}: {found['rows']} rows, AUC {found['auc']:.4f}, "
            f"recall {found['recall']:.3f} at precision {found['precision']:.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_main(main)
