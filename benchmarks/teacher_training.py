"""Ways to train a teacher on a CPU: texts a processor second, and the AUC on valid that each reaches.

    float32         every weight and product in float32
    bfloat16        matrix products in bfloat16, weights in float32: `--precision auto` where a processor multiplies it
    half frozen     bfloat16, and the embeddings and the lower half of the layers stay as they were pretrained

Each way trains the same encoder for one epoch on the same labels with several seeds. Seeds and ways are interleaved.

    .venv/bin/python benchmarks/teacher_training.py --init ENCODER --labelled ../shared/data/labelled
"""

import argparse
import csv
import json
import platform
import shlex
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from teacher_inference import processor

from distill.data.dataset import Examples
from distill.models.bert import from_pretrained
from distill.text.text_batch import normalise_batch
from distill.training.config import TEACHER, Encoder
from distill.training.learner import Learner
from distill.training.loop import Epoch, fit
from distill.training.ranks import SingleProcess
from distill.training.schemes import HardLabel
from distill.training.teacher import VIEW

RESULTS = Path(__file__).parent / "results"
WAYS = {"float32": ("float32", 0.0), "bfloat16": ("bfloat16", 0.0), "half frozen": ("bfloat16", 0.5)}
Rows = tuple[list[str], list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", required=True, help="the encoder")
    parser.add_argument("--labelled", type=Path, required=True, help="folder of train.csv and valid.csv")
    parser.add_argument("--train-rows", type=int, default=4_000)
    parser.add_argument("--valid-rows", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    train, valid = (
        read(args.labelled / "train.csv", args.train_rows),
        read(args.labelled / "valid.csv", args.valid_rows),
    )
    curves: dict[str, list[Epoch]] = {name: [] for name in WAYS}
    for seed in args.seeds:
        for name in WAYS:
            curves[name].append(run(name, args.init, train, valid, seed))
    write(curves, args)


def read(file: Path, rows: int) -> Rows:
    """Rows at equal distances in the file, normalised texts and labels."""
    with open(file, encoding="utf-8-sig", newline="") as lines:
        found = list(csv.DictReader(lines))
    found = found[:: max(1, len(found) // rows)][:rows]
    return normalise_batch([row["text"] for row in found]), [int(row["label"]) for row in found]


def run(name: str, init: str, train: Rows, valid: Rows, seed: int) -> Epoch:
    """One training; the only point of its curve."""
    precision, frozen = WAYS[name]
    config = replace(TEACHER, epochs=1, seed=seed, precision=precision, route=())
    torch.manual_seed(seed)
    model, tokenizer = from_pretrained(init, Encoder.max_length, precision)
    layers = model.encoder.encoder.layer
    if frozen:
        for part in (model.encoder.embeddings, *layers[: round(len(layers) * frozen)]):
            part.requires_grad_(False)

    def examples(rows: Rows) -> Examples:
        view = tokenizer.encode(rows[0])
        return Examples(torch.tensor(rows[1]), {VIEW: view}, torch.empty(len(rows[1]), 0, 2), view.lengths)

    ranks = SingleProcess()
    learner = Learner(VIEW, model, config, ranks)
    (epoch,) = fit(HardLabel(learner, config), [learner], examples(train), examples(valid), config, ranks)
    print(f"{name}, seed {seed}: AUC {epoch.valid:.4f}, {speed(epoch):.1f} texts/s", flush=True)
    return epoch


def speed(epoch: Epoch) -> float:
    """Texts a processor second of the steps, without the validation."""
    return epoch.rows / (epoch.cpu_seconds - epoch.validation_cpu_seconds)


def write(curves: dict[str, list[Epoch]], args: argparse.Namespace) -> None:
    base = curves["float32"]
    lines = {}
    for name, epochs in curves.items():
        gains = [epoch.valid - other.valid for epoch, other in zip(epochs, base, strict=True)]
        speeds = list(map(speed, epochs))
        lines[name] = {
            "texts_per_cpu_s": [round(rate, 1) for rate in speeds],
            "ratio": round(statistics.median(speeds) / statistics.median(map(speed, base)), 2),
            "auc": [round(epoch.valid, 4) for epoch in epochs],
            "auc_gain": round(statistics.mean(gains), 4),
            "auc_gain_error": round(float(np.std(gains, ddof=1)) / len(gains) ** 0.5, 4) if len(gains) > 1 else None,
        }
    content = {
        "command": shlex.join(["benchmarks/teacher_training.py", *sys.argv[1:]]),
        "processor": processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lines": lines,
    }
    (RESULTS / "teacher-training.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    page = [
        "# Training a teacher",
        "",
        f"`{content['command']}`: {', '.join(content['processor'])}; one thread, "
        f"Python {content['python']}, torch {content['torch']}. {args.train_rows:,} labels, one epoch, batches of "
        f"{TEACHER.batch}; the AUC is on {args.valid_rows:,} rows of valid. The gain is the mean over seeds of the "
        "difference to float32 with the same seed, ± its standard error.",
        "",
        "| | texts/CPU-s | ratio | AUC by seed | gain of AUC |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {statistics.median(line['texts_per_cpu_s']):.0f} | {line['ratio']:.2f} | "
            f"{', '.join(f'{auc:.4f}' for auc in line['auc'])} | {line['auc_gain']:+.4f} ± {line['auc_gain_error']} |"
            for name, line in lines.items()
        ),
    ]
    (RESULTS / "teacher-training.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    main()
