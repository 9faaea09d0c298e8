"""What the jobs that train have in common: flags, the snapshot of the labels, and what is said at the end."""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill.errors import BadInput, BadModel
from distill.plan import Plan
from distill.registry import Registry
from jobs.cli import CHECKOUT, Parser, home, job_parser

RESTARTS = 2  # of all ranks, when one dies


def training_parser(doc: str | None, example: str, plan: Plan) -> Parser:
    """A parser with the flags of every training."""
    parser = job_parser(doc, example)
    parser.add_argument("--epochs", type=int, default=plan.epochs, help="at most so many passes over the labels")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights, order and dropout")
    parser.add_argument("--target-precision", type=float, default=0.95, help="of the rows called valid complaints")
    parser.add_argument("--sources", nargs="+", default=[], help="train on labels of these sources only (default: all)")
    parser.add_argument("--train-rows", type=int, help="train on at most so many labels, chosen by hash (default: all)")
    parser.add_argument("--resume", metavar="VERSION", help="go on with a training that was stopped")
    parser.add_argument("--num-proc", type=int, default=1, help="ranks that train together; more than 1 needs Horovod")
    return parser


def check(args: argparse.Namespace) -> None:
    """Refuse numbers out of range; raises BadInput."""
    if args.train_rows is not None and args.train_rows < 1:
        raise BadInput("--train-rows must be 1 or more")
    if min(args.epochs, args.num_proc) < 1 or not 0 <= args.seed < 2**31 or not 0 < args.target_precision <= 1:
        raise BadInput(
            "--epochs and --num-proc must be 1 or more, --seed 0 or more, --target-precision above 0 and at most 1"
        )


@dataclass(frozen=True)
class Training:
    """One training on disk: the snapshot of its data and the checkpoints, kept until the model is saved."""

    version: str
    folder: Path
    lineage: dict[str, Any]

    @property
    def checkpoints(self) -> str:
        """Where the ranks keep theirs."""
        return f"{self.folder}/checkpoints"

    def end(self) -> None:
        """Remove what was only needed to go on with it."""
        shutil.rmtree(self.folder)


def begin(
    registry: Registry, args: argparse.Namespace, scheme: str, snapshot: Callable[[str], dict[str, Any]]
) -> Training:
    """Take the snapshot for a new training, or find that of `--resume`; `snapshot` writes it to a folder."""
    version = args.resume or registry.new_version(scheme, datetime.now(UTC))
    registry.path(version)  # refuses what is not the name of a version
    folder = home() / "train" / version
    file = folder / "lineage.json"
    if not args.resume:
        try:
            lineage = snapshot(str(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # half of a snapshot is of no use
            raise
        file.write_text(json.dumps({**lineage, "scheme": scheme, "git_commit": git_commit()}), encoding="utf-8")
    elif not file.exists():
        raise BadInput(f"--resume {version}: there is nothing to resume in {folder}")
    print(f"training {version}; if it is stopped, the same flags and --resume {version} go on with it", flush=True)
    return Training(version, folder, json.loads(file.read_text(encoding="utf-8")))


@contextmanager
def ended_when_refused(training: Training, args: argparse.Namespace) -> Iterator[None]:
    """Remove a new training's snapshot when the block refuses it; one that can be resumed keeps its own."""
    try:
        yield
    except (BadInput, BadModel):
        if not args.resume and not any(Path(training.checkpoints).glob("epoch-*")):
            training.end()
        raise


def board_of(version: str) -> str:
    """The folder of a training's scalars for TensorBoard."""
    return f"{home()}/tensorboard/{version}"


def threads_of(args: argparse.Namespace) -> int:
    """Threads of torch in each rank."""
    ranks: int = args.num_proc
    return max(1, len(os.sched_getaffinity(0)) // ranks)


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
    if threshold["precision"] < threshold["target_precision"]:
        lines.append(
            f"precision {threshold['target_precision']:g} is out of reach there: it cannot become the champion"
        )
    for split, found in manifest["metrics"].items():
        lines.append(
            f"{split:>6}: {found['rows']} rows, AUC {found['auc']:.4f}, "
            f"recall {found['recall']:.3f} at precision {found['precision']:.3f}"
        )
    return "\n".join(lines)
