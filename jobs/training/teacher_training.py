"""A teacher's training: snapshot of the labels, ranks, a version of the registry."""

from functools import partial

from distill.training.config import Encoder, WarmStart
from distill.training.teacher import train_on_rank
from jobs.common.home import home_registry
from jobs.training.launch import launch
from jobs.training.snapshot import SnapshotSpec, write_snapshot
from jobs.training.teacher_flags import TeacherTraining
from jobs.training.training_run import RESTARTS, begin, metrics_summary
from jobs.warehouse.warehouse import Warehouse


def train(warehouse: Warehouse, options: TeacherTraining, version: str) -> None:
    """Train the version, or continue its training, and save it; errors as `begin`, `launch` and `write_snapshot`."""
    registry = home_registry()
    start: Encoder | WarmStart = options.encoder
    if options.start:
        start = WarmStart(registry.resolve(options.start))
    spec = SnapshotSpec(sources=options.sources, train_rows=options.train_rows, replay=options.replay)
    training = begin(version, options, lambda folder: write_snapshot(warehouse, folder, spec))
    work = partial(
        train_on_rank,
        snapshot=training.snapshot,
        task=training.task(options, options.config()),
        start=start,
        registry=registry.root,
        version=version,
    )
    with training.ended_when_refused():
        manifest = launch(warehouse.spark, options.num_proc, work, RESTARTS)
    training.end()
    print(metrics_summary(manifest), f"saved as {version}", sep="\n", flush=True)
