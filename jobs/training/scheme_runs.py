"""The runs of a grid: the missing ones, each run, and its row in scheme_run."""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
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
from jobs.training.grid import LINEAR, TEACHER, Grid, Run, finals_of, parsed, training_of, trials_of
from jobs.training.scheme_cost import SchemeCosts
from jobs.training.snapshot import COLUMNS, SnapshotSpec, hash_of, write_snapshot
from jobs.training.student_training import distil
from jobs.warehouse import publish
from jobs.warehouse.tables import LABELLED_OPINION, SCHEME_RUN
from jobs.warehouse.warehouse import Warehouse

ON_TEST = ("auc", "recall", "precision", "teacher_auc", "teacher_recall")


class SchemeRuns:
    """The runs of a grid on one warehouse."""

    def __init__(self, warehouse: Warehouse, registry: Registry, grid: Grid):
        self.warehouse, self.registry, self.grid = warehouse, registry, grid
        self.labels_hash = hash_of(warehouse.read(LABELLED_OPINION).select(COLUMNS))
        self.teacher = registry.resolve(grid.teacher) if grid.teacher else None
        self.costs: SchemeCosts | None = None
        self.old = registry.resolve(grid.old) if grid.old else None

    def rows(self) -> list[dict[str, Any]]:
        """The rows of this grid and these labels in the table, in the grid's order: all trials, then the finals."""
        by_key = self.stored()
        runs = [*self.trials(), *self.finals(by_key)]
        return [by_key[key] for run in runs if (key := self.key(run)) in by_key]

    def stored(self) -> dict[str, dict[str, Any]]:
        """All rows of this experiment and these labels, by their keys."""
        runs = self.warehouse.read(SCHEME_RUN, experiment=self.grid.experiment)
        same_labels = runs.where(runs.labels_hash == self.labels_hash)
        return {row["run"]: row.asDict() for row in time_zones.collect(same_labels)}

    def trials(self) -> list[Run]:
        """All trials, the first of each entry first, so that a stopped grid has tried all schemes."""
        tried = [trials_of(self.grid, entry) for entry in self.grid.run]
        return [run for nth in zip_longest(*tried) for run in nth if run]

    def finals(self, stored: Mapping[str, dict[str, Any]]) -> list[Run]:
        """The runs measured on test, seed by seed; none of an entry whose trials are not all stored."""
        runs = []
        for entry in self.grid.run:
            tried = [stored[key] for run in trials_of(self.grid, entry) if (key := self.key(run)) in stored]
            if len(tried) == len(entry.trials):
                runs += finals_of(self.grid, entry, self.chosen(tried) if tried else entry.flags)
        return sorted(runs, key=lambda run: (not run.is_measured_once, run.seed))

    def chosen(self, trials: Sequence[Mapping[str, Any]]) -> str:
        """The flags of the trial with the best AUC on valid among those within the budget."""
        budget = self.grid.budget_cpu_s or math.inf
        within = [row for row in trials if row["total_cpu_s"] <= budget]
        if not within:
            least = min(row["total_cpu_s"] for row in trials)
            raise BadInput(
                f"no trial of {trials[0]['label']!r} is within budget_cpu_s {budget:g}; the cheapest took {least:.0f}: "
                "give it a cheaper trial, or all a larger budget"
            )
        return str(max(within, key=lambda row: row["valid_auc"])["flags"])

    def key(self, run: Run) -> str:
        """The key of a run; equal keys mean the same run."""
        facts = [
            run.label,
            run.flags,
            self.grid.common,
            str(run.seed),
            self.labels_hash,
            str(self.teacher),
            str(self.old),
        ]
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]

    def run_missing(self) -> None:
        """Run the missing trials, then what they choose, and publish each as it ends."""
        self.run_these("trials", self.trials())
        self.run_these("runs", self.finals(self.stored()))

    def run_these(self, name: str, runs: Sequence[Run]) -> None:
        """Run those that are not stored."""
        done = self.stored()
        missing = [run for run in runs if self.key(run) not in done]
        print(f"{len(missing)} of {len(runs)} {name} to make", flush=True)
        for number, run in enumerate(missing, 1):
            print(f"\n{number} of {len(missing)}: {run.label}, {run.flags}, seed {run.seed}", flush=True)
            self.publish(self.key(run), self.run(run))

    def run(self, run: Run) -> dict[str, Any]:
        """Make one run; returns the row of the table."""
        started = time.monotonic()
        if run.flags == LINEAR:
            measured = self.linear()
        elif run.flags == TEACHER:
            measured = self.of_teacher()
        else:
            measured = self.distilled(run)
        if run.is_trial:  # whoever chooses settings does not look at test
            measured |= dict.fromkeys(ON_TEST)
        phase = "trial" if run.is_trial else "final"
        facts = {
            "label": run.label,
            "flags": run.flags,
            "seed": run.seed,
            "labels_hash": self.labels_hash,
            "phase": phase,
        }
        wall = {"wall_s": time.monotonic() - started, "ended": datetime.now(UTC)}
        return dict.fromkeys(SCHEME_RUN.columns) | wall | measured | facts

    def distilled(self, run: Run) -> dict[str, Any]:
        """The row of a student, and of the teacher that trained along or whose logits it read."""
        training = training_of(self.grid, run)
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
            f"teacher_{k}": v for k, v in reached(teacher_manifest).items() if k in ("auc", "recall")
        }
        curve = done.manifest["lineage"]["curve"]
        costs = {"cpu_s": float(sum(epoch["cpu_seconds"] for epoch in curve)), "total_cpu_s": self.total(done.manifest)}
        return measured | costs | ({} if run.is_trial else self.against_old(done.version))

    def total(self, manifest: dict[str, Any]) -> float:
        """The CPU seconds of a model and all that it learned from."""
        if self.costs is None:
            self.costs = SchemeCosts(self.registry, self.splits("train")[0].texts)
        return self.costs.total(manifest)

    def of_teacher(self) -> dict[str, Any]:
        """The row of the teacher that the grid names."""
        if self.teacher is None:
            raise BadInput("a run has the flags 'teacher' and the grid names no teacher; add teacher = VERSION to it")
        manifest = self.registry.load(self.teacher).bundle.manifest
        curve = manifest["lineage"]["curve"]
        cost = {
            "wall_s": float(sum(epoch["seconds"] for epoch in curve)),
            "cpu_s": float(sum(epoch["cpu_seconds"] for epoch in curve)),
        }
        return {
            "scheme": BERT,
            "model_version": self.teacher,
            "total_cpu_s": self.total(manifest),
            **reached(manifest),
            **cost,
        }

    def linear(self) -> dict[str, Any]:
        """The row of the linear model on the same labels."""
        cpu = time.process_time()
        splits = self.splits("train", "valid", "test")
        sections = evaluate(train_linear(splits[0]), splits[1], splits[2], 0.95)
        cost = time.process_time() - cpu
        return {"scheme": LINEAR, "cpu_s": cost, "total_cpu_s": cost} | reached(sections)

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
    """AUC, and recall and precision at the threshold, on test, or on valid without a test; the first two on both."""
    metrics = (manifest or {}).get("metrics", {})
    valid = metrics.get("valid") or {}
    at = metrics.get("test") or valid
    return {name: at.get(name) for name in ("auc", "recall", "precision")} | {
        f"valid_{name}": valid.get(name) for name in ("auc", "recall")
    }
