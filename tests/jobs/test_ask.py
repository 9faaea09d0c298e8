"""jobs/ask.sh: the answer is the query's, what went wrong is a line. tests/test_readme.py asks a real Spark."""

import os
import shutil
import subprocess
import sys

import pytest

from jobs.common.cli import CHECKOUT

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


@pytest.fixture
def ask(tmp_path):
    """Ask in a checkout whose spark-sql complains as told; what came of it."""
    (tmp_path / "jobs").mkdir()
    for name in ("ask.sh", "visible.py"):
        shutil.copy(CHECKOUT / "jobs" / name, tmp_path / "jobs")
    spark_sql = tmp_path / ".venv" / "bin" / "spark-sql"
    spark_sql.parent.mkdir(parents=True)
    spark_sql.write_text('#!/bin/sh\nprintf "%s|" "$@"\ncat complaint >&2\nexit $(cat code)\n')
    spark_sql.chmod(0o755)
    spark_sql.with_name("python").symlink_to(sys.executable)

    def run(query: str, complaint: str, code: int) -> subprocess.CompletedProcess[str]:
        (tmp_path / "complaint").write_text(complaint)
        (tmp_path / "code").write_text(str(code))
        command, environment = [str(tmp_path / "jobs" / "ask.sh"), query], os.environ | {"SUBMIT_FLAGS": "--name x"}
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=60)

    return run


@pytest.mark.parametrize(
    ("complaint", "code", "said"),
    [
        (NOISE + "Time taken: 1 seconds\n", 0, "Time taken: 1 seconds\n"),
        (NOISE + REFUSED, 1, REFUSED),
        (NOISE + FAILED, 1, FAILED.splitlines(keepends=True)[0]),
    ],
)
def test_what_it_says_and_its_code_are_those_of_the_query(ask, complaint, code, said):
    done = ask("select '$x'\n-- 退款", complaint, code)
    flags = "--name|x|--conf|spark.sql.variable.substitute=false|--hiveconf|hive.cli.print.header=true"
    assert done.stdout == f"{flags}|-e|select '$x'\n-- 退款|"
    assert (done.returncode, done.stderr) == (code, said)


def test_a_metastore_in_use_is_told_in_a_line(ask):
    done = ask("select 1", NOISE + BUSY, 1)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: another process has the embedded metastore open, a job or a query; ask again")


def test_without_a_query_it_says_how_to_ask(ask):
    done = ask("", "", 0)
    assert (done.returncode, done.stdout) == (2, "") and 'say for example make sql Q="select' in done.stderr


def test_a_terminal_escape_is_shown_in_the_answer_and_in_an_error(ask):
    done = ask("\x1b[31m\x07红", "[CAST_INVALID_INPUT] The value '\x1b[2J' cannot be cast\n", 1)
    assert done.stdout.endswith("|-e|\\u001b[31m\\u0007红|")
    assert done.stderr == "[CAST_INVALID_INPUT] The value '\\u001b[2J' cannot be cast\n"


@pytest.mark.spark
def test_a_query_reaches_spark_as_it_is_typed(home):
    """Through make, the shell and Spark, each of which has variables of its own."""
    typed = "${x} $(shell id) $$ ${system:user.home} ${env:HOME} `id` ${unclosed"
    command = ["make", "-o", ".venv/.installed", "sql", f"Q=select '{typed}' as answer, '\x1b[31m' as escape"]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"answer\tescape\n{typed}\t\\u001b[31m\n"
