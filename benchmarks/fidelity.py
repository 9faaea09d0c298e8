"""How well a student follows its teacher, and on which texts: where it fails says what it lacks.

Students of the present recipe learn the labels and 0, 3 and 6 days of the stream with the teacher's stored logits.
Each is compared with the teacher on labelled texts that it learned, on the first day of the stream, on the last day,
which none of them learns, and on valid. Equal everywhere means that it lacks capacity; good on what it learned and poor
elsewhere means that it lacks coverage.

    .venv/bin/python benchmarks/fidelity.py --home DIR

A student that is trained in the home is not trained again.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers_data import every, judged_rows, read_splits, transfer_set
from second_reader_days import TARGET

from distill import CHECKOUT
from distill.data.labelled import Splits, TextRows, concat
from distill.evaluation import metrics
from distill.evaluation.comparison import Ranked
from distill.models import bundle as bundles
from distill.scoring.scorer import Scorer, margins_of
from distill.training.config import Outputs, TrainingConfig, TrainingTask
from distill.training.ranks import SingleProcess
from distill.training.student import train_student

RESULTS = Path(__file__).parent / "results"
SHARED = CHECKOUT.parent / "shared"
DAYS = [f"2026-11-{day:02}" for day in range(9, 20)]
CURVE = (0, 3, 6)
TEMPERATURE = TrainingConfig.temperature
PART = 5  # every fifth learned label is compared


def main() -> None:
    """Train what is not trained, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="work folder, kept from run to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labelled", type=Path, default=SHARED / "data/labelled", help="train, valid and test.csv")
    parser.add_argument("--teacher", type=Path, default=SHARED / "models/teacher", help="folder of bundle and logits")
    parser.add_argument("--stream", type=Path, default=SHARED / "data/stream", help="folder of dt=DAY.jsonl.gz")
    parser.add_argument("--oracle", type=Path, default=SHARED / "data/stream_truth/labels_2026-11-09_to_19.csv.gz")
    args = parser.parse_args()
    torch.set_num_threads(1)
    train, valid, test = read_splits(args)
    sets = {
        "labels that it learned": every(train, PART),
        f"the stream of {DAYS[0]}": judged_rows(args, DAYS[:1]),
        f"the stream of {DAYS[-1]}, which none learned": judged_rows(args, DAYS[-1:]),
        "valid": valid,
    }
    known = {*train.texts, *valid.texts, *test.texts}
    rows = []
    for days in CURVE:
        learned = concat(train, transfer_set(args, known, DAYS[:days])) if days else train
        folder = args.home / f"{days}-days-{args.seed}"
        if not (folder / "model").exists():
            task = TrainingTask(TrainingConfig(seed=args.seed), TARGET, outputs=Outputs(str(folder / "checkpoints")))
            bundle = train_student(SingleProcess(), Splits(learned, valid, None), task, "offline")
            assert bundle, "a single process has rank 0"
            bundles.save(folder / "model", bundle.tensors, bundle.files, bundle.manifest)
        scorer = Scorer(bundles.load(folder / "model"))
        rows += [{"days": days, "texts": name, **followed(scorer, part)} for name, part in sets.items()]
        print(json.dumps(rows[-len(sets) :], indent=1), flush=True)
    write(rows, args)


def followed(scorer: Scorer, rows: TextRows) -> dict[str, Any]:
    """How a student follows the teacher on rows, and how both rank them.

    kl: the mean of KL(teacher, student) at the training's temperature. agreement: of the more likely label.
    """
    kept = ~np.isnan(rows.logits[:, 0]).any(1)
    texts = [text for text, one in zip(rows.texts, kept, strict=True) if one]
    ours, theirs = scorer.margins_normalised(texts), margins_of(rows.logits[kept, 0])
    labels = rows.labels[kept]
    p, q = (1 / (1 + np.exp(-margins / TEMPERATURE)) for margins in (theirs, ours))
    return {
        "rows": len(texts),
        "kl": float((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean()),
        "agreement": float(((ours > 0) == (theirs > 0)).mean()),
        "auc": metrics.auc(labels, ours),
        "recall_at_95_precision": Ranked(labels, ours).recall(TARGET),
        "teacher_auc": metrics.auc(labels, theirs),
        "teacher_recall_at_95_precision": Ranked(labels, theirs).recall(TARGET),
    }


def write(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """The figures as JSON and as a page."""
    words = ["DIR" if word == str(args.home) else word for word in sys.argv[1:]]  # a page names no folder of a machine
    command = shlex.join(["benchmarks/fidelity.py", *words])
    (RESULTS / "fidelity.json").write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")
    lines = [
        "# How a student follows its teacher",
        "",
        f"`{command}`. KL(teacher, student) at T = {TEMPERATURE:g}; agreement of the more likely label; recall is "
        "the best at 95% precision.",
        "",
        "| days learned | texts | KL | agreement | AUC | of the teacher | recall | of the teacher |",
        "|" + " --- |" * 8,
        *(
            f"| {row['days']} | {row['texts']} | {row['kl']:.4f} | {row['agreement']:.3f} | {row['auc']:.4f} "
            f"| {row['teacher_auc']:.4f} | {row['recall_at_95_precision']:.3f} "
            f"| {row['teacher_recall_at_95_precision']:.3f} |"
            for row in rows
        ),
    ]
    (RESULTS / "fidelity.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
