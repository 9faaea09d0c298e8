"""A home with labels, a day, a teacher, its logits and a student, made by the jobs as their user runs them."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from distill.registry import Registry
from tests.conftest import submit
from tests.distill.tiny_encoder import tiny_encoder

DAY = "2026-11-09"
BAD, GOOD = ["退款没到账", "物业乱收费", "客服打不通"], ["真好吃", "这家店的菜", "转发微博"]


def some_texts(rows: int, seed: int) -> list[tuple[str, int]]:
    """Texts and labels: one phrase that tells, in noise."""
    draw = random.Random(seed)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    labels = [draw.randrange(2) for _ in range(rows)]
    return [
        ("".join(draw.choices(noise, k=4)) + draw.choice(BAD if y else GOOD) + draw.choice(noise), y) for y in labels
    ]


LABELS, STREAM = some_texts(400, 0), [text for text, _ in some_texts(60, 1)]
CHAIN = [
    "load_labels --input labels.csv",
    f"load_opinions --dt {DAY} --input day.jsonl",
    "train_teacher --init encoder --max-length 32 --epochs 1 --precision float32 --learning-rate 1e-3 "
    "--target-precision 0.3",
    "store_teacher_logits --teacher bert --labelled",
    f"store_teacher_logits --teacher bert --dt {DAY}",
    f"distill_student --scheme offline --teacher bert --transfer-dt {DAY} --embeddings teacher --epochs 1 "
    "--target-precision 0.3",
]


@dataclass(frozen=True)
class Chain:
    """The home, what each job said, and the versions in the registry when all had ended."""

    home: Path
    said: list[str]
    versions: list[str]


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A home in which labels and a day were loaded, and a teacher and a student trained."""
    home = tmp_path_factory.mktemp("chain")
    tiny_encoder(home / "encoder")
    with open(home / "labels.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["opinion_id", "text", "label", "source"])
        writer.writerows((f"l{i}", text, label, "review") for i, (text, label) in enumerate(LABELS))
    # Two that are labelled, and one that cannot be scored.
    texts = [*STREAM, *(f" {text} " for text, _ in LABELS[:2]), "！！！"]
    lines = [
        json.dumps({"opinion_id": f"s{i}", "text": text, "source": "web", "published_at": f"{DAY}T08:00:00Z"})
        for i, text in enumerate(texts)
    ]
    (home / "day.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = []
    for command in CHAIN:
        job, *flags = command.split()
        paths = [str(home / flag) if (home / flag).exists() else flag for flag in flags]
        done = submit(job, *paths, home=home)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said.append(done.stdout)
    return Chain(home, said, Registry(str(home / "registry")).versions())
