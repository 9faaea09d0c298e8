"""The registry's textCNN beside a linear model on the same labels: AUC, and recall at 95% precision.

Both choose their threshold on valid.csv and are reported on test.csv, over all rows and over the reviews alone: the
source of a text gives much of its label away, so only the reviews show how well complaints are told from praise.

    .venv/bin/python benchmarks/baseline.py --labelled ../shared/data/labelled --model VERSION [VERSION …]
"""

import argparse
import csv
import json
import platform
import shlex
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from distill.evaluation import metrics
from distill.scoring.scorer import Scorer
from distill.text.text_batch import normalise_batch
from jobs.common.home import home_registry

RESULTS = Path(__file__).parent / "results"
REVIEWS = ("os10", "waimai", "htl")  # goods, food delivery, hotels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=Path, required=True, help="folder of train.csv, valid.csv and test.csv")
    parser.add_argument("--model", nargs="+", default=["champion"], help="versions of the registry")
    args = parser.parse_args()
    splits = {name: read(args.labelled / f"{name}.csv") for name in ("train", "valid", "test")}
    rows = [linear(splits)]
    for version in args.model:
        rows.append(student(version, splits))
        print(rows[-1], flush=True)
    write(rows, shlex.join(["benchmarks/baseline.py", *sys.argv[1:]]))


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def texts_of(rows: list[dict[str, str]]) -> list[str]:
    return normalise_batch([row["text"] for row in rows])


def linear(splits: dict[str, list[dict[str, str]]]) -> dict[str, object]:
    """TF-IDF of character 1- to 3-grams and logistic regression; C = 10 is the better of 4 and 10 on valid."""
    started = time.monotonic()
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(vectors.fit_transform(texts_of(splits["train"])), [int(row["label"]) for row in splits["train"]])
    seconds = time.monotonic() - started
    scores = {name: model.predict_proba(vectors.transform(texts_of(splits[name])))[:, 1] for name in ("valid", "test")}
    return {"scheme": "linear", "train_s": round(seconds, 1), **measured(splits, scores)}


def student(version: str, splits: dict[str, list[dict[str, str]]]) -> dict[str, object]:
    """A version of the registry, scored by what scores it every night; a text without a score is junk."""
    saved = home_registry().load(version)
    version, bundle = saved.version, saved.bundle
    scorer = Scorer(bundle)
    scores = {
        name: np.nan_to_num(scorer.score([row["text"] for row in splits[name]]).scores) for name in ("valid", "test")
    }
    lineage = bundle.manifest["lineage"]
    seconds = sum(epoch["seconds"] for epoch in lineage["curve"])
    return {
        "scheme": lineage["scheme"],
        "version": version,
        "seed": lineage["training"]["seed"],
        "train_s": round(seconds, 1),
        **measured(splits, scores),
    }


def measured(splits: dict[str, list[dict[str, str]]], scores: dict[str, np.ndarray]) -> dict[str, object]:
    measurements: dict[str, object] = {}
    for part, sources in (("all", None), ("reviews", REVIEWS)):
        chosen = {
            name: np.array([sources is None or row["source"] in sources for row in splits[name]]) for name in scores
        }
        labels = {name: np.array([int(row["label"]) for row in splits[name]])[chosen[name]] for name in scores}
        valid, test = scores["valid"][chosen["valid"]], scores["test"][chosen["test"]]
        threshold = metrics.threshold_at_precision(labels["valid"], valid, 0.95).value
        at = metrics.precision_recall_at(labels["test"], test, threshold)
        measurements[part] = {
            "rows": at.rows,
            "auc": round(metrics.auc(labels["test"], test), 5),
            "recall_at_95_precision": at.recall and round(at.recall, 4),
            "precision": at.precision and round(at.precision, 4),
        }
    return measurements


def write(rows: list[dict[str, object]], command: str) -> None:
    versions = {"python": platform.python_version(), "scikit-learn": sklearn.__version__}
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps({"command": command, "versions": versions, "runs": rows}, ensure_ascii=False, indent=1)
    (RESULTS / "baseline.json").write_text(content + "\n", encoding="utf-8")
    lines = [
        "# The baseline textCNN beside a linear model",
        "",
        f"`{command}`, Python {versions['python']}. Thresholds: chosen on valid at 95% precision. Figures: of test.",
        "",
        "| model | AUC | recall | precision there | AUC, reviews | recall, reviews | precision there | training, s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        name = f"{row['scheme']} seed {row['seed']}" if "seed" in row else row["scheme"]
        lines.append(f"| {name} | {' | '.join(cells(row))} | {row['train_s']} |")
    students = [cells(row) for row in rows if "seed" in row]
    if len(students) > 1:
        means = [f"{statistics.mean(map(float, column)):.4f}" for column in zip(*students, strict=True)]
        lines.append(f"| mean of {len(students)} seeds | {' | '.join(means)} | |")
    (RESULTS / "baseline.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def cells(row: dict[str, object]) -> list[str]:
    names = ("auc", "recall_at_95_precision", "precision")
    return [f"{row[part][name]:.4f}" for part in ("all", "reviews") for name in names]  # type: ignore[index]


if __name__ == "__main__":
    main()
