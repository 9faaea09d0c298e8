"""Training: texts a second of plain torch, of the training loop alone, and of one and two ranks of Horovod.

A student has the same batch a rank and one thread a rank everywhere. Plain torch is the bare loop: forward,
cross-entropy, backward, AdamW. A teacher (`--init`) has the same batch in all: two threads of one rank share it, or
two ranks of one thread. Medians of interleaved rounds on the same labels.

    .venv/bin/spark-submit --properties-file spark_conf/local/spark-defaults.conf benchmarks/training.py --init ENCODER
"""

import argparse
import json
import platform
import shlex
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from distill.data.dataset import Examples, shard, shuffled
from distill.models.bert import from_pretrained
from distill.models.precision import precision_of
from distill.text.text_batch import normalise_batch
from distill.training.config import TEACHER, Encoder, TrainingConfig
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
WARM_UP = 30  # steps of a student before the clock starts
TEACHER_TEXTS = 4_000
TEACHERS = ("teacher, 1 rank of 2 threads", "teacher, 2 ranks of 1 thread")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000, help="labels to train on")
    parser.add_argument("--steps", type=int, default=120, help="that are timed")
    parser.add_argument("--init", help="the encoder of a teacher, which is timed too")
    parser.add_argument("--teacher-steps", type=int, default=10, help="that are timed")
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
    if args.init:
        teacher = partial(train_teacher, texts=texts, labels=labels, init=args.init, steps=args.teacher_steps)
        lines[TEACHERS[0]] = lambda: launch_once(1, partial(teacher, threads=2))
        lines[TEACHERS[1]] = lambda: launch_once(2, partial(teacher, threads=1))
    speeds: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(args.rounds):
        for name, line in lines.items():
            speeds[name].append(line())
            print(f"{name}: {speeds[name][-1]:.1f} texts/s", flush=True)
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
    """Texts a second of all ranks together, of the steps that the training loop makes with a student."""
    torch.set_num_threads(1)
    config = TrainingConfig()
    student = Student(texts, config)
    learner = Learner(VIEW, student.model, config, ranks)
    batches = shuffled(len(labels), config.batch * ranks.size, 0, 1)
    return speed(ranks, learner, config, examples(student, texts, labels), batches, (WARM_UP, steps))


def train_teacher(
    ranks: ProcessGroup, texts: list[str], labels: list[int], init: str, steps: int, threads: int
) -> float:
    """The same with a teacher; every rank has its part of one batch."""
    torch.set_num_threads(threads)
    model, tokenizer = from_pretrained(init, Encoder.max_length, precision_of(TEACHER.precision, ranks.device))
    view = tokenizer.encode(texts[:TEACHER_TEXTS])
    data = Examples(torch.tensor(labels[:TEACHER_TEXTS]), {VIEW: view}, torch.empty(len(view.lengths), 0, 2))
    batches = shuffled(len(view.lengths), TEACHER.batch, 0, 1, view.lengths)
    return speed(ranks, Learner(VIEW, model, TEACHER, ranks), TEACHER, data, batches, (2, steps))


def speed(
    ranks: ProcessGroup,
    learner: Learner,
    config: TrainingConfig,
    data: Examples,
    batches: list[torch.Tensor],
    steps: tuple[int, int],
) -> float:
    """Texts a second over the second number of steps, after the first."""
    scheme = HardLabel(learner, config)
    learner.model.train()
    began, seen = 0.0, 0
    for step in range(sum(steps)):
        if step == steps[0]:
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
    if TEACHERS[0] in medians:
        ratios["teacher, 2 ranks of 1 thread / 1 rank of 2 threads"] = medians[TEACHERS[1]] / medians[TEACHERS[0]]
    versions = {package: version for package in PACKAGES if (version := installed(package))}
    content: dict[str, Any] = {
        "command": command,
        "machine": f"{platform.machine()}, 2 cores",
        "python": platform.python_version(),
        "versions": versions,
        "texts_per_s": {name: [round(s, 1) for s in rates] for name, rates in speeds.items()},
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }
    (RESULTS / "training.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Training",
        "",
        f"`{command}`: {content['machine']}, Python {content['python']}, torch {versions['torch']}, Horovod "
        f"{versions['horovod']} (Gloo). A student has one thread and 128 texts a rank and step, a teacher 32 texts of "
        "all ranks a step. Medians of interleaved rounds.",
        "",
        "| | texts/s | rounds |",
        "| --- | --- | --- |",
        *(f"| {n} | {figure(medians[n])} | {', '.join(map(figure, rates))} |" for n, rates in speeds.items()),
        "",
        *(f"- {name}: {ratio:.2f}" for name, ratio in ratios.items()),
    ]
    (RESULTS / "training.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


if __name__ == "__main__":
    main()
