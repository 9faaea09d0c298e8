"""jobs/store_teacher_logits.py as its user runs it: after a kill it computes only the rest, and never mixes weights."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.dataset as pads
import pytest

from tests.conftest import ROOT, submit
from tests.jobs import tiny_teacher

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAY, OTHER = "2026-11-09", "2026-11-10"
FOLDER = "data/opinion/store_teacher_logits"
WORDS = ["物业", "乱收费", "退款", "没到账", "菜", "真好吃", "客服", "打不通"]
TEXTS = {
    DAY: {f"{i}": WORDS[i % 8] + WORDS[i // 8 % 8] + "了" * (i % 5) for i in range(64)},
    OTHER: {f"{i}": WORDS[i] + "投诉" for i in range(5)},
}


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it."""
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    return tmp_path


def store(home: Path, teacher: str, *days: str) -> str:
    done = submit("store_teacher_logits", "--teacher", teacher, "--dt", *days, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(home: Path, teacher: str, day: str) -> dict[str, list[float]]:
    """The newest files of the day."""
    newest = max((home / FOLDER / f"{teacher}+{day}").glob("run=*"))
    rows = pads.dataset(newest / "table=teacher_logit", format="parquet").to_table().to_pylist()
    return {row["opinion_id"]: row["logits"] for row in rows}


def assert_of_the_teacher(home: Path, teacher: str, day: str) -> None:
    logits = stored(home, teacher, day)
    assert set(logits) == set(TEXTS[day])
    alone = tiny_teacher.logits_alone(teacher, [TEXTS[day][opinion] for opinion in logits])
    np.testing.assert_allclose(list(logits.values()), alone, rtol=0, atol=1e-4)


def test_a_run_after_a_kill_computes_the_rest_and_other_weights_compute_all(own_home: Path) -> None:
    teacher = tiny_teacher.add_teacher(own_home / "encoder", 1)
    command = [".venv/bin/spark-submit", "--properties-file", "spark_conf/local/spark-defaults.conf"]
    (own_home / "days.json").write_text(json.dumps(TEXTS), encoding="utf-8")
    command += ["tests/jobs/stop_storing.py", teacher, str(own_home / "days.json")]
    with open(own_home / "killed.log", "wb") as log:
        killed = subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        code = killed.wait(timeout=300)
    assert code == -signal.SIGKILL, (own_home / "killed.log").read_text()[-2000:]
    assert not list((own_home / FOLDER).rglob("table=teacher_logit")), "nothing is published"
    [left] = (own_home / FOLDER).glob(f"progress+*+{DAY}")
    kept = pads.dataset(left, format="parquet").to_table()["text_hash"].to_pylist()
    assert len(kept) == len(set(kept)) and 0 < len(kept) < 64, "the first part, once"

    rest = f"64 texts: {64 - len(kept)} computed, {len(kept)} known; 64 rows of logits stored"
    assert rest in store(own_home, teacher, DAY)
    assert_of_the_teacher(own_home, teacher, DAY)
    assert not left.exists()
    [left] = (own_home / FOLDER).glob(f"progress+*+{OTHER}")

    tiny_teacher.add_teacher(own_home / "other encoder", 2, teacher)
    output = store(own_home, teacher, DAY, OTHER)
    assert "64 texts: 64 computed, 0 known" in output
    assert "5 texts: 5 computed, 0 known" in output, "what is left of the old weights is not taken for that of the new"
    for day in TEXTS:
        assert_of_the_teacher(own_home, teacher, day)


def test_a_teacher_or_a_day_that_is_not_there_is_one_line_and_nothing_is_published(own_home: Path) -> None:
    teacher = tiny_teacher.add_teacher(own_home / "encoder", 1)
    for name, day, code, message in [
        ("nobody", DAY, 3, f"no model nobody in {own_home}/registry; the nearest there: {teacher}"),
        ("bert", "2026-01-01", 2, "opinion.raw_opinion has no day 2026-01-01; load it: opinion load_opinions"),
    ]:
        done = submit("store_teacher_logits", "--teacher", name, "--dt", day, home=own_home)
        assert done.returncode == code, done.stderr
        [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert message in line
        assert "Traceback" not in done.stderr and done.stdout == ""
    assert not list((own_home / "data").rglob("table=teacher_logit"))


def test_a_log_that_is_its_stderr_keeps_what_it_holds(own_home: Path) -> None:
    """As cron opens it, to append, and as a person's `2> log`: every job asks whether it is a terminal, for its bar."""
    tiny_teacher.add_teacher(own_home / "encoder", 1)
    (own_home / "day.jsonl").write_text(
        "".join(json.dumps({"opinion_id": i, "text": text}) + "\n" for i, text in TEXTS[OTHER].items())
    )
    load = ["load_opinions", "--dt", OTHER, "--input", str(own_home / "day.jsonl")]
    store = ["store_teacher_logits", "--teacher", "bert", "--dt", OTHER]
    for mode, (job, *flags), printed in (("w", load, "read 5 "), ("a", store, "5 texts: ")):
        path = own_home / f"log.{mode}"
        path.write_text("of last night\n" if mode == "a" else "")
        with open(path, mode) as log:
            log.write("of this night\n")
            log.flush()
            command = [".venv/bin/spark-submit", "--properties-file", "spark_conf/local/spark-defaults.conf"]
            command += [f"jobs/{job}.py", *flags]
            done = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=log, stderr=log, timeout=300)
        content = path.read_text()
        assert done.returncode == 0, content
        before = "of last night\n" if mode == "a" else ""
        assert content.startswith(f"{before}of this night\n") and "\0" not in content and printed in content
