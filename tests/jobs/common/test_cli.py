"""Every job's command line: tricks are refused, a refusal is one line, help needs no Spark."""

import argparse
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distill import CHECKOUT, errors
from jobs import registry
from jobs.common.cli import database_name, day, job_parser

JOBS = sorted(p.stem for p in (CHECKOUT / "jobs").glob("*.py") if "run_main(main)" in p.read_text())
PLAIN = {  # without spark-submit
    "demo": "make demo",
    "registry": "opinion registry list",
    "ship": "opinion ship",
    "warm_up": "opinion warm_up",
}
tricks = st.text(st.sampled_from("0129-'\";/.\\ \n_%a$`()A１")) | st.text()


@given(tricks | st.dates().map(str))
@example("2026-1-1")
@example("2026-02-30")
@example("20261109")
@example("2026-W46-1")
@example("２０２６-１１-０９")
@example("2026-11-09\n")
@example(" 2026-11-09")
@example("2026-11-09'; drop table raw_opinion")
@example("2026-11-09/../2026-11-10")
@example("../x")
@example("*")
def test_a_day_is_a_plain_calendar_day_or_refused(text):
    try:
        assert day(text) == text
    except argparse.ArgumentTypeError as e:
        assert "write it as YYYY-MM-DD" in str(e)
    else:
        assert re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text)
        assert str(date.fromisoformat(text)) == text


@given(tricks | st.from_regex("[a-z0-9_]+"))
@example("opinion; drop database opinion")
@example("opinion\n")
@example("../opinion")
@example("`x`")
@example("Opinion")
@example("数据")
@example("a" * 65)
def test_a_database_is_a_plain_name_or_refused(text):
    try:
        assert database_name(text) == text
    except argparse.ArgumentTypeError as e:
        assert "use lower-case letters" in str(e)
    else:
        assert text.isascii() and text.replace("_", "a").isalnum() and text == text.lower() and len(text) <= 64


def job(name: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"jobs/{name}.py", *args],
        cwd=CHECKOUT,
        env=os.environ | {"JAVA_HOME": "/nowhere", "SPARK_HOME": "/nowhere"},  # so that a start of Spark fails
        capture_output=True,
        text=True,
    )


