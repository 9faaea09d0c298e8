"""Our student beside other small models, each taught by the same teacher: quality, texts a second, size.

Each learns the hard labels of train and the teacher's stored logits of these texts and of the transfer days, 2026-11-09
to 14. The threshold of a model has 95% precision on valid. The stream is judged by an oracle on the days after, ranked
together. Seconds are processor seconds of one core, from raw texts to scores; rounds are interleaved.

    .venv/bin/python benchmarks/peers.py --home DIR [--peers linear …] [--seeds 0 1 …]

A peer and seed that is trained in the home is not trained again, and a network goes on from its last checkpoint.
`make bench` installs what is needed.
"""

import argparse
import json
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peers_data import Data, Numbers, read_data
from peers_page import draw, markdown
from second_reader_days import TARGET
from threadpoolctl import threadpool_limits

from distill import CHECKOUT
from distill.data.labelled import NO_LABEL, TextRows
from distill.evaluation import metrics
from distill.evaluation.comparison import Ranked

RESULTS = Path(__file__).parent / "results"
SHARED = CHECKOUT.parent / "shared"
LOWER_TARGET = 0.9  # of precision: of few models the first rows of a ranking have 95%
ROUNDS, BATCH = 3, 8192  # texts of a call, as in the nightly job
PACKAGES = ("torch", "scikit-learn", "fasttext-numpy2-wheel", "model2vec")
Score = Callable[[list[str]], Numbers]


class Peer(NamedTuple):
    """The module and the class that scores; how the model learned, for the page; the seeds that its time allows."""

    module: str
    scorer: str
    how: str
    seeds: int = 3


PEERS = {
    "linear": Peer(
        "peers_linear",
        "Linear",
        "TF-IDF of character 1- to 3-grams, logistic regression of scikit-learn; each text with both labels, weighted",
    ),
    "fastText": Peer(
        "peers_fasttext",
        "FastText",
        "the package, on n-grams of characters; ten passes whose labels follow the teacher's probability",
    ),
    "model2vec": Peer(
        "peers_static",
        "Static",
        "model2vec's embeddings of the teacher's tokens and its classifier; our loop, KL and labels, four epochs",
    ),
    "BiLSTM": Peer(
        "peers_bilstm",
        "Reader",
        "the size of Tang et al. 2019, on words, embeddings from the teacher; our loop, KL and labels, one epoch only",
        seeds=1,
    ),
    "ours": Peer("peers_student", "Student", "the recommended recipe with one teacher; scored by the nightly scorer"),
}


