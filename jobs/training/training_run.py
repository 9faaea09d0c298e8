"""Shared by the jobs that train: options, the files of a resumable training, the summary at the end."""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill import CHECKOUT
from distill.data.snapshot import Snapshot
from distill.errors import BadInput, BadModel
from distill.models.versions import checked_version, new_version
from distill.training.config import Outputs, TrainingConfig, TrainingTask
from jobs.common.cli import Parser, job_parser
from jobs.common.home import home
from jobs.common.options import add_options, flag, option

RESTARTS = 2  # of all ranks, when one dies
BEGUN = "begun.json"  # exists as soon as the snapshot is complete


@dataclass(frozen=True)
class TrainingOptions:
    """Options of every training."""

    epochs: int = option("most passes over the labels", TrainingConfig.epochs)
    seed: int = option("seed of initial weights, order and dropout", 0)
    target_precision: float = option("precision that the threshold is chosen for", 0.95)
    sources: tuple[str, ...] = option("train on labels of these sources only (default: all)", ())
    train_rows: int | None = option("most labels to train on, chosen by hash (default: all)", None)
    num_proc: int = option("number of ranks; more than 1 needs Horovod", 1)

    def check(self) -> None:
        """Raise BadInput for numbers out of range."""
        if self.train_rows is not None and self.train_rows < 1:
            raise BadInput("--train-rows must be 1 or more")
        if min(self.epochs, self.num_proc) < 1 or not 0 <= self.seed < 2**31 or not 0 < self.target_precision <= 1:
            raise BadInput(
                "--epochs and --num-proc must be 1 or more, --seed 0 or more, --target-precision above 0 and at most 1"
            )


def training_parser(doc: str | None, example: str, kind: type[TrainingOptions], *more: str) -> Parser:
    """A parser with the flags of a training, and --resume."""
    parser = job_parser(doc, example, *more)
    add_options(parser, kind)
    parser.add_argument("--resume", metavar="VERSION", help="continue a stopped training")
    return parser


def version_of(scheme: str, args: argparse.Namespace) -> str:
    """The version of a command line: that of --resume, or a new one.

    Raises BadInput when there is nothing to resume.
    """
    if not args.resume:
        return new_version(scheme, datetime.now(UTC))
    checked_version(args.resume)
    if not (folder_of(args.resume) / BEGUN).exists():
        folder = folder_of(args.resume)
        raise BadInput(f"--resume {args.resume}: there is nothing to resume in {folder}; train without --resume")
    return str(args.resume)


@dataclass(frozen=True)
class Training:
    """One training on disk: its snapshot and checkpoints, which stay until the model is saved.

    lineage: facts of the data, for the manifest.
    """

    version: str
    folder: Path
    snapshot: Snapshot
    lineage: Mapping[str, Any]
    is_new: bool  # begun by this process, not resumed

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.folder / "checkpoints"

    def task(self, options: TrainingOptions, config: TrainingConfig) -> TrainingTask:
        """The task of the ranks, with the cores of this machine."""
        return TrainingTask(
            config,
            options.target_precision,
            self.lineage,
            Outputs(checkpoints=str(self.checkpoints), board=f"{home()}/tensorboard/{self.version}"),
            threads=max(1, len(os.sched_getaffinity(0)) // options.num_proc),
        )

    def end(self) -> None:
        """Remove the files for a resume."""
        discard(self.version)

    @contextmanager
    def ended_when_refused(self) -> Iterator[None]:
        """Remove a new training's snapshot when the block refuses it; a resumable training keeps its files."""
        try:
            yield
        except (BadInput, BadModel):
            if self.is_new and not any(self.checkpoints.glob("epoch-*")):
                self.end()
            raise


def folder_of(version: str) -> Path:
    """The folder of a training until its model is saved."""
    return home() / "train" / version


def discard(version: str) -> None:
    """Remove the files of a training that is saved or abandoned."""
    shutil.rmtree(folder_of(version), ignore_errors=True)


def begin(
    version: str, options: TrainingOptions, write_snapshot: Callable[[str], tuple[Snapshot, dict[str, Any]]]
) -> Training:
    """Continue the training that was begun under this version, or write its snapshot.

    Raises BadInput when it was begun with other options.
    """
    folder = folder_of(version)
    file = folder / BEGUN
    given = json.loads(json.dumps(asdict(options)))
    is_new = not file.exists()
    if not is_new:
        begun = json.loads(file.read_text(encoding="utf-8"))
        refuse_other_options(version, begun["options"], given)
    else:
        discard(version)  # an incomplete snapshot of a killed run
        try:
            snapshot, lineage = write_snapshot(str(folder))
        except BaseException:
            discard(version)  # an incomplete snapshot is useless
            raise
        begun = {"options": given, "snapshot": asdict(snapshot), "lineage": {**lineage, "git_commit": git_commit()}}
        staged = file.with_suffix(".tmp")
        staged.write_text(json.dumps(begun), encoding="utf-8")
        os.replace(staged, file)
    print(f"training {version}; if it is stopped, the same flags and --resume {version} go on with it", flush=True)
    snapshot_here = replace(Snapshot(**begun["snapshot"]), folder=str(folder))
    return Training(version, folder, snapshot_here, begun["lineage"], is_new)


def refuse_other_options(version: str, begun: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise BadInput that names a changed option; the checkpoint checks the number of ranks."""
    for name in sorted(begun.keys() & given.keys() - {"num_proc"}):
        if begun[name] != given[name]:
            before, now = flag_text(begun[name]), flag_text(given[name])
            raise BadInput(
                f"--resume {version}: it was begun with {flag(name)} {before}, not {now}; "
                "give the same flags, or start a new training without --resume"
            )


def flag_text(value: Any) -> str:
    """A value as written after its flag."""
    words = value if isinstance(value, list) else [value]
    return " ".join(":".join(map(str, word)) if isinstance(word, list) else str(word) for word in words) or "none"


def git_commit() -> str | None:
    """The checkout's commit, with a + for local changes; None outside a checkout."""
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()


def metrics_summary(manifest: dict[str, Any]) -> str:
    """A summary of the model's threshold and metrics."""
    threshold = manifest["threshold"]
    lines = [
        f"threshold {threshold['value']:.4f}: on valid, precision {threshold['precision']:.3f} "
        f"(95% interval {threshold['precision_lower']:.3f} to {threshold['precision_upper']:.3f})"
    ]
    if threshold["precision"] < threshold["target_precision"]:
        lines.append(
            f"precision {threshold['target_precision']:g} is out of reach there: it cannot become the champion"
        )
    for split, metrics in manifest["metrics"].items():
        lines.append(
            f"{split:>6}: {metrics['rows']} rows, AUC {metrics['auc']:.4f}, "
            f"recall {metrics['recall']:.3f} at precision {metrics['precision']:.3f}"
        )
    return "\n".join(lines)
