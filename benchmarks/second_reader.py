"""A second reader's budget against quality and seconds, on days with an oracle, from stored logits of the teacher.

Each day is judged with a threshold and a combination from the labels of the other days, and all days are ranked
together. The threshold is the lowest student margin with 95% precision on the other days; a budget's texts are the
nearest to it. A second table compares labels for the combination, at the first budget of 5% or more: those of a few
rows drawn as a night's sample draws them (85% of them above a score of 0.5, denser towards high scores), of valid, and
of both.

The student of the committed results has the scheme offline, the stored logits of the labels and of the six days before,
three epochs, and no embeddings of the teacher: AUC 0.983 and recall 0.836 at 95% precision on test.

Seconds are processor seconds of one core: the student's of the scoring, the teacher's of reading some of the nearest
texts, float32, batches of similar length, per text.

    .venv/bin/python benchmarks/second_reader.py --student var/registry/versions/VERSION
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nights import read_oracle
from second_reader_days import TARGET, Fold, Numbers, folds_of, read_day, read_valid
from second_reader_page import draw, markdown

from distill import CHECKOUT
from distill.errors import BadInput
from distill.evaluation import combination, metrics
from distill.evaluation.combination import ReadLabels
from distill.evaluation.comparison import Ranked
from distill.models import bundle as bundles
from distill.scoring.logits import teacher_of
from distill.scoring.scorer import Scorer
from distill.scoring.second_reader import Combination

RESULTS = Path(__file__).parent / "results"
SHARED = CHECKOUT.parent / "shared"
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)
DRAWS, PER_SAMPLE = 6, (120, 300, 600)


def main() -> None:
    """Read the days, measure the curve and the fits, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, required=True, help="folder of a student's bundle")
    parser.add_argument("--teacher", type=Path, default=SHARED / "models/teacher", help="folder of bundle and logits")
    parser.add_argument("--stream", type=Path, default=SHARED / "data/stream", help="folder of dt=DAY.jsonl.gz")
    parser.add_argument("--valid", type=Path, default=SHARED / "data/labelled/valid.csv", help="labels of valid")
    parser.add_argument(
        "--labels", type=Path, default=SHARED / "data/stream_truth/labels_2026-11-09_to_19.csv.gz", help="the oracle"
    )
    parser.add_argument("--days", nargs="+", default=[f"2026-11-{day}" for day in range(15, 20)])
    parser.add_argument("--timed", type=int, default=400, help="texts that the teacher reads for the seconds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    scorer, oracle = Scorer(bundles.load(str(args.student))), read_oracle(args.labels)
    folds = folds_of({dt: read_day(args, scorer, dt, oracle[dt]) for dt in args.days})
    valid = read_valid(args, scorer)
    seconds = student_seconds(scorer, folds), teacher_seconds(args, folds[-1])
    numbers = [fitted(fold.others, valid) for fold in folds]  # as on a night: all labels of the other days, and valid
    curve = [budget(folds, numbers, share, seconds) for share in SHARES]
    teacher = quality(folds, [fold.day.rows.reader for fold in folds])
    fits = compare_fits(folds, valid, next(share for share in SHARES if share >= 0.05))
    (RESULTS / "second-reader.json").write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "second-reader-fits.json").write_text(json.dumps(fits, indent=1) + "\n", encoding="utf-8")
    command = shlex.join(["benchmarks/second_reader.py", *sys.argv[1:]])
    page = markdown(command, curve, fits, teacher, seconds)
    (RESULTS / "second-reader.md").write_text(page, encoding="utf-8")
    draw(curve, teacher, RESULTS / "second-reader.png")
    print(page)


def student_seconds(scorer: Scorer, folds: list[Fold]) -> float:
    """Processor seconds of the student per text."""
    texts = [text for fold in folds for text in fold.day.texts]
    scorer.margins_normalised(texts[:1000])
    started = time.process_time()
    scorer.margins_normalised(texts)
    return (time.process_time() - started) / len(texts)


def teacher_seconds(args: argparse.Namespace, fold: Fold) -> float:
    """Processor seconds of the teacher per text, of those nearest to the threshold of a day."""
    texts = list(dict.fromkeys(fold.day.texts[row] for row in np.argsort(fold.rank, kind="stable")))[: args.timed]
    teacher = teacher_of(bundles.load(str(args.teacher / "bundle")), "float32", threads=1)
    teacher.logits(texts[:8])
    started = time.process_time()
    teacher.logits(texts)
    return (time.process_time() - started) / len(texts)


