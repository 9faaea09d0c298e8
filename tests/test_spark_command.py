"""spark_conf/local/spark-command, find-spark-home, spark-env.sh: whose Spark starts, whose scratch is removed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.other_user import AS_NOBODY, IS_ROOT, nobodys

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / "spark_conf" / "local"
LIST = [
    ".venv/bin/spark-submit",
    "--properties-file",
    "spark_conf/local/spark-defaults.conf",
    "jobs/registry.py",
    "list",
]
# Holds what spark-submit would: the shell becomes another process and keeps its open files.
HOLD = f'. {LOCAL}/spark-env.sh; echo "$scratch"; exec sleep 100'


def run(command: list[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OPINION_HOME": str(home)} | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_what_is_installed_is_what_is_here():
    for name, source in (
        ("find-spark-home", "find-spark-home"),
        ("spark-submit", "spark-command"),
        ("spark-sql", "spark-command"),
    ):
        assert (ROOT / ".venv/bin" / name).read_text() == (LOCAL / source).read_text(), "run make setup"


@pytest.mark.spark
def test_another_sparks_environment_is_not_taken(tmp_path):
    other = tmp_path / "other"
    for package in ("jobs", "distill", "pyspark"):
        (other / package).mkdir(parents=True)
        (other / package / "__init__.py").write_text("raise ImportError('the other')\n")
    (other / "bin").mkdir()
    for name in ("spark-submit", "spark-class", "python"):
        (other / "bin" / name).write_text("#!/bin/sh\necho the other; exit 127\n")
        (other / "bin" / name).chmod(0o755)
    foreign = {"SPARK_HOME": str(other), "PYTHONPATH": str(other), "PYTHONHOME": str(other)}
    foreign |= {"PYSPARK_PYTHON": str(other / "bin/python"), "PYSPARK_DRIVER_PYTHON": "jupyter"}
    foreign |= {"PYSPARK_DRIVER_PYTHON_OPTS": "notebook", "SPARK_REMOTE": "sc://other", "SPARK_ENV_LOADED": "1"}
    foreign |= {"SPARK_DIST_CLASSPATH": str(other), "HADOOP_CONF_DIR": str(other), "SPARK_LAUNCHER_OPTS": "-Dother"}
    done = run(LIST, tmp_path / "home", **foreign)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"no version in {tmp_path}/home/registry yet")
    done = run([sys.executable, "jobs/registry.py", "list"], tmp_path / "home", PYTHONPATH=str(other))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        LIST,
        [".venv/bin/opinion", "--retry", "score_opinions", "--dt", "2026-11-09"],
        [".venv/bin/opinion", "sql", "select 1"],
    ],
)
@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("SPARK_CONF_DIR", "is not of this project: unset SPARK_CONF_DIR, or set it to a folder of "),
        ("JAVA_HOME", "has no bin/java: unset JAVA_HOME, or set it to a Java of version 17 or more"),
    ],
)
def test_what_cannot_be_ours_is_named(tmp_path, command, variable, message):
    (tmp_path / "spark-env.sh").write_text("echo the other\n")
    done = run(command, tmp_path / "home", **{variable: str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {variable}={tmp_path} ") and message in done.stderr.splitlines()[0]
    assert not (tmp_path / "home").exists()


def test_an_old_java_is_named(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to("/bin/false")
    for version, number in (("1.8.0_412", "8"), ("11.0.22", "11")):
        (tmp_path / "bin" / "java").unlink()
        (tmp_path / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / "java").chmod(0o755)
        (tmp_path / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
        done = run(LIST, tmp_path / "home", JAVA_HOME=str(tmp_path))
        assert (done.returncode, done.stdout) == (2, "") and f"is Java {number}, and Spark needs 17" in done.stderr


def hold(home: Path, host: str, *become: str) -> tuple[subprocess.Popen[str], Path]:
    """A run of that host, and its scratch."""
    environment = os.environ | {"OPINION_HOME": str(home), "HOSTNAME": host}
    process = subprocess.Popen([*become, "bash", "-c", HOLD], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_the_scratch_of_a_killed_run_is_removed_and_no_other(tmp_path):
    """By a run of another host's name: a container has a new one each night."""
    become: list[str] = []
    if IS_ROOT:  # another user's, whom no signal of ours would reach
        become = AS_NOBODY
        nobodys(tmp_path)
    runs = []
    try:
        for host in ("a", "b"):
            runs.append(hold(tmp_path, host, *become))
            assert runs[-1][1].is_dir()
        (killed, gone), (_, alive) = runs
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (gone / "shuffle").write_text("")
        runs.append(hold(tmp_path, "c"))
        assert not gone.exists() and alive.is_dir() and runs[-1][1].is_dir()
    finally:
        for process, _ in runs:
            process.kill()
            process.communicate()