# Each takes seconds to import: a command line is parsed, refused or explained without them.
HEAVY = {"torch", "transformers", "horovod", "matplotlib"}
IMPORTED = """
import atexit, runpy, sys
atexit.register(lambda: print("imported:", *{name.partition(".")[0] for name in sys.modules}))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def imported(name: str, *args: str, home: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """A job run as by its user, and the packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, f"jobs/{name}.py", *args],
        cwd=CHECKOUT,
        env=os.environ | {"JAVA_HOME": "/nowhere", "SPARK_HOME": "/nowhere", "OPINION_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    return done, set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("name", JOBS)
def test_help_shows_an_example_and_imports_nothing_that_takes_seconds(name, tmp_path):
    done, packages = imported(name, "--help", home=tmp_path)
    assert done.returncode == 0, done.stderr
    if name in PLAIN:
        assert PLAIN[name] in done.stdout
    else:
        assert re.search(rf"^example:\n  \.venv/bin/opinion {name}\b", done.stdout, re.MULTILINE)
        assert f"OPINION_{name.upper()}_FLAG" in done.stdout and f"[{name}]" in done.stdout
    assert {"jobs", "distill"} <= packages, "the list is that of the job"
    assert not packages & (HEAVY | ({"pyspark"} if name in {*PLAIN, "explain"} else set()))


def test_a_text_is_explained_without_spark_and_torch(tmp_path, monkeypatch):
    from tests.jobs.tiny_model import add_model  # imports torch

    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    version = add_model("explained", 1)
    done, packages = imported("explain", "--text", "物业乱收费", "--model", version, home=tmp_path)
    assert done.returncode == 0 and version in done.stdout, done.stderr
    assert "numba" in packages and not packages & {*HEAVY, "pyspark"}


def test_a_refused_command_line_imports_nothing_that_takes_seconds(tmp_path):
    done, packages = imported("train_teacher", "--epochs", "many", home=tmp_path)
    assert done.returncode == errors.BadInput.exit_code and "jobs" in packages
    assert not packages & HEAVY


LIGHT = {
    "train_teacher": ["--epochs", "0"],
    "store_teacher_logits": ["--teacher", "bert", "--dt", "2026-11-09", "--train-rows", "5"],
    "distill_student": ["--scheme", "offline"],
    "retrain": ["--min-coverage", "2"],
    "compare_schemes": ["--grid", "/nowhere.toml"],
    "calibrate_threshold": ["--target-precision", "1"],
    "load_opinions": ["--dt", "2026-11-09", "--input", "x", "--to", "2026-11-09"],
    "score_opinions": ["--dt", "2026-11-09", "--sample", "3"],
    "report_day": ["--dt", "2026-11-9"],
    "report_retrain": ["--version", "none"],
    "night": ["--from", "2026-11-09", "--to", "2026-11-10", "--input", "x"],
}


@pytest.mark.parametrize("name", LIGHT)
def test_help_and_wrong_flags_need_neither_torch_nor_spark(tmp_path, name):
    """Also flags that are wrong only together."""
    for flags, code in ((["--help"], 0), (["--frobnicate"], 2), (LIGHT[name], 2)):
        command = [sys.executable, "-X", "importtime", f"jobs/{name}.py", *flags]
        environment = os.environ | {"OPINION_HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stderr[-500:]
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line}
        assert "argparse" in imported and not imported & {"torch", "pyspark", "transformers", "numba", "sklearn"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--dt", "2026-1-1"], "argument --dt: '2026-1-1' is not a day; write it as YYYY-MM-DD"),
        (["--dt", "2026-11-09'; drop table x"], "is not a day"),
        (["--database", "a;b", "--dt", "2026-11-09"], "argument --database: 'a;b' is not a database name"),
        (["--d", "2026-11-09"], "there is no flag --d"),  # none by a part of its name
        (["--formta=csv"], "there is no flag --formta; did you mean --format?"),
        ([], "required: --input"),
    ],
)
def test_a_refused_command_line_is_one_line(args, message):
    done = job("load_opinions", *args)
    assert done.returncode == errors.BadInput.exit_code and done.stdout == ""
    assert message in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line that refuses the flags of a job such as explain."""
    parser = job_parser("", "explain.py")
    parser.add_argument("--text")
    parser.add_argument("-i", "--input", nargs="+")
    parser.add_argument("--json", action="store_true")
    with pytest.raises(SystemExit) as exit:
        parser.parse_args(args)
    message = capsys.readouterr().err
    assert exit.value.code == errors.BadInput.exit_code and message.count("\n") == 1
    return message


@pytest.mark.parametrize(
    ("args", "form"),
    [
        (["--text", "-1分也不给"], "--text=VALUE"),
        (["--json", "--text", "--投诉", "--database", "x"], "--text=VALUE"),
        (["--text", "--=--"], "--text=VALUE"),
        (["--text", "-help", "--json"], "--text=VALUE"),
        (["--input", "-new.csv"], "--input=VALUE"),
        (["--input", "a.csv", "-new.csv"], "a path ./-NAME"),
    ],
)
def test_a_value_that_begins_with_a_dash_is_refused_with_the_form_that_takes_it(args, form, capsys):
    message = refused(args, capsys)
    assert form in message and "a value that begins with - is written" in message


@pytest.mark.parametrize("reason", ["-x", "--worse", "-五分"])
def test_so_it_is_by_the_commands_of_the_registry(reason, capsys):
    for command in (["rollback"], ["promote", "v"]):
        with pytest.raises(SystemExit):
            registry.main([*command, "--reason", reason])
        assert "a value that begins with - is written --reason=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["--text"], ["--text", "--json"], ["--text", "好", "--json", "--jsno"]])
def test_a_flag_without_a_value_or_a_slip_is_refused_without_that_form(args, capsys):
    assert "begins with -" not in refused(args, capsys)


@pytest.mark.parametrize(
    "trick", ["../../etc/passwd", "x'; drop table y", "champion/../x", "textcnn@../x", "投诉\n", ""]
)
@pytest.mark.parametrize(
    ("name", "flags"),
    [("score_opinions", ["--dt", "2026-11-09", "--model"]), ("registry", ["promote", "--reason", "x"])],
)
def test_a_version_that_tries_tricks_is_refused_before_anything_is_made(tmp_path, monkeypatch, name, flags, trick):
    monkeypatch.setenv("OPINION_HOME", str(tmp_path / "home"))
    done = job(name, *flags, trick)
    assert done.returncode == errors.BadInput.exit_code and done.stdout == ""
    assert "is not the name of a version" in done.stderr and done.stderr.count("\n") == 1
    made = {path.name for path in (tmp_path / "home").iterdir()}
    assert made - {"cache"} == {"logs"}, "and what the set-up has compiled"
