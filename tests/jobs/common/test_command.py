"""The command `opinion`: which command line a job gets, what is tried again, and how a query is answered."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distill import CHECKOUT
from jobs.common import command
from jobs.common.settings import JOBS

NOISE = "WARNING: Using incubator modules: jdk.incubator.vector\nSpark master: local[*], Application Id: local-1\n"
# What spark-sql says, shortened, where a job has the embedded metastore, and where Java has no memory.
BUSY = """\
Exception in thread "main" org.apache.spark.sql.AnalysisException: Unable to instantiate SessionHiveMetaStoreClient
\tat org.apache.spark.sql.hive.HiveExternalCatalog.withClient(HiveExternalCatalog.scala:120)
NestedThrowables:
java.sql.SQLException: Failed to start database '/data/opinion/metastore_db'
Caused by: ERROR XSDB6: Another instance of Derby may have already booted the database /data/opinion/metastore_db.
\tat org.apache.derby.iapi.error.StandardException.newException(Unknown Source)
"""
FAILED = (
    'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n\tat java.base/java.util.Arrays.copyOf\n'
)
REFUSED = (
    "[PARSE_SYNTAX_ERROR] Syntax error at or near 'selct'. SQLSTATE: 42601 (line 1, pos 0)\n\n== SQL ==\nselct\n^^^\n"
)


START = """\
import sys
from pathlib import Path
from jobs.common import command
command.BIN = Path(sys.argv.pop(1))
command.main()
"""
LOCAL = f"--properties-file|{CHECKOUT}/spark_conf/local/spark-defaults.conf"


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """Programs in place of Spark's: each appends its arguments to `given`, and ends with the next code of `codes`."""
    for name in ("spark-submit", "spark-sql"):
        program = tmp_path / name
        program.write_text(
            f"#!/bin/sh\ncd {tmp_path}\nprintf '%s|' \"$@\" | tee -a given\n"
            "echo >> given\ncat complaint >&2\n"
            'exit $(sed -n "$(wc -l < given)p" codes)\n'
        )
        program.chmod(0o755)
    (tmp_path / "complaint").write_text(NOISE)
    return tmp_path