def test_runs_that_start_at_once_have_a_scratch_each(tmp_path):
    runs = [hold(tmp_path, "a") for _ in range(2)] + [hold(tmp_path, "b")]
    time.sleep(0.1)
    try:
        assert len({scratch for _, scratch in runs}) == 3 and all(scratch.is_dir() for _, scratch in runs)
    finally:
        for process, _ in runs:
            process.kill()
            process.communicate()


MAPPED = """\
import os
print("warm/classes-" in open(f"/proc/{os.getppid()}/maps").read())
"""


@pytest.fixture
def copy_of_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that links to this one's files but for .venv/warm, whose start scripts are its own.

    Its settings are its own too: a session of another test in this process leaves those of this checkout behind.
    """
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    copy = tmp_path / "checkout"
    (copy / ".venv" / "bin").mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name != ".venv":
            (copy / path.name).symlink_to(path)
    for path in (ROOT / ".venv").iterdir():
        if path.name not in ("bin", "warm"):
            (copy / ".venv" / path.name).symlink_to(path)
    for path in (ROOT / ".venv" / "bin").iterdir():
        (copy / ".venv" / "bin" / path.name).symlink_to(path)
    (copy / ".venv" / "warm").mkdir()
    (copy / ".venv" / "warm" / "venv").symlink_to(copy / ".venv")
    (copy / "mapped.py").write_text(MAPPED)
    return copy


@pytest.mark.spark
def test_an_archive_of_classes_is_used_where_it_fits_and_is_silent_where_it_does_not(copy_of_checkout: Path) -> None:
    warm = copy_of_checkout / ".venv" / "warm"

    def start(**variables: str) -> str:
        environment = os.environ | {"OPINION_HOME": str(copy_of_checkout / "home")} | variables
        command = [str(copy_of_checkout / ".venv" / "bin" / "spark-submit"), str(copy_of_checkout / "mapped.py")]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "WARNING: Using incubator modules: jdk.incubator.vector\n")
        return done.stdout

    def start_with(content: bytes, size: int) -> str:
        for old in warm.glob("classes-*"):
            old.unlink()
        (warm / f"classes-{size}.jsa").write_bytes(content)
        return start()

    assert start() == "False\n"
    made = warm / "made.jsa"
    assert start(SPARK_SUBMIT_OPTS=f"-Xlog:disable -XX:ArchiveClassesAtExit={made}") == "False\n"
    whole = made.read_bytes()
    java = re.search(rb"OpenJDK [ -~]*|Java HotSpot[ -~]*", whole[:4096])
    assert java
    assert start_with(whole, len(whole)) == "True\n"
    of_another_java = whole[: java.start()] + java[0][::-1] + whole[java.end() :]
    of_other_jars = whole.replace(b"/jars/spark-core_", b"/jars/spark-kern_")
    for content in (of_another_java, of_other_jars, b"rubbish"):
        start_with(content, len(content))
    assert start_with(whole[: len(whole) // 2], len(whole)) == "False\n"
    (warm / "venv").unlink()
    (warm / "venv").symlink_to(ROOT / ".venv")
    assert start_with(whole, len(whole)) == "False\n", "made in another environment"


def test_settings_of_hadoop_beside_ours_stay_on_the_class_path(copy_of_checkout: Path) -> None:
    """They are read from there alone, so the archive is given up for them."""
    conf = copy_of_checkout / "spark_conf"
    conf.unlink()
    (conf / "local").mkdir(parents=True)
    for path in LOCAL.iterdir():
        (conf / "local" / path.name).symlink_to(path)
    (copy_of_checkout / ".venv" / "warm" / "classes-0.jsa").write_bytes(b"")
    shown = 'printf "%s|%s" "${SPARK_CONF_DIR:-none}" "$SPARK_SUBMIT_OPTS"'
    submit = copy_of_checkout / ".venv" / "bin" / "spark-submit"
    text = submit.read_text().replace('exec "$SPARK_HOME/bin/${0##*/}" "$@"', shown)
    assert shown in text
    submit.unlink()
    submit.write_text(text)
    for settings, has_archive in (("", True), ("hive-site.xml", False)):
        if settings:
            (conf / "local" / settings).write_text("<configuration/>")
        done = run(["bash", str(submit), "x.py"], copy_of_checkout / "home")
        folder, _, options = done.stdout.partition("|")
        assert (folder == "none", "SharedArchiveFile" in options) == (has_archive, has_archive), done
