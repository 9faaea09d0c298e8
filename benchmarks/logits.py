"""Storing a teacher's logits: texts and tokens a second of the job's loop, beside the plain ones, in one run.

    padded    one process, one thread: batches of 32 texts, each padded to the longest that the teacher reads
    bucketed  the same, batches of similar length within a budget of tokens: what the job runs in each task
    outside   two processes of one thread, bucketed, no Spark
    spark     the same two halves as tasks of the job's own function, model loaded before

Rounds are interleaved; figures are medians. The padded loop gets a sample of the texts, since it is slow.

    .venv/bin/spark-submit --properties-file spark_conf/local/spark-defaults.conf benchmarks/logits.py \
        --teacher bert --stream ../shared/data/stream/dt=2026-11-09.jsonl.gz
"""

import argparse
import contextlib
import gzip
import json
import multiprocessing
import shlex
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd
import torch
from scoring_lines import size_of

from distill.models import bundle as bundles
from distill.scoring.logits import BertTeacher, teacher_of
from distill.text.normalisation import unscorable_reason
from distill.text.text_batch import normalise_batch
from jobs.common.home import home_registry
from jobs.training.logit_store import COMPUTED, logits_of
from jobs.warehouse.session import spark_session
from jobs.warehouse.shipping import ship

RESULTS = Path(__file__).parent / "results"
PADDED_BATCH, PADDED_SHARE = 32, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", default="bert")
    parser.add_argument("--stream", type=Path, required=True, help="a day of the stream, .jsonl.gz")
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    texts = read(args.stream)[: args.texts]
    registry = home_registry()
    version = registry.resolve(args.teacher)
    path = registry.path(version)
    torch.set_num_threads(1)
    bundle = bundles.load(path)
    teacher = teacher_of(bundle, args.precision)
    assert isinstance(teacher, BertTeacher)
    lengths = teacher.tokenizer.encode(texts).lengths
    halves = [texts[0::2], texts[1::2]]
    sample = texts[::PADDED_SHARE]
    loops = [(lambda: padded(teacher, sample), len(sample)), (lambda: teacher.logits(texts), len(texts))]
    workers = [start(path, args.precision) for _ in halves]
    spark = spark_session("benchmark_logits")
    ship(spark, path)
    rows = spark.createDataFrame(pd.DataFrame({"text_hash": texts, "text": texts})).repartition(2).persist()
    function = logits_of(version, bundles.load_manifest(path)[1], args.precision)

    def job(count: int | None = None) -> None:
        chosen = rows.limit(count).repartition(2) if count else rows
        chosen.mapInArrow(function, COMPUTED).write.format("noop").mode("overwrite").save()

    rows.count()
    job(64)  # loads the model in the two workers
    loops += [(lambda: both(workers, halves), len(texts)), (job, len(texts))]
    names = ("padded", "bucketed", "outside", "spark")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(args.rounds):
        for name, (loop, _) in zip(names, loops, strict=True):
            started = time.monotonic()
            loop()
            seconds[name].append(time.monotonic() - started)
    speed = {name: count / statistics.median(seconds[name]) for name, (_, count) in zip(names, loops, strict=True)}
    named = f"{version}, {size_of(bundle)}"
    write(speed, float(lengths.float().mean()), seconds, named, args)


def read(path: Path) -> list[str]:
    """The different texts of a day that can be scored."""
    texts = []
    with gzip.open(path) as file:
        for line in file:
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                continue
            if isinstance(text, str):
                texts.append(text)
    return [text for text in dict.fromkeys(normalise_batch(texts)) if unscorable_reason(text) is None]


@torch.no_grad()
def padded(teacher: BertTeacher, texts: list[str]) -> None:
    fast = teacher.tokenizer._fast
    for first in range(0, len(texts), PADDED_BATCH):
        part = texts[first : first + PADDED_BATCH]
        batch = fast(
            part, truncation=True, max_length=teacher.tokenizer.max_length, padding="max_length", return_tensors="pt"
        )
        outputs = teacher.model.encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        teacher.model.output(outputs.last_hidden_state.mean(1))


def start(path: str, precision: str) -> Connection:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, path, precision), daemon=True).start()
    assert ours.recv() == "ready"
    return ours


def serve(pipe: Connection, path: str, precision: str) -> None:
    torch.set_num_threads(1)
    teacher = teacher_of(bundles.load(path), precision)
    pipe.send("ready")
    with contextlib.suppress(EOFError):  # the benchmark has ended
        while True:
            pipe.send(len(teacher.logits(pipe.recv())))


def both(workers: list[Connection], halves: list[list[str]]) -> None:
    for worker, half in zip(workers, halves, strict=True):
        worker.send(half)
    for worker in workers:
        worker.recv()


def write(
    speed: dict[str, float], tokens: float, seconds: dict[str, list[float]], named: str, args: argparse.Namespace
) -> None:
    command = shlex.join(["benchmarks/logits.py", *sys.argv[1:]])
    lines = [
        "# Storing a teacher's logits",
        "",
        f"`{command}`, teacher {named}, {args.precision}; {args.texts} texts of {tokens:.1f} tokens on average, "
        f"median of {args.rounds} interleaved rounds.",
        "",
        "| loop | texts/s | tokens/s | seconds of each round |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {value:.0f} | {value * tokens:.0f} | {', '.join(f'{s:.1f}' for s in seconds[name])} |"
            for name, value in speed.items()
        ),
        "",
        f"Bucketed against padded: {speed['bucketed'] / speed['padded']:.1f} times. "
        f"Spark against the same loop outside: {speed['spark'] / speed['outside']:.2f}.",
    ]
    content = {
        "command": command,
        "teacher": named,
        "tokens_per_text": tokens,
        "texts_per_s": speed,
        "seconds": seconds,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "logits.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "logits.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
