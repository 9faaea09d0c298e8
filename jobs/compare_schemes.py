"""Run a declared grid of schemes and seeds, keep one row a run in scheme_run, and write a report of all rows.

The grid is a TOML file (see benchmarks/*.toml). A run that is in the table, with the same flags, seed and labels, is
skipped, so that a grid that was stopped goes on where it was.
"""

import hashlib
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distill import metrics
from distill.dataset import Labelled, read_labelled
from distill.errors import BadInput
from distill.registry import Registry
from jobs import distill_student, publish, student_flags, time_zones
from jobs.cli import home, job_parser, run_main
from jobs.grid import LINEAR, TEACHER, Entry, Grid, flags_of, read_grid
from jobs.scheme_report import write_report
from jobs.session import spark_session
from jobs.snapshot import COLUMNS, Wanted, hash_of, take
from jobs.tables import LABELLED_OPINION, SCHEME_RUN
from jobs.warehouse import Warehouse


def main() -> None:
    """Run what is missing, then report."""
    parser = job_parser(__doc__, "jobs/compare_schemes.py --grid benchmarks/offline.toml")
    parser.add_argument("--grid", type=Path, required=True, help="the runs, as TOML")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the report")
    parser.add_argument("--report-only", action="store_true", help="run nothing, report what is in the table")
    args = parser.parse_args()
    grid = read_grid(args.grid)
    warehouse = Warehouse(spark_session("compare_schemes"), args.database)
    compare = Compare(warehouse, Registry(str(home() / "registry")), grid)
    if not args.report_only:
        compare.run_missing()
    command = shlex.join(["jobs/compare_schemes.py", "--grid", str(args.grid)])
    rows = compare.rows()
    print(write_report(rows, compare.curves(rows), grid.experiment, grid.title, command, args.out), flush=True)


