"""Prepare this checkout for short runs: compile what numba compiles, and archive the classes of Spark for Java.

A made-up night in a home of its own loads, scores and reports a few texts with a random model. What it compiled and
read is kept in .venv/warm/: cache/, which the first run in each home copies, and classes-SIZE.jsa, which all runs map.
make setup runs it; run it again after an upgrade of Java.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill import CHECKOUT, WARM
from distill.errors import Infrastructure
from jobs.common.cli import HelpFormatter, Parser
from jobs.common.command import BIN, submit_flags
from jobs.common.failures import run_main

DAY = "2026-01-01"
TEXTS = [
    "物业乱收费，多次投诉无果",
    "这家店的菜真好吃",
    "退款三个月了还没到账！！！",
    "转发微博",
    "客服电话打不通abc123",
    " ",
]
LONG = "好" * 5000  # read to the length limit only
WIDTHS: dict[str, tuple[int, ...]] = {"word": (1, 2), "bigram": (1, 3)}
WIDE = ("trigram", "fourgram")


def main() -> None:
    """Run the night, then put what it left where runs look for it."""
    example = "example:\n  .venv/bin/opinion warm_up"
    Parser(description=__doc__, epilog=example, formatter_class=HelpFormatter).parse_args()
    WARM.parent.mkdir(exist_ok=True)
    # An archive in use cannot be written anew, and one that does not fit any more is of no use.
    shutil.rmtree(WARM, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="warm-", dir=WARM.parent) as folder:
        home, made = Path(folder) / "home", Path(folder) / "made"
        made.mkdir()
        run_night(home, made)
        archive = made / "classes.jsa"
        archive.rename(archive.with_name(f"classes-{archive.stat().st_size}.jsa"))  # spark-command checks its size
        (made / "venv").symlink_to(WARM.parent)  # spark-command takes no archive of another environment
        (made / "stamp").write_text(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}", encoding="utf-8")
        os.rename(made, WARM)
    print(f"{WARM}: {sum(file.stat().st_size for file in WARM.rglob('*')) / 1e6:.0f} MB")


def run_night(home: Path, made: Path) -> None:
    """A night in the home; its caches and its archive of classes are left in `made`.

    Raises Infrastructure with the last lines of a night that failed.
    """
    home.mkdir()
    model = save_student(home)
    day = home / "day.jsonl"
    lines = [
        {"opinion_id": f"{i % 190}", "text": TEXTS[i % len(TEXTS)] + TEXTS[i % 5][: i % 4], "source": "web"}
        for i in range(200)
    ]
    lines.append({"opinion_id": "long", "text": LONG, "source": "web"})
    day.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "no record\n", encoding="utf-8")
    command = [str(BIN / "spark-submit"), *submit_flags(), str(CHECKOUT / "jobs" / "night.py")]
    command += ["--dt", DAY, "--input", str(day), "--model", model]
    environment = os.environ | {
        "OPINION_HOME": str(home),
        "NUMBA_CACHE_DIR": str(made / "cache" / "numba"),
        "MPLCONFIGDIR": str(made / "cache" / "matplotlib"),
        "SPARK_SUBMIT_OPTS": f'-Xlog:disable "-XX:ArchiveClassesAtExit={made / "classes.jsa"}"',
    }
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, **streams)
    if done.returncode:  # Java writes its own errors to the output, and tasks write warnings after an error
        last = " | ".join(done.stdout.strip().splitlines()[-3:]) or "no message"
        raise Infrastructure(f"the night that warms up ended with exit code {done.returncode}: {last}")


def save_student(home: Path) -> str:
    """A small random student in the registry of a home; its version."""
    import numpy as np

    from distill.models.architecture import Architecture
    from distill.models.bundle import VOCABULARY
    from distill.models.registry import Registry
    from distill.models.versions import new_version
    from distill.text.vocabulary import Limit, Vocabulary

    vocabulary = Vocabulary.build(TEXTS, {channel: Limit(1, 1000) for channel in (*WIDTHS, *WIDE)})
    ids, wide = ({channel: vocabulary.size(channel) for channel in channels} for channels in (WIDTHS, WIDE))
    architecture = Architecture(ids, WIDTHS, 5, 3, wide, average=4)
    draw = np.random.default_rng(1)
    tensors: dict[str, Any] = {
        name: draw.normal(size=shape).astype(np.float32) for name, shape in architecture.shapes().items()
    }
    for channel in WIDTHS:
        tensors[f"embeddings.{channel}.weight"][0] = 0  # padding
    manifest: dict[str, Any] = {
        "architecture": architecture.to_json(),
        "text": {"fingerprint": vocabulary.fingerprint()},
        "threshold": {"value": 0.5, "precision": 0.95, "target_precision": 0.95},
        "profile": {"rows": 20, "scores": [1] * 20, "lengths": [], "unknown": [], "sources": {}},
    }
    registry = Registry(str(home / "registry"))
    version = new_version("textcnn", datetime.now(UTC))
    registry.add(version, tensors, {VOCABULARY: vocabulary.to_bytes()}, json.loads(json.dumps(manifest)))
    return version


if __name__ == "__main__":
    run_main(main)
