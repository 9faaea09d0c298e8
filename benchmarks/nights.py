"""Replay the nights of a stream with an oracle in place of the people who label, through the real jobs.

Each night is loaded, scored and sampled; the oracle labels the sample, the labels are loaded, the threshold is
calibrated; the champion is trained again after the first night and after each Friday's. Each night is judged by the
oracle's labels of all its rows, before any of them is loaded, beside the first champion at the threshold of its bundle:
the line without the loop. From the second night on a second reader reads 5% of the texts. Nights of which the oracle
knows nothing are scored at the end and not judged.

    .venv/bin/python benchmarks/nights.py --labels ../shared/data/stream_truth/labels_2026-11-09_to_19.csv.gz --home DIR

A replay that is stopped goes on where it was, in the same home. `--first DAY` begins with the opinions of another day
and goes round the days of the oracle, so that no choice fits one order of nights only.
"""

import argparse
import csv
import gzip
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nights_page import draw, markdown

from distill import CHECKOUT
from distill.evaluation.comparison import Ranked
from distill.models.registry import Registry
from distill.models.saved_model import SavedModel
from distill.scoring.scorer import Scorer
from distill.text.normalisation import normalise

RESULTS = Path(__file__).parent / "results"
SHARED = CHECKOUT.parent / "shared"
READ = 800  # texts of the second reader, 5% of a night
PRECISION = "bfloat16"  # of the logits in the files
FRIDAY = 4  # the weekday after whose night the champion is trained again
SCORES = """select s.opinion_id, s.score, s.is_valid, r.threshold, r.threshold_source, r.expected_precision,
r.precision_lower, r.certified, r.model_version from opinion.opinion_score s
join opinion.scoring_run r on r.dt = s.dt where s.dt = '{dt}'"""


