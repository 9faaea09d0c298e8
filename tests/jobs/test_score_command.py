"""jobs/score_opinions.py as its user runs it: equal bits on one core and on two, and failures that are one line."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from distill.models.registry import Registry
from jobs.common import locks
from tests.conftest import ROOT, submit
from tests.jobs import tiny_model
from tests.pages import OPERATIONS, blocks

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAY = "2026-11-09"
SCORES = f"data/opinion/score_opinions/dt={DAY}"
SUBMIT = [".venv/bin/spark-submit", "--properties-file", "spark_conf/local/spark-defaults.conf"]


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a day of the stream and a champion."""
    home = tmp_path_factory.mktemp("user")
    rest = {"source": "web", "published_at": f"{DAY}T08:00:00Z"}
    texts = [text * (1 + i % 3) for i, text in enumerate(tiny_model.TEXTS * 40)]
    lines = [json.dumps({"opinion_id": str(i), "text": text, **rest}) for i, text in enumerate(texts)]
    day = home / "一天的舆情.jsonl"
    day.write_text("\n".join([*lines, lines[0], "no record"]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        # Of many hosts the locale that a terminal hands on is not installed.
        patch.setenv("LC_ALL", "zh_CN.UTF-8")
        done = submit("load_opinions", "--dt", DAY, "--input", str(day), home=home)
        assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr
        patch.setenv("OPINION_HOME", str(home))
        version = tiny_model.add_model("tiny", 1)
    Registry(str(home / "registry")).promote(version, "the only one")
    return home


def assert_refused(done: subprocess.CompletedProcess[str], code: int, message: str) -> None:
    assert done.returncode == code, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    for noise in ("Traceback", "\tat ", "at org.apache", "Exception in thread"):
        assert noise not in done.stderr
    assert done.stdout == ""


@dataclass(frozen=True)
class Operated:
    """The output of the operations page's commands, the champion before them, and the scores that they left."""

    printed: dict[str, str]
    before: str
    scores: dict[str, str]


@pytest.fixture(scope="module")
def operated(own_home: Path) -> Operated:
    """The blocks of docs/operations.md that are marked `sh` were run where two models were champions.

    In cron's locale, and on two cores.
    """
    registry = Registry(str(own_home / "registry"))
    first = registry.champion()
    assert first
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPINION_HOME", str(own_home))
        registry.promote(tiny_model.add_model("tiny", 2), "投诉更多")
    flags = " ".join([*SUBMIT[1:], "--master local[2]"])
    environment = os.environ | {"OPINION_HOME": str(own_home), "LC_ALL": "C", "SUBMIT_FLAGS": flags}
    (own_home / "retrain").mkdir()  # as the first retraining makes it
    printed = {}
    for command in [line for block in blocks(OPERATIONS, "sh") for line in block.splitlines()]:
        command = command.replace("backup.tar", str(own_home / "backup.tar"))
        done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        printed[command] = done.stdout.decode("utf-8")
    return Operated(printed, first.version, newest_scores(own_home))


def newest_scores(home: Path) -> dict[str, str]:
    """The bits of the day's scores by id, as its last run wrote them."""
    run = max((home / SCORES).glob("run=*"))
    rows = pq.read_table(run / "table=opinion_score", columns=["opinion_id", "score"]).to_pylist()
    assert len(rows) == 200
    return {row["opinion_id"]: row["score"].hex() for row in rows}


def test_the_operations_of_the_page_do_what_they_say(own_home: Path, operated: Operated) -> None:
    now = Registry(str(own_home / "registry")).champion()
    assert now and (now.action, now.version) == ("rollback", operated.before)
    assert "投诉更多" in operated.printed[".venv/bin/opinion registry list"]
    scored = operated.printed[f".venv/bin/opinion score_opinions --dt {DAY}"]
    assert f"model {now.version}, " in scored
    assert "read 201 = scored 200 + rejected 1 (duplicate_row 1)" in scored


def test_one_core_and_two_give_equal_bits(own_home: Path, operated: Operated) -> None:
    done = subprocess.run(
        [*SUBMIT, "--master", "local[1]", "jobs/score_opinions.py", "--dt", DAY],
        cwd=ROOT,
        env=os.environ | {"OPINION_HOME": str(own_home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    scores = newest_scores(own_home)
    assert len(scores) == 200 and scores == operated.scores


def test_a_run_while_another_has_the_day_names_the_other(own_home: Path) -> None:
    with locks.hold(own_home / "locks" / f"opinion,score_opinions,dt={DAY}.lock", "the day"):
        done = submit("score_opinions", "--dt", DAY, home=own_home)
    assert_refused(
        done, 5, f"dt={DAY} of opinion (score_opinions) is being written by another run (pid {os.getpid()} on"
    )


def test_no_space_is_said_and_leaves_nothing(own_home: Path) -> None:
    folder = own_home / SCORES
    before = sorted(folder.rglob("*"))
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        done = submit("score_opinions", "--dt", DAY, home=own_home)
        left = list(folder.iterdir())
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert_refused(done, 4, "no space left")
    assert left == []
    assert sorted(folder.rglob("*")) == before


def test_no_champion(tmp_path: Path) -> None:
    assert_refused(submit("score_opinions", "--dt", DAY, home=tmp_path), 3, "no champion in")


def test_an_altered_bundle(own_home: Path, tmp_path: Path) -> None:
    shutil.copytree(own_home / "registry", tmp_path / "registry")
    for tensors in (tmp_path / "registry").rglob("model.safetensors"):
        content = bytearray(tensors.read_bytes())
        content[-1] ^= 1
        tensors.write_bytes(content)
    assert_refused(submit("score_opinions", "--dt", DAY, home=tmp_path), 3, "model.safetensors is altered")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dt", "2026-02-30"], "'2026-02-30' is not a day"),
        (["--dt", DAY, "--databse", "x"], "there is no flag --databse; did you mean --database?"),
    ],
)
def test_a_wrong_flag(tmp_path: Path, flags: list[str], message: str) -> None:
    assert_refused(submit("score_opinions", *flags, home=tmp_path), 2, message)
