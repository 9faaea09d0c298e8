"""A home that Spark or this user cannot use is one line and exit code 2, before anything starts."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import distill
from distill import CHECKOUT, errors, home
from distill.home import SIGNS, usable_home
from tests.jobs import tiny_model
from tests.other_user import AS_NOBODY, NOBODY, as_root, nobodys

SPARK_SUBMIT = [".venv/bin/spark-submit", "--properties-file", "spark_conf/local/spark-defaults.conf"]
STARTS = {"python": [sys.executable, "jobs/registry.py", "list"], "spark-submit": [*SPARK_SUBMIT, "jobs/registry.py"]}


def run(command: list[str], home: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OPINION_HOME": str(home)} | variables
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (errors.BadInput.exit_code, ""), done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("sign", [*SIGNS, "\n", "\t", "\x1b", "\u202e"])
def test_a_sign_in_the_path_is_named(tmp_path, sign):
    done = run([sys.executable, "-m", "distill.home"], tmp_path / f"a{sign}b")
    shown = sign if sign in SIGNS else ascii(sign).strip("'")
    assert f"a{shown}b has the sign {shown} in its path" in refused(done)
    assert list(tmp_path.iterdir()) == [], "nothing is made"


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("sign", ["'", ",", ":", "\n"])
def test_nothing_starts_in_such_a_path(tmp_path, start, sign):
    assert "which Spark cannot use; choose another path" in refused(run(STARTS[start], tmp_path / f"a{sign}b"))
    assert list(tmp_path.iterdir()) == []


@as_root
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "path", ["logs/jobs.log", "locks/a.lock", "metastore_db/seg0/c10.dat", "data/x/y", "registry", ""]
)
def test_what_another_user_left_is_named_with_its_owner(tmp_path, monkeypatch, start, path):
    home = nobodys(tmp_path / "home")
    left = home / path
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_text("") if "." in path else left.mkdir(exist_ok=True)
    for folder in home.rglob("*"):
        os.chown(folder, NOBODY, NOBODY)
    os.chown(left, 0, 0)
    message = refused(run([*AS_NOBODY, *STARTS[start]], home))
    assert (
        f"error: {left} belongs to root, and nobody cannot write to it; run as root, or: chown -R nobody {home}"
        in message
    )


@as_root
def test_what_no_run_writes_to_may_be_anybodys(tmp_path):
    home = nobodys(tmp_path / "home")
    for path in ("lost+found", "tmp/run-of-root", "data/opinion/load/dt=x/run=y"):
        (home / path).mkdir(parents=True)
    for path in ("data", "data/opinion", "data/opinion/load", "data/opinion/load/dt=x", "tmp"):
        os.chown(home / path, NOBODY, NOBODY)
    (home / "lost+found").chmod(0o700)
    assert run([*AS_NOBODY, *STARTS["python"]], home).returncode == 0


@as_root
def test_a_folder_of_another_user_is_named_when_the_home_is_to_be_made_in_it(tmp_path):
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    message = refused(run([*AS_NOBODY, *STARTS["python"]], tmp_path / "new" / "home"))
    assert f"{tmp_path} belongs to root, and nobody cannot write to it" in message and "set OPINION_HOME" in message


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, as those of pytest are not: Derby writes no log below a closed one."""
    with tempfile.TemporaryDirectory(prefix="opinion-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@as_root
@pytest.mark.spark
@pytest.mark.slow
def test_a_service_user_without_a_home_scores_and_explains_in_a_path_with_signs(tmp_path, open_folder, monkeypatch):
    """The checkout is root's, so nothing can be kept beside the code; the path has all signs that are allowed."""
    home = nobodys(open_folder / "投诉 of B&B" / "a b-_.+@=~!()é")
    monkeypatch.setenv("OPINION_HOME", str(home))
    version = tiny_model.add_model("textcnn", 1)
    day = tmp_path / "day.jsonl"
    day.write_text(json.dumps({"opinion_id": "1", "text": "物业乱收费"}) + "\n")
    subprocess.run(["chown", "-R", str(NOBODY), str(home)], check=True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    score = [*SPARK_SUBMIT, "jobs/score_opinions.py", "--dt", "2026-11-09", "--model", version]
    for command in (
        [*SPARK_SUBMIT, "jobs/load_opinions.py", "--dt", "2026-11-09", "--input", str(day)],
        score,
        [sys.executable, "jobs/explain.py", "--text", "物业乱收费", "--model", version],
    ):
        done = run([*AS_NOBODY, *command], home, HOME="/nonexistent")
        assert done.returncode == 0, done.stderr
        assert done.stderr in ("", "WARNING: Using incubator modules: jdk.incubator.vector\n")
    assert list((home / "cache").rglob("*.nbi")), "what was compiled is kept for the next night"


def test_a_new_home_gets_what_set_up_compiled_whole_and_an_older_one_once_more(tmp_path, monkeypatch):
    warm = tmp_path / "warm"
    monkeypatch.setattr(distill, "WARM", warm)
    monkeypatch.setattr(home, "WARM", warm)
    monkeypatch.setenv("OPINION_HOME", str(tmp_path / "home"))
    usable_home()
    assert distill.cache_folder() == tmp_path / "home" / "cache" and not distill.cache_folder().exists()
    (warm / "cache" / "numba" / "text").mkdir(parents=True)
    for stamp in ("first", "second"):
        (warm / "stamp").write_text(stamp)
        (warm / "cache" / "numba" / "text" / "kernel.nbc").write_text(stamp)
        usable_home()
        usable_home()
        kernel = tmp_path / "home" / "cache" / stamp / "numba" / "text" / "kernel.nbc"
        assert distill.cache_folder() == tmp_path / "home" / "cache" / stamp and kernel.read_text() == stamp
    assert sorted(path.name for path in (tmp_path / "home" / "cache").iterdir()) == ["first", "second"]
    kernel.write_text("compiled since")
    usable_home()
    assert kernel.read_text() == "compiled since"


def test_a_copy_that_fails_stops_no_run_and_leaves_nothing(tmp_path, monkeypatch):
    warm = tmp_path / "warm"
    (warm / "cache").mkdir(parents=True)
    (warm / "stamp").write_text("one")
    (warm / "cache" / "kernel").write_text("x")
    monkeypatch.setattr(distill, "WARM", warm)
    monkeypatch.setattr(home, "WARM", warm)
    monkeypatch.setenv("OPINION_HOME", str(tmp_path / "home"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    assert usable_home() == tmp_path / "home"
    assert not (tmp_path / "home" / "cache" / "one").exists()