class Compare:
    """A grid on one warehouse."""

    def __init__(self, warehouse: Warehouse, registry: Registry, grid: Grid):
        self.warehouse, self.registry, self.grid = warehouse, registry, grid
        self.labels_hash = hash_of(warehouse.read(LABELLED_OPINION).select(COLUMNS))
        self.teacher = registry.resolve(grid.teacher) if grid.teacher else None
        self.old = registry.resolve(grid.old) if grid.old else None

    def rows(self) -> list[dict[str, Any]]:
        """What the table holds of this grid and these labels, in the grid's order."""
        found = self.warehouse.read(SCHEME_RUN, experiment=self.grid.experiment)
        there = {
            row["run"]: row.asDict() for row in time_zones.collect(found.where(found.labels_hash == self.labels_hash))
        }
        return [there[key] for entry, seed in self.all_runs() if (key := self.key(entry, seed)) in there]

    def all_runs(self) -> list[tuple[Entry, int]]:
        """Every run: seed by seed, so that a grid that is stopped has compared all schemes at least once."""
        seeds = self.grid.seeds
        once = (LINEAR, TEACHER)
        runs = [(e, s) for s in seeds for e in self.grid.run if s in (e.seeds or seeds) and e.flags not in once]
        return [(entry, 0) for entry in self.grid.run if entry.flags in once] + runs

    def key(self, entry: Entry, seed: int) -> str:
        """What makes two runs the same."""
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
        """Run what the table does not hold; each run is published as it ends."""
        done = {row["run"] for row in self.rows()}
        runs = [(entry, seed) for entry, seed in self.all_runs() if self.key(entry, seed) not in done]
        print(f"{len(runs)} of {len(self.all_runs())} runs to make", flush=True)
        for number, (entry, seed) in enumerate(runs, 1):
            print(f"\n{number} of {len(runs)}: {entry.label}, seed {seed}", flush=True)
            self.publish(self.key(entry, seed), self.run(entry, seed))

    def run(self, entry: Entry, seed: int) -> dict[str, Any]:
        """Make one run; the row of the table."""
        started = time.monotonic()
        if entry.flags == LINEAR:
            found = self.linear()
        elif entry.flags == TEACHER:
            found = self.of_teacher()
        else:
            found = self.distilled(entry, seed)
        facts = {"label": entry.label, "flags": entry.flags, "seed": seed, "labels_hash": self.labels_hash}
        wall = {"wall_s": time.monotonic() - started, "ended": datetime.now(UTC)}
        return dict.fromkeys(SCHEME_RUN.columns) | wall | found | facts

    def distilled(self, entry: Entry, seed: int) -> dict[str, Any]:
        """A student, and the teacher that trained along or whose logits it read."""
        args = student_flags.parser().parse_args(flags_of(self.grid, entry, seed))
        args.database = self.warehouse.database
        done = distill_student.distil(lambda: self.warehouse.spark, args)
        beside = done.teacher_manifest
        version = done.teacher_version or (self.registry.resolve(args.teacher[0]) if args.teacher else None)
        if version and beside is None:
            _, bundle = self.registry.load(version)
            beside = bundle.manifest
        found = {"scheme": args.scheme, "model_version": done.version, "teacher_version": version}
        found |= reached(done.manifest) | {f"teacher_{k}": v for k, v in reached(beside).items() if k != "precision"}
        curve = done.manifest["lineage"]["curve"]
        return found | {"cpu_s": float(sum(epoch["cpu_seconds"] for epoch in curve))} | self.against_old(done.version)

    def of_teacher(self) -> dict[str, Any]:
        """The row of the teacher that the grid names."""
        if self.teacher is None:
            raise BadInput("a run has the flags 'teacher' and the grid names no teacher")
        _, bundle = self.registry.load(self.teacher)
        curve = bundle.manifest["lineage"]["curve"]
        cpu = [epoch["cpu_seconds"] for epoch in curve if "cpu_seconds" in epoch]  # older trainings did not count it
        cost = {"wall_s": float(sum(epoch["seconds"] for epoch in curve)), "cpu_s": float(sum(cpu)) if cpu else None}
        return {"scheme": "bert", "model_version": self.teacher} | reached(bundle.manifest) | cost

    def linear(self) -> dict[str, Any]:
        """The row of the linear model on the same labels."""
        from distill.evaluation import evaluate
        from distill.linear import train_linear

        cpu = time.process_time()
        splits = self.splits("train", "valid", "test")
        found = evaluate(train_linear(splits[0]), splits[1], splits[2], 0.95)
        return {"scheme": LINEAR, "cpu_s": time.process_time() - cpu} | reached(found)

    def splits(self, *names: str) -> list[Labelled]:
        """Splits of the labels as the runs see them, with the common flags that choose rows."""
        folder = home() / "train" / f"compare-{self.grid.experiment}-{self.labels_hash}"
        if not folder.exists():
            args = student_flags.parser().parse_args(shlex.split(self.grid.common))
            wanted = Wanted(sources=args.sources, train_rows=args.train_rows)
            take(self.warehouse, str(folder), wanted)
        return [read_labelled(f"{folder}/labels", name) for name in names]

    def against_old(self, version: str) -> dict[str, Any]:
        """How the decisions on test differ from those of the old version."""
        if self.old is None:
            return {}
        (test,) = self.splits("test")
        old, new = (self.decisions(name, test) for name in (self.old, version))
        return {
            "coverage": metrics.coverage(test.labels, old, new),
            "churn": metrics.churn(old, new),
            "negative_flips": metrics.negative_flips(test.labels, old, new),
        }

    def decisions(self, version: str, rows: Labelled) -> npt.NDArray[np.bool_]:
        """What a student calls valid complaints."""
        scores, threshold = self.scores(version, rows)
        return scores >= threshold

    def scores(self, version: str, rows: Labelled) -> tuple[npt.NDArray[np.float32], float]:
        """Scores of a student, float32 (rows,), and its threshold."""
        from distill.scorer import Scorer
        from distill.student import score_normalised

        _, bundle = self.registry.load(version)
        scorer = Scorer(bundle)
        return score_normalised(scorer, rows.texts), float(scorer.threshold)

    def curves(self, rows: list[dict[str, Any]]) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Recall and precision on test of the first student of each label that is still in the registry."""
        from sklearn.metrics import precision_recall_curve

        found: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
        there = set(self.registry.versions())
        for row in rows:
            version = row["model_version"]
            if row["label"] not in found and row["scheme"] not in (LINEAR, "bert") and version in there:
                (test,) = self.splits("test")
                precision, recall, _ = precision_recall_curve(test.labels, self.scores(version, test)[0])
                found[row["label"]] = (recall, precision)
        return found

    def publish(self, key: str, row: dict[str, Any]) -> None:
        """Put the row of a run into the table."""
        from pyspark.sql import functions as F

        partition = {"experiment": self.grid.experiment, "run": key}
        unit = f"{self.grid.experiment}+{key}"
        with publish.run(self.warehouse, "compare_schemes", unit, [(SCHEME_RUN, partition)]) as run:
            values = [[row[column] for column in SCHEME_RUN.columns]]
            rows = self.warehouse.spark.createDataFrame(values, SCHEME_RUN.ddl)
            run.stage(rows.withColumn("table", F.lit(SCHEME_RUN.name)), [SCHEME_RUN])
            run.switch([(SCHEME_RUN, partition)])


def reached(manifest: dict[str, Any] | None) -> dict[str, float | None]:
    """AUC, and recall and precision at the threshold, on test; on valid where there is no test."""
    found = (manifest or {}).get("metrics", {})
    at = found.get("test") or found.get("valid") or {}
    return {name: at.get(name) for name in ("auc", "recall", "precision")}


if __name__ == "__main__":
    run_main(main)