def main() -> None:
    """Train what is not trained, judge, measure the speed, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="work folder, kept from run to run")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--part", action="store_true", help="learn a tenth of the rows, to see that all works")
    parser.add_argument("--labelled", type=Path, default=SHARED / "data/labelled", help="train, valid and test.csv")
    parser.add_argument("--teacher", type=Path, default=SHARED / "models/teacher", help="folder of bundle and logits")
    parser.add_argument("--stream", type=Path, default=SHARED / "data/stream", help="folder of dt=DAY.jsonl.gz")
    parser.add_argument("--oracle", type=Path, default=SHARED / "data/stream_truth/labels_2026-11-09_to_19.csv.gz")
    args = parser.parse_args()
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    torch.set_num_threads(1)
    for name in args.peers:
        import_module(PEERS[name].module)  # a package that is missing shows now
    with threadpool_limits(1):
        data = read_data(args)
        rows = [trained(name, seed, data, args) for name in args.peers for seed in args.seeds[: PEERS[name].seeds]]
        speeds = measured_speed({name: scorer_of(name, args.home, args.seeds[0]) for name in args.peers}, data.timed)
    write(rows, speeds, data, args)


def trained(name: str, seed: int, data: Data, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of a peer, trained and scored now if it is not in the home."""
    folder = args.home / f"{name}-{seed}"
    cost, margins = folder / "cost.json", folder / "margins.npz"
    if not cost.exists():
        print(f"{name}, seed {seed}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        started, cpu = time.monotonic(), time.process_time()
        import_module(PEERS[name].module).train(data, seed, folder, args.teacher)
        seconds = {"train_cpu_s": round(time.process_time() - cpu), "train_s": round(time.monotonic() - started)}
        cost.write_text(json.dumps(seconds) + "\n", encoding="utf-8")
    if not margins.exists():
        score = scorer_of(name, args.home, seed)
        np.savez(margins, **{of: score(rows.texts) for of, rows in judged(data).items()})
    size = sum(path.stat().st_size for path in (folder / "model").rglob("*") if path.is_file())
    seconds = json.loads(cost.read_text(encoding="utf-8"))
    return {"peer": name, "seed": seed, **quality(data, np.load(margins)), **seconds, "bytes": size}


def scorer_of(name: str, home: Path, seed: int) -> Score:
    """The trained model of a seed, loaded."""
    peer = PEERS[name]
    score: Score = getattr(import_module(peer.module), peer.scorer)(home / f"{name}-{seed}")
    return score


def judged(data: Data) -> dict[str, TextRows]:
    """The rows that judge a peer."""
    assert data.splits.test, "read_data reads it"
    return {"valid": data.splits.valid, "test": data.splits.test, "stream": data.stream}


def quality(data: Data, margins: Mapping[str, Numbers]) -> dict[str, float | None]:
    """Figures of the margins of the rows that judge."""
    labels = {name: rows.labels for name, rows in judged(data).items()}
    threshold = metrics.threshold_at_precision(labels["valid"], margins["valid"], TARGET).value
    at = metrics.precision_recall_at(labels["test"], margins["test"], threshold)
    ranked = Ranked(labels["stream"], margins["stream"])
    return {
        "test_auc": metrics.auc(labels["test"], margins["test"]),
        "test_recall": at.recall,
        "test_precision": at.precision,
        "stream_auc": metrics.auc(labels["stream"], margins["stream"]),
        "stream_recall": ranked.recall(TARGET),
        "stream_recall_lower": ranked.recall(LOWER_TARGET),
    }


def teacher_quality(data: Data) -> dict[str, float | None]:
    """Figures of the teacher's stored logits; a row that has none counts as even."""
    both = {name: rows.logits[:, 0].astype(np.float64) for name, rows in judged(data).items()}
    return quality(data, {name: np.nan_to_num(logits[:, 1] - logits[:, 0]) for name, logits in both.items()})


def measured_speed(scorers: dict[str, Score], texts: list[str]) -> dict[str, list[float]]:
    """Texts a processor second of each round, by peer; a round of a few texts warms up."""
    speeds: dict[str, list[float]] = {name: [] for name in scorers}
    for score in scorers.values():
        score(texts[:500])
    for _ in range(ROUNDS):
        for name, score in scorers.items():
            started = time.process_time()
            for first in range(0, len(texts), BATCH):
                score(texts[first : first + BATCH])
            speeds[name].append(len(texts) / (time.process_time() - started))
    return speeds


def write(rows: list[dict[str, Any]], speeds: dict[str, list[float]], data: Data, args: argparse.Namespace) -> None:
    """The results as JSON, as a page and as a plot."""
    words = ["DIR" if word == str(args.home) else word for word in sys.argv[1:]]  # a page names no folder of a machine
    learned = set(data.splits.train.texts)
    rows_of_set = {name: len(rows.texts) for name, rows in [("train", data.splits.train), *judged(data).items()]}
    content = {
        "command": shlex.join(["benchmarks/peers.py", *words]),
        "packages": {name: version(name) for name in PACKAGES},
        "rows": rows_of_set
        | {"labelled": int((data.splits.train.labels != NO_LABEL).sum())}
        | {"repeated": sum(text in learned for text in data.stream.texts)},
        "how": {name: PEERS[name].how for name in args.peers},
        "texts_per_s": {name: round(statistics.median(rounds)) for name, rounds in speeds.items()},
        "rounds": {name: [round(one) for one in rounds] for name, rounds in speeds.items()},
        "teacher": teacher_quality(data),
        "runs": rows,
    }
    (RESULTS / "peers.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "peers.md").write_text(markdown(content), encoding="utf-8")
    draw(content, RESULTS / "peers.png")
    print(markdown(content))


if __name__ == "__main__":
    main()
