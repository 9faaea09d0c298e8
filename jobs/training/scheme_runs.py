"""The runs of a grid: the missing ones, each run, and its row in scheme_run."""

import hashlib
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from distill.data.labelled import TextRows, read_labelled
from distill.errors import BadInput
from distill.evaluation import metrics
from distill.evaluation.evaluation import evaluate
from distill.models.registry import Registry
from distill.models.versions import new_version
from distill.scoring.scorer import Scorer
from distill.training.linear import train_linear
from distill.training.scheme_table import BERT
from jobs.common import time_zones
from jobs.common.home import home
from jobs.training.grid import LINEAR, TEACHER, Entry, Grid, parsed, training_of
from jobs.training.snapshot import COLUMNS, SnapshotSpec, hash_of, write_snapshot
from jobs.training.student_training import distil
from jobs.warehouse import publish
from jobs.warehouse.tables import LABELLED_OPINION, SCHEME_RUN
from jobs.warehouse.warehouse import Warehouse


class SchemeRuns:
    """The runs of a grid on one warehouse."""

    def __init__(self, warehouse: Warehouse, registry: Registry, grid: Grid):
        self.warehouse, self.registry, self.grid = warehouse, registry, grid
        self.labels_hash = hash_of(warehouse.read(LABELLED_OPINION).select(COLUMNS))
        self.teacher = registry.resolve(grid.teacher) if grid.teacher else None
        self.old = registry.resolve(grid.old) if grid.old else None

    def rows(self) -> list[dict[str, Any]]:
        """The rows of this grid and these labels in the table, in the grid's order."""
        runs = self.warehouse.read(SCHEME_RUN, experiment=self.grid.experiment)
        same_labels = runs.where(runs.labels_hash == self.labels_hash)
        by_key = {row["run"]: row.asDict() for row in time_zones.collect(same_labels)}
        return [by_key[key] for entry, seed in self.all_runs() if (key := self.key(entry, seed)) in by_key]

    def all_runs(self) -> list[tuple[Entry, int]]:
        """Every run, seed by seed, so that a stopped grid has run all schemes at least once."""
        seeds = self.grid.seeds
        once = (LINEAR, TEACHER)
        runs = [(e, s) for s in seeds for e in self.grid.run if s in (e.seeds or seeds) and e.flags not in once]
        return [(entry, 0) for entry in self.grid.run if entry.flags in once] + runs

    def key(self, entry: Entry, seed: int) -> str:
        """The key of a run; equal keys mean the same run."""
        facts = [
            entry.label,
            entry.flags,
            self.grid.common,
            str(seed),
            self.labels_hash,
            str(self.teacher),
            str(self.old),
        ]
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]

    def run_missing(self) -> None:
        """Run the missing runs and publish each as it ends."""
        done = {row["run"] for row in self.rows()}
        runs = [(entry, seed) for entry, seed in self.all_runs() if self.key(entry, seed) not in done]
        print(f"{len(runs)} of {len(self.all_runs())} runs to make", flush=True)
        for number, (entry, seed) in enumerate(runs, 1):
            print(f"\n{number} of {len(runs)}: {entry.label}, seed {seed}", flush=True)
            self.publish(self.key(entry, seed), self.run(entry, seed))

    def run(self, entry: Entry, seed: int) -> dict[str, Any]:
        """Make one run; returns the row of the table."""
        started = time.monotonic()
        if entry.flags == LINEAR:
            measured = self.linear()
        elif entry.flags == TEACHER:
            measured = self.of_teacher()
        else:
            measured = self.distilled(entry, seed)
        facts = {"label": entry.label, "flags": entry.flags, "seed": seed, "labels_hash": self.labels_hash}
        wall = {"wall_s": time.monotonic() - started, "ended": datetime.now(UTC)}
        return dict.fromkeys(SCHEME_RUN.columns) | wall | measured | facts

    def distilled(self, entry: Entry, seed: int) -> dict[str, Any]:
        """The row of a student, and of the teacher that trained along or whose logits it read."""
        training = training_of(self.grid, entry, seed)
        done = distil(lambda: self.warehouse, training, new_version(training.scheme, datetime.now(UTC)))
        teacher_manifest = done.teacher_manifest
        version = done.teacher_version or (self.registry.resolve(training.teacher[0]) if training.teacher else None)
        if version and teacher_manifest is None:
            teacher_manifest = self.registry.load(version).bundle.manifest
        measured: dict[str, Any] = {
            "scheme": training.scheme,
            "model_version": done.version,
            "teacher_version": version,
        }
        measured |= reached(done.manifest) | {
            f"teacher_{k}": v for k, v in reached(teacher_manifest).items() if k != "precision"
        }
        curve = done.manifest["lineage"]["curve"]
        return (
            measured | {"cpu_s": float(sum(epoch["cpu_seconds"] for epoch in curve))} | self.against_old(done.version)
        )

    def of_teacher(self) -> dict[str, Any]:
        """The row of the teacher that the grid names."""
        if self.teacher is None:
            raise BadInput("a run has the flags 'teacher' and the grid names no teacher")
        manifest = self.registry.load(self.teacher).bundle.manifest
        curve = manifest["lineage"]["curve"]
        cost = {
            "wall_s": float(sum(epoch["seconds"] for epoch in curve)),
            "cpu_s": float(sum(epoch["cpu_seconds"] for epoch in curve)),
        }
        return {"scheme": BERT, "model_version": self.teacher} | reached(manifest) | cost

    def linear(self) -> dict[str, Any]:
        """The row of the linear model on the same labels."""
        cpu = time.process_time()
        splits = self.splits("train", "valid", "test")
        sections = evaluate(train_linear(splits[0]), splits[1], splits[2], 0.95)
        return {"scheme": LINEAR, "cpu_s": time.process_time() - cpu} | reached(sections)

    def splits(self, *names: str) -> list[TextRows]:
        """Splits of the labels as in the runs, with the common flags that choose rows."""
        folder = home() / "train" / f"compare-{self.grid.experiment}-{self.labels_hash}"
        if not folder.exists():
            common = parsed(self.grid.common)
            spec = SnapshotSpec(sources=common.sources, train_rows=common.train_rows)
            write_snapshot(self.warehouse, str(folder), spec)
        return [read_labelled(f"{folder}/labels", name) for name in names]

    def test_rows(self) -> TextRows:
        """The split test."""
        (test,) = self.splits("test")
        return test

    def against_old(self, version: str) -> dict[str, Any]:
        """Coverage, churn and negative flips on test against the old version."""
        if self.old is None:
            return {}
        test = self.test_rows()
        old, new = (decisions(self.registry, name, test) for name in (self.old, version))
        return {
            "coverage": metrics.coverage(test.labels, old, new),
            "churn": metrics.churn(old, new),
            "negative_flips": metrics.negative_flips(test.labels, old, new),
        }

    def publish(self, key: str, row: dict[str, Any]) -> None:
        """Publish the row of a run."""
        partition = {"experiment": self.grid.experiment, "run": key}
        unit = f"{self.grid.experiment}+{key}"
        with publish.run(self.warehouse, "compare_schemes", unit, [(SCHEME_RUN, partition)]) as run:
            run.stage_rows(SCHEME_RUN, [row])
            run.switch([(SCHEME_RUN, partition)])


def decisions(registry: Registry, version: str, rows: TextRows) -> npt.NDArray[np.bool_]:
    """Whether a student calls each row a valid complaint, bool (rows,)."""
    scorer = Scorer(registry.load(version).bundle)
    return scorer.score_normalised(rows.texts) >= scorer.threshold


def reached(manifest: dict[str, Any] | None) -> dict[str, float | None]:
    """AUC, and recall and precision at the threshold, on test; on valid where there is no test."""
    metrics = (manifest or {}).get("metrics", {})
    at = metrics.get("test") or metrics.get("valid") or {}
    return {name: at.get(name) for name in ("auc", "recall", "precision")}