@pytest.fixture
def opinion(bin_folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command; its programs end with the given codes, one a call."""

    def run(*words: str, codes: tuple[int, ...] = (0,), **variables: str) -> subprocess.CompletedProcess[str]:
        (bin_folder / "codes").write_text("".join(f"{code}\n" for code in codes))
        return subprocess.run(
            [sys.executable, "-c", START, str(bin_folder), *words],
            env=os.environ | {"WAIT": "0", "TRIES": "3"} | variables,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def given(bin_folder: Path) -> list[str]:
    return (bin_folder / "given").read_text().splitlines()


def test_a_job_runs_with_the_settings_of_this_machine(opinion, bin_folder):
    done = opinion("score_opinions", "--dt", "2026-11-09", "--model", "a b", codes=(6,))
    assert done.returncode == 6
    assert given(bin_folder) == [f"{LOCAL}|{CHECKOUT}/jobs/score_opinions.py|--dt|2026-11-09|--model|a b|"]


def test_on_a_cluster_its_flags_are_the_clusters(opinion, bin_folder):
    flags = shlex.join(["--load-spark-defaults", "--properties-file", "x y.conf"])
    opinion("load_opinions.py", SUBMIT_FLAGS=flags)
    assert given(bin_folder) == [f"--load-spark-defaults|--properties-file|x y.conf|{CHECKOUT}/jobs/load_opinions.py|"]


@pytest.mark.parametrize(
    ("job", "flags", "program"),
    [
        ("registry", ["list"], "python"),
        ("explain", ["--text", "退款"], "python"),
        ("explain", ["--text=-1分"], "python"),
        ("explain", ["--opinion-id", "1", "--dt", "2026-11-09"], "spark-submit"),
    ],
)
def test_spark_starts_only_where_a_job_needs_it(job, flags, program):
    assert Path(command.command_of(job, flags)[0]).name == program


def test_help_lists_every_job_with_its_first_line(opinion):
    done = opinion("--help")
    assert done.returncode == 0 and set(command.jobs()) == set(JOBS)
    for name, doc in command.jobs().items():
        assert f"  {name:22}{doc}" in done.stdout and doc.endswith(".")


@pytest.mark.parametrize("words", [("score_opinion",), ("--retry", "score_opinion"), ("../jobs/demo",)])
def test_an_unknown_job_is_refused_with_the_jobs(opinion, words):
    done = opinion(*words)
    assert done.returncode == 2 and done.stderr.startswith(f"error: there is no job {words[-1]}; the jobs are ")


@pytest.mark.parametrize(
    ("codes", "ends", "calls"),
    [
        ((0,), 0, 1),
        ((4, 0), 0, 2),
        ((5, 4, 0), 0, 3),
        ((4, 4, 4, 0), 4, 3),
        ((1,), 1, 1),
        ((2,), 2, 1),
        ((3,), 3, 1),
        ((5, 2, 0), 2, 2),
        ((137,), 137, 1),
        ((45,), 45, 1),
    ],
)
def test_codes_that_may_be_over_in_a_while_are_tried_again(opinion, bin_folder, codes, ends, calls):
    done = opinion("--retry", "score_opinions", "--dt", "2026-11-09", codes=codes)
    assert (done.returncode, len(given(bin_folder))) == (ends, calls)
    kept = done.stderr.replace(NOISE.splitlines()[1] + "\n", "")  # a job's stderr stays, but for Java's warning
    assert "incubator" not in done.stderr and kept.count("\n") == calls - (ends == 0)
    assert not ends or kept.endswith(f"score_opinions ended with exit code {ends}\n")
    assert set(given(bin_folder)) == {f"{LOCAL}|{CHECKOUT}/jobs/score_opinions.py|--dt|2026-11-09|"}


def test_it_waits_longer_each_time_and_prints_so(opinion):
    lines = opinion("--retry", "score_opinions", codes=(4, 5, 0), WAIT="0.5").stderr.splitlines()
    assert [line for line in lines if "try" in line] == [
        "score_opinions ended with exit code 4; try 2 of 3 in 0.5 s",
        "score_opinions ended with exit code 5; try 3 of 3 in 1 s",
    ]


def test_a_signal_ends_the_job_and_nothing_is_tried_again(bin_folder):
    (bin_folder / "spark-submit").write_text(f"#!/bin/sh\necho x >> {bin_folder}/given\nexec sleep 60\n")
    words = [sys.executable, "-c", START, str(bin_folder), "--retry", "score_opinions"]
    with subprocess.Popen(words, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as process:
        while not (bin_folder / "given").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    assert given(bin_folder) == ["x"]


def test_the_crontab_runs_jobs_that_are_there(tmp_path):
    """Each line is run by a shell as cron runs it, with a command that writes down what it was given."""
    lines = (CHECKOUT / "docs" / "schedule" / "crontab").read_text(encoding="utf-8").splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and line[0].isupper())
    for name in (".venv/bin", "logs"):
        (tmp_path / name).mkdir(parents=True)
    command = tmp_path / ".venv" / "bin" / "opinion"
    command.write_text('#!/bin/sh\n[ "$1" = --retry ] && shift && echo "$@" >> given\necho said\n')
    command.chmod(0o755)
    for line in lines:
        if line and line[0].isdigit():
            job = line.split(maxsplit=5)[5].replace("\\%", "%")
            assert "%" not in line.replace("\\%", ""), "cron ends a command at a bare %"
            subprocess.run(
                ["bash", "-c", job],
                env=os.environ | variables | {"CHECKOUT": str(tmp_path), "OPINION_HOME": str(tmp_path)},
                check=True,
            )
    assert (tmp_path / "logs" / "cron.log").read_text() == "said\n" * 4
    given = (tmp_path / "given").read_text().splitlines()
    assert [line.split()[0] for line in given] == ["night", "calibrate_threshold", "retrain", "report_retrain"]
    assert all((Path(CHECKOUT) / "jobs" / f"{line.split()[0]}.py").exists() for line in given)
    day = given[0].split()[2]
    assert given[0] == f"night --dt {day} --input /data/stream/dt={day}.jsonl.gz"


@pytest.mark.parametrize(
    ("complaint", "code", "message"),
    [
        (NOISE + "Time taken: 1 seconds\n", 0, "Time taken: 1 seconds\n"),
        (NOISE + REFUSED, 1, REFUSED),
        (NOISE + FAILED, 1, FAILED.splitlines(keepends=True)[0]),
    ],
)
def test_an_answer_and_an_error_are_those_of_the_query(opinion, bin_folder, complaint, code, message):
    (bin_folder / "complaint").write_text(complaint)
    done = opinion("sql", "select '$x'\n-- 退款", codes=(code, code), SUBMIT_FLAGS="--name x")
    flags = "--name|x|--conf|spark.sql.variable.substitute=false|--hiveconf|hive.cli.print.header=true"
    assert done.stdout == f"{flags}|-e|select '$x'\n-- 退款|"
    assert (done.returncode, done.stderr) == (code, message)


def test_a_metastore_in_use_is_one_line(opinion, bin_folder):
    (bin_folder / "complaint").write_text(NOISE + BUSY)
    done = opinion("sql", "select 1", codes=(1,))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: another process has the embedded metastore open, a job or a query; ask again")


@pytest.mark.parametrize("words", [("sql",), ("sql", " "), ("sql", "select", "1")])
def test_without_a_query_it_explains_how_to_ask(opinion, words):
    done = opinion(*words)
    assert (done.returncode, done.stdout) == (2, "") and 'for example make sql Q="select' in done.stderr


def test_a_terminal_escape_is_shown_in_the_answer_and_in_an_error(opinion, bin_folder):
    (bin_folder / "complaint").write_text("[CAST_INVALID_INPUT] The value '\x1b[2J' cannot be cast\n")
    done = opinion("sql", "\x1b[31m\x07红", codes=(1,))
    assert done.stdout.endswith("|-e|\\u001b[31m\\u0007红|")
    assert done.stderr == "[CAST_INVALID_INPUT] The value '\\u001b[2J' cannot be cast\n"


@pytest.mark.spark
def test_a_query_reaches_spark_as_it_is_typed(tmp_path):
    """Through make, the shell and Spark, each of which has variables of its own."""
    typed = "${x} $(shell id) $$ ${system:user.home} ${env:HOME} `id` ${unclosed"
    command = ["make", "-o", ".venv/.installed", "sql", f"Q=select '{typed}' as answer, '\x1b[31m' as escape"]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=os.environ | {"OPINION_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"answer\tescape\n{typed}\t\\u001b[31m\n"