def quality(folds: list[Fold], margins: list[Numbers]) -> dict[str, float]:
    """Area under the curve and recall at the target precision, of all days ranked together."""
    labels, ranked = np.concatenate([fold.day.rows.labels for fold in folds]), np.concatenate(margins)
    return {"auc": metrics.auc(labels, ranked), "recall_at_95_precision": Ranked(labels, ranked).recall(TARGET)}


def budget(folds: list[Fold], numbers: list[Combination], share: float, seconds: tuple[float, float]) -> dict[str, Any]:
    """One line of the curve; numbers: of each day. seconds: of the student and of the teacher, for a text."""
    budgets = [round(share * len(fold.day.texts)) for fold in folds]
    margins = [fold.final_margins(texts, one) for fold, texts, one in zip(folds, budgets, numbers, strict=True)]
    rows = sum(len(fold.day.texts) for fold in folds)
    read = sum(min(texts, int(fold.rank.max()) + 1) for fold, texts in zip(folds, budgets, strict=True))
    decisions = [
        (fold.day.rows.student >= fold.threshold, final >= fold.threshold)
        for fold, final in zip(folds, margins, strict=True)
    ]
    return {
        "share_read": share,
        "rows": rows,
        "rows_read": sum(int((fold.rank < texts).sum()) for fold, texts in zip(folds, budgets, strict=True)),
        "texts_read": read,
        "seconds": rows * seconds[0] + read * seconds[1],
        **quality(folds, margins),
        "made_valid": sum(int((after & ~before).sum()) for before, after in decisions),
        "made_junk": sum(int((before & ~after).sum()) for before, after in decisions),
    }


def sampled(rows: ReadLabels, size: int, random: np.random.Generator) -> tuple[ReadLabels, Numbers]:
    """Rows drawn as a sample of nights draws them, and what each stands for."""
    high, low = (np.flatnonzero(where) for where in (rows.student >= 0, rows.student < 0))
    of_high = round(0.85 * size)
    chance = 1 / np.sqrt(1 + np.argsort(np.argsort(-rows.student[high])))
    chance /= chance.sum()
    drawn = random.choice(len(high), of_high, replace=False, p=chance)
    rest = random.choice(low, size - of_high, replace=False)
    weights = np.concatenate([1 / (chance[drawn] * of_high), np.full(len(rest), len(low) / len(rest))])
    at = np.concatenate([high[drawn], rest])
    return ReadLabels(rows.labels[at], rows.student[at], rows.reader[at]), weights


def compare_fits(folds: list[Fold], valid: ReadLabels, share: float) -> list[dict[str, Any]]:
    """Recall at the target precision by the labels of the fit; a day's samples are drawn from the other days."""
    nobody = ReadLabels(valid.labels[:0], valid.student[:0], valid.reader[:0])
    kinds: dict[str, Callable[[ReadLabels, Numbers], Combination]] = {
        "nights and valid": lambda labels, _: fitted(labels, valid),
        "nights alone": lambda labels, _: fitted(labels, nobody),
        "nights alone, 1 / inclusion probability": lambda labels, weights: fitted(repeated(labels, weights), nobody),
        "valid alone": lambda *_: fitted(nobody, valid),
    }
    found = []
    for size in PER_SAMPLE:
        for kind, fit in kinds.items():
            recalls = []
            for seed in range(DRAWS):
                random = np.random.default_rng(seed)
                margins = [
                    fold.final_margins(round(share * len(fold.day.texts)), fit(*sampled(fold.others, size, random)))
                    for fold in folds
                ]
                recalls.append(quality(folds, margins)["recall_at_95_precision"])
            of_recalls = {"mean": float(np.mean(recalls)), "least": min(recalls)}
            found.append({"share_read": share, "labels": size, "fit": kind, **of_recalls})
    return found


def fitted(nights: ReadLabels, valid: ReadLabels) -> Combination:
    """The combination; the student alone where the labels give none."""
    combination.LEAST_BESIDE_VALID = 0  # which the comparison is to choose
    try:
        return combination.fit(nights, valid).combination
    except BadInput:
        return Combination(0, 1, 0)


def repeated(labels: ReadLabels, weights: Numbers) -> ReadLabels:
    """Labels repeated by their weights, at most 20 times the mean."""
    times = np.rint(10 * np.minimum(weights / weights.mean(), 20)).astype(int).clip(1)
    return ReadLabels(*(np.repeat(getattr(labels, name), times) for name in ("labels", "student", "reader")))


if __name__ == "__main__":
    main()
