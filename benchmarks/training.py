"""Training a student: texts a second of plain torch, of the training loop alone, and of one and two ranks of Horovod.

The same labels, batch a rank, network and optimizer, one thread a rank; the medians of interleaved rounds. Plain torch
is the bare loop: forward, cross-entropy, backward, AdamW.

    .venv/bin/spark-submit --properties-file spark_conf/local/spark-defaults.conf benchmarks/training.py
"""

import argparse
import json
import platform
import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from distill.data.dataset import Examples, shard, shuffled
from distill.text.text_batch import normalise_batch
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.lineage import PACKAGES, installed
from distill.training.ranks import ProcessGroup, SingleProcess
from distill.training.schemes import HardLabel
from distill.training.student import VIEW, Student
from jobs.training.launch import launch_once
from jobs.warehouse.session import spark_session
from jobs.warehouse.tables import LABELLED_OPINION
from jobs.warehouse.warehouse import Warehouse

RESULTS = Path(__file__).parent / "results"
WARM_UP = 30  # steps before the clock starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000, help="labels to train on")
    parser.add_argument("--steps", type=int, default=120, help="that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warehouse = Warehouse(spark_session("benchmark of training"), "opinion")
    rows = warehouse.read(LABELLED_OPINION).where("split = 'train'").orderBy("opinion_id").limit(args.rows).toPandas()
    texts, labels = normalise_batch(rows["text"].tolist()), rows["label"].tolist()
    lines = {
        "plain torch": lambda: plain(texts, labels, args.steps),
        "the loop alone": lambda: train(SingleProcess(), texts, labels, args.steps),
        "Horovod, 1 rank": lambda: launch_once(1, lambda ranks: train(ranks, texts, labels, args.steps)),
        "Horovod, 2 ranks": lambda: launch_once(2, lambda ranks: train(ranks, texts, labels, args.steps)),
    }
    speeds: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(args.rounds):
        for name, line in lines.items():
            speeds[name].append(line())
            print(f"{name}: {speeds[name][-1]:.0f} texts/s", flush=True)
    write(speeds, shlex.join(["benchmarks/training.py", *sys.argv[1:]]))


def examples(student: Student, texts: list[str], labels: list[int]) -> Examples:
    return Examples(torch.tensor(labels), {VIEW: student.view(texts)}, torch.empty(len(labels), 0, 2))


def plain(texts: list[str], labels: list[int], steps: int) -> float:
    """Texts a second of the bare loop."""
    torch.set_num_threads(1)
    config = TrainingConfig()
    student = Student(texts, config)
    model, data = student.model, examples(student, texts, labels)
    optimizer = torch.optim.AdamW(model.groups(config.learning_rate, config.weight_decay), fused=True)
    began, seen = 0.0, 0
    for step, rows in enumerate(shuffled(len(labels), config.batch, 0, 1)[: WARM_UP + steps]):
        if step == WARM_UP:
            began, seen = time.perf_counter(), 0
        batch = data.batch(rows, torch.device("cpu"))
        optimizer.zero_grad()
        F.cross_entropy(model(batch.inputs[VIEW]), batch.labels).backward()
        optimizer.step()
        seen += len(rows)
    return seen / (time.perf_counter() - began)


def train(ranks: ProcessGroup, texts: list[str], labels: list[int], steps: int) -> float:
    """Texts a second of all ranks together, of the steps that the training loop makes."""
    torch.set_num_threads(1)
    config = TrainingConfig()
    student = Student(texts, config)
    data = examples(student, texts, labels)
    learner = Learner(VIEW, student.model, config, ranks)
    scheme = HardLabel(learner, config)
    learner.model.train()
    began, seen = 0.0, 0
    batches = shuffled(len(labels), config.batch * ranks.size, 0, 1)
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            ranks.total(0, "together")
            began, seen = time.perf_counter(), 0
        batch = batches[step % (len(batches) - 1)]
        scheme.step([data.batch(shard(batch, ranks.rank, ranks.size), ranks.device)], len(batch))
        learner.update_ema(step)
        seen += len(batch)
    ranks.total(0, "together")
    return seen / (time.perf_counter() - began)


def write(speeds: dict[str, list[float]], command: str) -> None:
    medians = {name: statistics.median(rates) for name, rates in speeds.items()}
    ratios = {
        "Horovod, 1 rank / plain torch": medians["Horovod, 1 rank"] / medians["plain torch"],
        "Horovod, 2 ranks / 1 rank": medians["Horovod, 2 ranks"] / medians["Horovod, 1 rank"],
    }
    versions = {package: version for package in PACKAGES if (version := installed(package))}
    content: dict[str, Any] = {
        "command": command,
        "machine": f"{platform.machine()}, 2 cores",
        "python": platform.python_version(),
        "versions": versions,
        "texts_per_s": {name: [round(s) for s in rates] for name, rates in speeds.items()},
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }
    (RESULTS / "training.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Training a student",
        "",
        f"`{command}`: {content['machine']}, Python {content['python']}, torch {versions['torch']}, Horovod "
        f"{versions['horovod']} (Gloo), one thread a rank, 128 texts a rank and step; medians of interleaved rounds.",
        "",
        "| | texts/s | rounds |",
        "| --- | --- | --- |",
        *(f"| {n} | {medians[n]:,.0f} | {', '.join(f'{s:,.0f}' for s in rates)} |" for n, rates in speeds.items()),
        "",
        *(f"- {name}: {ratio:.2f}" for name, ratio in ratios.items()),
    ]
    (RESULTS / "training.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