def main() -> None:
    """Prepare the home, replay the nights, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, help="the oracle: a CSV of dt, opinion_id, label")
    parser.add_argument("--home", type=Path, required=True, help="OPINION_HOME of the replay")
    parser.add_argument("--per-night", type=int, default=100, help="rows that are labelled each night")
    parser.add_argument("--first", help="the day whose opinions come on the first night (default: the first)")
    parser.add_argument("--stream", type=Path, default=SHARED / "data/stream", help="folder of dt=DAY.jsonl.gz")
    parser.add_argument("--labelled", type=Path, default=SHARED / "data/labelled", help="train, valid and test.csv")
    parser.add_argument("--teacher", type=Path, default=SHARED / "models/teacher", help="folder of bundle and logits")
    args = parser.parse_args()
    replay = Replay(args)
    rows = replay.run()
    words = ["DIR" if word == str(args.home) else word for word in sys.argv[1:]]  # a page names no folder of a machine
    content = {"command": shlex.join(["benchmarks/nights.py", *words]), "nights": rows, "costs": replay.costs()}
    name = f"nights-from-{args.first}" if args.first else "nights"
    (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(markdown(content, f"{name}.png"), encoding="utf-8")
    draw(rows, RESULTS / f"{name}.png")


class Replay:
    """The replay of all nights in one home; `done` is what earlier runs have done: a step's name and its result."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.home: Path = args.home.absolute()
        self.home.mkdir(parents=True, exist_ok=True)
        self.registry = Registry(self.home / "registry")
        oracle = read_oracle(args.labels)
        order = sorted(oracle)
        first = order.index(args.first) if args.first else 0
        self.source = dict(zip(order, order[first:] + order[:first], strict=True))  # whose opinions a night has
        self.oracle = {dt: oracle[source] for dt, source in self.source.items()}
        self.file = self.home / "replay.json"
        self.done: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def once(self, step: str, work: Callable[[], Any]) -> Any:
        """The result of a step, made now if no run before has made it."""
        if step not in self.done:
            started = time.monotonic()
            result = work()
            self.done[step] = {"result": result, "seconds": round(time.monotonic() - started)}
            self.file.write_text(json.dumps(self.done, indent=1), encoding="utf-8")
        return self.done[step]["result"]

    def costs(self) -> dict[str, int]:
        """Seconds of each step."""
        return {step: done["seconds"] for step, done in self.done.items()}

    def job(self, *words: str) -> str:
        """Run a job of this checkout in the home; its output."""
        print("$ opinion", shlex.join(words), flush=True)
        command = [str(CHECKOUT / ".venv/bin/opinion"), *words]
        env = os.environ | {"OPINION_HOME": str(self.home)}
        finished = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
        print(finished.stdout if words[0] != "sql" else "", end="", flush=True)
        if finished.returncode:
            raise SystemExit(f"opinion {shlex.join(words)} ended with exit code {finished.returncode}")
        return finished.stdout

    def run(self) -> list[dict[str, Any]]:
        """All nights; a row for each, and a row without the loop beside it."""
        first = self.once("first champion", self.first_champion)
        rows, labels = [], 0
        for number, dt in enumerate(self.days()):
            self.once(f"{dt} scored", lambda dt=dt, number=number: self.scored(dt, second_reader=number > 0))
            judged = self.once(f"{dt} judged", lambda dt=dt: self.judged(dt))
            alone = self.once(f"{dt} without the loop", lambda dt=dt: self.judged_alone(dt, first))
            rows += [{"night": dt, "labels_so_far": labels, **row} for row in (judged, alone)]
            if dt in self.oracle:
                labels += self.once(f"{dt} labelled", lambda dt=dt: self.labelled(dt))
                self.once(f"{dt} calibrated", lambda: self.job("calibrate_threshold"))
                if number == 0 or date.fromisoformat(dt).weekday() == FRIDAY:
                    self.once(f"{dt} retrained", self.retrained)
        return rows

    def days(self) -> list[str]:
        """The days of the stream, those that the oracle knows first."""
        names = sorted(path.name.removeprefix("dt=").split(".")[0] for path in self.args.stream.glob("dt=*.jsonl.gz"))
        return sorted(names, key=lambda dt: (dt not in self.oracle, dt))

    def stream(self, dt: str) -> Path:
        """The opinions of a night."""
        return Path(self.args.stream, f"dt={self.source.get(dt, dt)}.jsonl.gz")

    def first_champion(self) -> str:
        """Labels, a teacher with the logits of the labels, and a student on hard labels as the champion."""
        for split in ("train", "valid", "test"):
            self.job("load_labels", "--input", str(self.args.labelled / f"{split}.csv"), "--split", split)
        manifest = json.loads((self.args.teacher / "bundle" / "manifest.json").read_text(encoding="utf-8"))
        shutil.copytree(self.args.teacher / "bundle", self.registry.path(teacher_version(manifest)), dirs_exist_ok=True)
        self.job("distill_student", "--scheme", "textcnn")
        version = self.registry.resolve("textcnn")
        self.registry.promote(version, "replay: the first champion, on hard labels")
        return version

    def scored(self, dt: str, second_reader: bool) -> None:
        """Load and score the day; the second reader's logits come from the files instead of an hour of BERT."""
        self.job("load_opinions", "--dt", dt, "--input", str(self.stream(dt)))
        reader = []
        if second_reader:
            self.import_logits("--dt", dt)
            reader = ["--second-reader", "bert", "--second-reader-precision", PRECISION, "--read", str(READ)]
        self.job("score_opinions", "--dt", dt, "--sample", str(self.args.per_night), *reader)

    def judged(self, dt: str) -> dict[str, Any]:
        """The night as the tables have it."""
        lines = list(csv.DictReader(self.job("sql", SCORES.format(dt=dt)).splitlines(), delimiter="\t"))
        scores = np.array([line["score"] for line in lines], np.float32)
        accepted = np.array([line["is_valid"] == "true" for line in lines])
        run = lines[0]
        certified = run["certified"] == "true"
        return {
            "model": run["model_version"],
            "threshold": float(run["threshold"]),
            "threshold_source": run["threshold_source"],
            "expected_precision": number(run["expected_precision"]),
            "certified_precision": number(run["precision_lower"]) if certified else None,
            **self.quality(dt, [line["opinion_id"] for line in lines], scores, accepted),
            "loop": True,
        }

    def judged_alone(self, dt: str, version: str) -> dict[str, Any]:
        """The night scored by the first champion at the threshold of its bundle, by the scorer that the job runs."""
        saved = self.registry.load(version)
        model = SavedModel(saved.version, saved.path, saved.bundle)
        texts = read_texts(self.stream(dt))
        scores = Scorer(model.bundle).score_normalised(list(texts.values()))
        return {
            "model": version,
            "threshold": float(model.threshold),
            "threshold_source": "bundle",
            "expected_precision": None,
            "certified_precision": None,
            **self.quality(dt, list(texts), scores, scores >= model.threshold),
            "loop": False,
        }

    def quality(
        self, dt: str, ids: list[str], scores: npt.NDArray[np.float32], accepted: npt.NDArray[np.bool_]
    ) -> dict[str, float | None]:
        """Precision, recall and what the scores allow at best, by the oracle; null where it knows nothing."""
        truth = self.oracle.get(dt)
        if truth is None:
            return dict.fromkeys(("precision", "recall", "recall_at_95_precision", "precision_at_75_recall"))
        known = np.array([one in truth for one in ids])
        labels = np.array([truth[one] for one in ids if one in truth])
        scores, accepted = scores[known], accepted[known]
        caught = int(labels[accepted].sum())
        return {
            "precision": caught / max(1, int(accepted.sum())),
            "recall": caught / int(labels.sum()),
            "recall_at_95_precision": Ranked(labels, scores).recall(0.95),
            "precision_at_75_recall": precision_at(labels, scores, 0.75),
        }

    def labelled(self, dt: str) -> int:
        """The oracle labels the night's sample as people do; how many labels that were."""
        drawn = max((self.home / "audit").glob(f"{dt}.*.csv"))
        with open(drawn, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        truth = self.oracle[dt]
        for row in rows:
            row["label"] = str(truth.get(row["opinion_id"], ""))
        filled = self.home / "tmp" / f"{dt}.labelled.csv"
        filled.parent.mkdir(exist_ok=True)
        with open(filled, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        self.job("load_labels", "--input", str(filled))
        return sum(row["label"] != "" for row in rows)

    def retrained(self) -> str:
        """Train a challenger on all labels so far, and promote it if it is better; the champion then."""
        self.import_logits("--labelled")
        self.import_logits("--dt", *[dt for dt in self.days() if f"{dt} scored" in self.done])
        self.job("retrain", "--precision", PRECISION)
        return self.registry.resolve("champion")

    def import_logits(self, *units: str) -> None:
        """Store the teacher's logits from its files."""
        logits = [str(path) for path in sorted((self.args.teacher / "logits").glob("*.parquet"))]
        teacher = ["--teacher", "bert", "--precision", PRECISION]
        self.job("store_teacher_logits", *teacher, *units, "--import-from", *logits)


def precision_at(labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], recall: float) -> float:
    """Precision at the highest threshold with that recall."""
    needed = np.sort(scores[labels == 1])[::-1][int(np.ceil(recall * labels.sum())) - 1]
    return float(labels[scores >= needed].mean())


def teacher_version(manifest: dict[str, Any]) -> str:
    """A version of the registry for a bundle that comes from elsewhere."""
    return f"bert-20260101T000000Z-{manifest['files']['model.safetensors']['sha256'][:6]}"


def number(cell: str) -> float | None:
    """A number of a query's answer."""
    return None if cell == "NULL" else float(cell)


def read_oracle(path: Path) -> dict[str, dict[str, int]]:
    """Labels by id, by day."""
    labels: dict[str, dict[str, int]] = {}
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels.setdefault(row["dt"], {})[row["opinion_id"]] = int(row["label"])
    return labels


def read_texts(path: Path) -> dict[str, str]:
    """Normalised texts of a day by id, the first of each, without the lines that cannot be scored."""
    texts: dict[str, str] = {}
    for line in gzip.decompress(path.read_bytes()).split(b"\n"):
        try:
            record = json.loads(line)
            text = normalise(record["text"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if text and record.get("opinion_id"):
            texts.setdefault(str(record["opinion_id"]), text)
    return texts


if __name__ == "__main__":
    main()
