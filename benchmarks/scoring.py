"""The night's job beside its floor and beside other ways to score, from Hive table to Hive table, in one run.

    floor     the same rows to Python and back with an identity UDF, and written
    ours      score_opinions as shipped: audit, publish and all
    torch     the same student as a plain torch module with jieba
    onnx      the same student exported, in onnxruntime, with jieba
    linear    Spark ML: hashed 1- to 3-grams of characters and logistic regression, in the JVM alone
    fastText  a supervised fastText model of the same labels
    teacher   the BERT that taught the student, by its lineage

Rows are texts of a day of the stream, repeated to size under fresh ids. Each line has Python workers of its own, so
that their memory can be told apart; rounds are interleaved, figures are medians. A line that would take minutes gets
fewer rows, and its rate is of those.

    .venv/bin/spark-submit --properties-file spark_conf/local/spark-defaults.conf benchmarks/scoring.py --dt 2026-11-10
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import scoring_lines as lines
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from resource_usage import LINE, resource_usage
from scoring_figures import SLOW, Measured, base_size, figures_of, fits, growth_of
from scoring_linear import linear_pipeline, probability
from scoring_page import draw, markdown

from distill.errors import BadInput
from distill.evaluation import metrics
from distill.training.lineage import PACKAGES, installed
from jobs.common.cli import day
from jobs.common.home import home, home_registry
from jobs.score_opinions import parser as flags
from jobs.scoring.scoring_flags import ScoringRun
from jobs.steps.score_day import score_day
from jobs.warehouse import publish
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import LABELLED_OPINION, RAW_OPINION
from jobs.warehouse.warehouse import Warehouse

RESULTS = Path(__file__).parent / "results"
HERE = Path(__file__).parent
LINES = ["floor", "ours", "torch", "onnx", "linear", "fastText", "teacher"]
FIRST_DAY = date(2000, 1, 1)  # of the made-up days, one a size
SAMPLE = flags().get_default("sample")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dt", type=day, required=True, help="a loaded day, whose texts are scored")
    parser.add_argument("--model", default="champion")
    parser.add_argument("--teacher", help="a BERT (default: the first teacher of the model, by its lineage)")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 3_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", nargs="+", choices=LINES, default=LINES)
    parser.add_argument("--name", default="scoring", help="of the files in benchmarks/results")
    args = parser.parse_args()
    spark = spark_session("benchmark of scoring")
    for file in ("scoring_lines.py", "plain_textcnn.py"):
        spark.sparkContext.addPyFile(str(HERE / file))
    bench = Bench(Warehouse(spark, "opinion"), Warehouse(spark, "bench"), args)
    bench.run()
    bench.write(shlex.join(["benchmarks/scoring.py", *sys.argv[1:]]))


class Bench:
    """The lines, ready to run."""

    def __init__(self, opinion: Warehouse, warehouse: Warehouse, args: argparse.Namespace):
        self.opinion, self.warehouse, self.args = opinion, warehouse, args
        self.spark = warehouse.spark
        self.cores = self.spark.sparkContext.defaultParallelism
        self.registry = home_registry()
        self.model = self.registry.load(args.model)
        self.teacher = self.teacher_of_model() if "teacher" in args.lines else None
        self.folder = home() / "tmp" / "bench"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sizes = {rows: str(FIRST_DAY + timedelta(days=i)) for i, rows in enumerate(sorted(args.rows))}
        self.sizes |= {rows: str(FIRST_DAY + timedelta(days=100 + rows // 1000)) for rows in SLOW.values()}
        self.measured: dict[tuple[str, int], Measured] = {}
        self.quality: dict[str, dict[str, float]] = {}
        self.linear: PipelineModel | None = None
        self.named: str | None = None  # the teacher, for its line
        self.loads: dict[str, lines.Load] = {}
        for name in ("floor", "score"):
            self.spark.sql(f"DROP TABLE IF EXISTS bench.{name}")
        columns = ", ".join(f"{c} {kind}" for c, kind in RAW_OPINION.columns.items())
        keys = "PARTITIONED BY (line string, dt string) STORED AS PARQUET"
        self.spark.sql(f"CREATE TABLE bench.floor ({columns}) {keys}")
        self.spark.sql(f"CREATE TABLE bench.score (opinion_id string, score float) {keys}")

    def teacher_of_model(self) -> str:
        """The version of the teacher: another than the student's own would compare two recipes."""
        if self.args.teacher:
            return self.registry.resolve(self.args.teacher)
        taught_by = self.model.bundle.manifest.get("lineage", {}).get("teachers", [])
        if not taught_by:
            raise BadInput(f"{self.model.version} had no teacher: name one with --teacher, or leave it out of --lines")
        return str(taught_by[0]["version"])

    def run(self) -> None:
        """Make what is measured, then measure it, round by round."""
        self.prepare()
        for rows, dt in self.sizes.items():
            self.make_day(dt, rows)
        plan = [(line, rows) for rows in self.args.rows for line in self.args.lines if fits(line, rows)]
        plan += [(line, SLOW[line]) for line in self.args.lines if line in SLOW]
        for line in self.args.lines:  # starts the workers, compiles, loads the models
            self.job(line, self.sizes[min(self.args.rows) if line not in SLOW else SLOW["teacher"]])
        for number in range(self.args.rounds):
            for line, rows in plan:
                measured = self.measured.setdefault((line, rows), Measured(rows))
                with resource_usage(line) as used:
                    began = time.perf_counter()
                    self.job(line, self.sizes[rows])
                    measured.seconds.append(time.perf_counter() - began)
                measured.worker_s.append(used.worker_s)
                measured.jvm_s.append(used.jvm_s)
                measured.worker_mib = max(measured.worker_mib, used.worker_mib)
                measured.jvm_mib = max(measured.jvm_mib, used.jvm_mib)
                print(f"round {number + 1}: {line} {rows} rows {measured.seconds[-1]:.1f} s", flush=True)

    def prepare(self) -> None:
        """Train and export the other models, and find how good each is."""
        rows = self.opinion.read(LABELLED_OPINION).select("text", "label", "split").toPandas()
        splits = {name: part for name, part in rows.groupby("split")}
        path, wanted = self.model.path, set(self.args.lines)
        makers: dict[str, Callable[[], lines.Load]] = {
            "ours": lambda: lines.student(path),
            "torch": lambda: lines.plain_torch(path),
            "onnx": lambda: lines.onnx(path, lines.export_onnx(path, self.folder)),
            "fastText": lambda: lines.fasttext(
                lines.train_fasttext(splits["train"].text.tolist(), splits["train"].label.tolist(), self.folder)
            ),
            "teacher": lambda: lines.teacher(self.registry.path(str(self.teacher))),
        }
        self.loads = {name: make() for name, make in makers.items() if name in wanted}
        for name, load in self.loads.items():
            if name == "teacher":  # its own figures, on the same rows; to score them again here takes minutes
                saved = self.registry.load(str(self.teacher))
                self.named = f"{self.teacher}, {lines.size_of(saved.bundle)}, float32"
                test = saved.bundle.manifest["metrics"]["test"]
                self.quality[name] = {"auc": test["auc"], "recall_at_95_precision": test["recall"]}
                continue
            score = load()
            self.rate(name, splits, {split: score(splits[split].text.tolist()) for split in ("valid", "test")})
        if "linear" in wanted:
            self.linear = linear_pipeline().fit(self.opinion.read(LABELLED_OPINION).where("split = 'train'"))
            prepared = {}
            for split in ("valid", "test"):
                transformed = self.linear.transform(self.spark.createDataFrame(splits[split][["text", "label"]]))
                prepared[split] = np.array(
                    [row.score for row in transformed.select(probability().alias("score")).collect()], np.float32
                )
            self.rate("linear", splits, prepared)

    def rate(self, name: str, splits: dict[str, Any], scores: dict[str, Any]) -> None:
        """AUC and recall on test, the threshold of 95% precision chosen on valid."""
        chosen = metrics.threshold_at_precision(splits["valid"].label.to_numpy(), scores["valid"], 0.95)
        truth = splits["test"].label.to_numpy()
        reached = metrics.precision_recall_at(truth, scores["test"], chosen.value)
        self.quality[name] = {"auc": metrics.auc(truth, scores["test"]), "recall_at_95_precision": reached.recall}
        print(f"{name}: {self.quality[name]}", flush=True)

    def make_day(self, dt: str, rows: int) -> None:
        """A day of so many rows in bench.raw_opinion, unless it is there."""
        if self.warehouse.read(RAW_OPINION, dt=dt).count() == rows:
            return
        texts = self.opinion.read(RAW_OPINION, dt=self.args.dt).where("text is not null").drop("dt", "opinion_id")
        numbered = (
            texts.rdd.zipWithIndex()
            .map(lambda pair: (pair[1], *pair[0]))
            .toDF("n long, text string, source string, published_at timestamp")
        )
        count = numbered.count()
        ids = self.spark.range(rows, numPartitions=max(1, rows // 250_000)).withColumn("n", F.col("id") % count)
        made = ids.join(F.broadcast(numbered), "n").withColumn("opinion_id", F.format_string("bench-%09d", "id"))
        with publish.run(self.warehouse, "load_opinions", f"dt={dt}", [(RAW_OPINION, {"dt": dt})]) as run:
            run.stage(made.select(F.lit(RAW_OPINION.name).alias("table"), *RAW_OPINION.columns), [RAW_OPINION])
            run.switch([(RAW_OPINION, {"dt": dt})])

    def job(self, line: str, dt: str) -> None:
        """Score a made-up day in one of the ways."""
        self.spark.sparkContext.environment[LINE] = line
        if line == "ours":
            score_day(self.warehouse, dt, ScoringRun(self.model, sample=SAMPLE))
            return
        raw = self.warehouse.read(RAW_OPINION, dt=dt).drop("dt")
        if line == "floor":
            self.insert("floor", line, dt, raw.mapInArrow(lines.identity(), RAW_OPINION.ddl))
        elif line == "linear":
            assert self.linear is not None
            self.insert("score", line, dt, self.linear.transform(raw).select("opinion_id", probability()))
        else:
            udf = lines.scores_of(line, self.loads[line])
            rows = raw.select("opinion_id", "text").mapInArrow(udf, "opinion_id string, score float")
            self.insert("score", line, dt, rows)

    def insert(self, table: str, line: str, dt: str, rows: DataFrame) -> None:
        rows.createOrReplaceTempView("scored")
        self.spark.sql(
            f"INSERT OVERWRITE TABLE bench.{table} PARTITION (line='{line}', dt='{dt}') SELECT * FROM scored"
        )

    def write(self, command: str) -> None:
        """Results for machines, for people, and a plot."""
        base = base_size(self.args.rows)
        growth = growth_of(self.measured, self.args.lines, self.args.rows)
        memory = {rows: round(self.measured["ours", rows].worker_mib) for rows in self.args.rows}
        content = {
            "command": command,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "cores": self.cores,
            "python": platform.python_version(),
            "versions": {p: v for p in (*PACKAGES, "onnxruntime", "fasttext-numpy2-wheel") if (v := installed(p))},
            "model": self.model.version,
            "teacher_model": self.named,
            "rows": base,
            "rounds": self.args.rounds,
            **figures_of(self.measured, self.args.lines, base, self.cores, self.quality),
            "us_per_row_by_rows": growth,
            "ours_peak_rss_mb_by_rows": memory,
        }
        (RESULTS / f"{self.args.name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        text = markdown(content, self.args.lines, self.args.name)
        (RESULTS / f"{self.args.name}.md").write_text(text, encoding="utf-8")
        draw(growth, RESULTS / f"{self.args.name}.png")
        print(text)


if __name__ == "__main__":
    main()
