"""The jobs as their user runs them, in one home: labels, a day, a teacher, its logits, a student, and a retraining."""

import csv
import json
import os
import random
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest

from distill.models.registry import Registry
from distill.scoring.logits import fingerprint
from distill.text.normalisation import normalise
from jobs.training import decisions
from jobs.training.decisions import decision_text
from tests.conftest import ROOT, submit
from tests.distill.tiny_encoder import tiny_encoder

pytestmark = [pytest.mark.spark, pytest.mark.slow]

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
RETRAIN = ["--epochs", "1", "--target-precision", "0.3", "--transfer-days", "1"]


@dataclass(frozen=True)
class Chain:
    """The home, what each job printed, and the versions in the registry when all had ended."""

    home: Path
    outputs: list[str]
    versions: list[str]


@pytest.fixture(scope="module")
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
    outputs = []
    for command in CHAIN:
        job, *flags = command.split()
        paths = [str(home / flag) if (home / flag).exists() else flag for flag in flags]
        done = submit(job, *paths, home=home)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        outputs.append(done.stdout)
    return Chain(home, outputs, Registry(str(home / "registry")).versions())


def manifests(home: Path) -> dict[str, Any]:
    registry = Registry(str(home / "registry"))
    return {version: registry.load(version).bundle.manifest for version in registry.versions()}


def test_the_chain_leaves_a_teacher_its_route_and_a_student(chain: Chain) -> None:
    home, outputs = chain.home, chain.outputs
    saved = manifests(home)
    teacher, student = Registry(str(home / "registry")).resolve("bert"), outputs[-1].split("saved as ")[1].split()[0]
    assert re.fullmatch(r"offline-\d{8}T\d{6}Z-[0-9a-f]{6}", student)
    anchors = [version for version in saved if version.startswith(f"{teacher}-step-")]
    assert anchors and set(chain.versions) == {teacher, student, *anchors}
    assert not list((home / "train").iterdir()), "snapshots and checkpoints are gone"
    rows = saved[teacher]["lineage"]["rows"]
    assert sum(rows.values()) == len({normalise(text) for text, _ in LABELS})
    assert saved[teacher]["lineage"]["scheme"] == "bert"
    assert saved[student]["metrics"]["test"]["rows"] == rows["test"]


def test_the_lineage_of_the_student_says_what_taught_it(chain: Chain) -> None:
    home, outputs = chain.home, chain.outputs
    registry = Registry(str(home / "registry"))
    saved = registry.load(registry.resolve("bert"))
    lineage = registry.load(registry.resolve("offline")).bundle.manifest["lineage"]
    assert lineage["scheme"] == "offline"
    [of_teacher] = lineage["teachers"]
    assert of_teacher["version"] == saved.version
    assert fingerprint(saved.bundle.digest, "float32") in of_teacher["fingerprints"]
    assert of_teacher["train_rows"] == lineage["rows"]["train"]
    assert (lineage["transfer"]["days"], lineage["transfer"]["rows"]) == ([DAY], len(set(STREAM)))
    seen = lineage["rows"]["train"] + lineage["transfer"]["rows"]
    assert [point["rows"] for point in lineage["curve"]] == [seen]
    assert f"training on {seen} texts" in outputs[-1]
    assert lineage["teacher_features"].pop("cpu_seconds") > 0
    assert lineage["teacher_features"] == {
        "teacher": saved.version,
        "embeddings": True,
        "hint_layer": None,
        "hint_epochs": 1,
    }
    assert lineage["training"]["temperature"] > 0 and lineage["training"]["alpha_soft"] == [1.0]


def test_the_student_scores_the_day(chain: Chain) -> None:
    home = chain.home
    student = Registry(str(home / "registry")).resolve("offline")
    done = submit("score_opinions", "--dt", DAY, "--model", student, home=home)
    assert done.returncode == 0, done.stderr
    assert f"read {len(STREAM) + 3} = scored {len(STREAM) + 2} + rejected 1" in done.stdout
    [run] = (home / "data/opinion/score_opinions" / f"dt={DAY}").glob("run=*")
    rows = pads.dataset(run / "table=opinion_score", format="parquet").to_table()
    assert set(rows["model_version"].to_pylist()) == {student} and rows.num_rows == len(STREAM) + 2


def retrain_until(point: str, home: Path) -> str:
    """Start the same retraining in a process of its own, which dies at a point; its output."""
    command = [".venv/bin/spark-submit", "--properties-file", "spark_conf/local/spark-defaults.conf"]
    command += ["tests/jobs/retrain_kill_at.py", point, *RETRAIN]
    environment = os.environ | {"OPINION_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        output = process.communicate(timeout=300)[0].decode()
    assert process.returncode == (0 if point == "nowhere" else -signal.SIGKILL), output
    return output


def test_killed_at_any_step_the_champion_stays_and_the_same_command_finishes(chain: Chain) -> None:
    registry, folder = Registry(str(chain.home / "registry")), chain.home / "retrain"
    retrain_until("saved", chain.home)
    assert registry.champion() is None, "a first model is no champion before it is decided on"
    output = retrain_until("nowhere", chain.home)
    first = registry.champion()
    assert first and "going on with the retraining begun" in output and "training offline" not in output
    assert first.version == registry.resolve("offline") and first.version not in chain.versions

    retrain_until("decided", chain.home)
    assert registry.champion() == first
    assert len([version for version in registry.versions() if version.startswith("multi-teacher")]) == 1
    retrain_until("switched", chain.home)
    challenger = registry.resolve("multi-teacher")
    second = registry.champion()
    assert second and (second.version, second.previous) == (challenger, first.version)
    assert not (folder / f"{challenger}.json").exists()
    output = retrain_until("nowhere", chain.home)
    assert registry.champion() == second and len(registry.history()) == 2
    assert [decision["challenger"] for decision in decisions.read_all(chain.home)] == [first.version, challenger]
    assert decision_text(decisions.read_all(chain.home)[-1]) in output and not (folder / decisions.PROGRESS).exists()

    lineage = registry.load(challenger).bundle.manifest["lineage"]
    assert [teacher["version"] for teacher in lineage["teachers"]] == [registry.resolve("bert"), first.version]
    assert lineage["transfer"]["days"] == [DAY] and lineage["teacher_features"]["embeddings"]
    decision = decisions.read_all(chain.home)[-1]
    assert decision["trained_on"]["labels_hash"] == lineage["data_hash"] == decision["held_out"]["labels_hash"]
