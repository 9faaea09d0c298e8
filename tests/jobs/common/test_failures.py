"""How a job ends: one line and a code for every failure, whatever the locale and the exception of Spark."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.errors.exceptions.captured import AnalysisException

from distill import CHECKOUT, errors
from jobs.common.failures import error_of

KINDS = ["OpinionError", "BadInput", "BadModel", "Infrastructure", "Busy"]


def run(code: str, home: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run `def main()` of the code, which is ASCII, below run_main in a process of its own."""
    code = f"from jobs.common.failures import *\nfrom distill.errors import *\n{code}\nrun_main(main)"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env=os.environ | {"OPINION_HOME": str(home)} | env,
        capture_output=True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_line_and_its_code(tmp_path, kind):
    done = run(
        f"def main():\n    raise {kind}({'第 1 行'!a} '\\n' {'坏了'!a})",
        tmp_path,
        LC_ALL="C",
        PYTHONIOENCODING="ascii",
    )
    assert done.returncode == getattr(errors, kind).exit_code != 0
    assert (done.stdout, done.stderr.decode("utf-8")) == (b"", "error: 第 1 行 坏了\n")
    assert "Traceback" in (tmp_path / "logs" / "jobs.log").read_text(encoding="utf-8")


def test_the_codes_differ():
    assert len({getattr(errors, kind).exit_code for kind in KINDS}) == len(KINDS)


def test_a_bug_is_one_line_and_its_trace_is_in_the_log(tmp_path):
    done = run("def main():\n    raise KeyError('k')", tmp_path)
    assert done.returncode == 1
    assert done.stderr.decode() == f"error: KeyError: 'k' (a bug; trace in {tmp_path}/logs/jobs.log)\n"
    logged = (tmp_path / "logs" / "jobs.log").read_text(encoding="utf-8")
    assert "KeyError: 'k'" in logged and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ", logged), "with its zone"


def test_success_prints_utf_8_whatever_the_locale(tmp_path):
    done = run(
        f"def main():\n    print({'有效投诉'!a})", tmp_path, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    assert (done.returncode, done.stdout.decode("utf-8"), done.stderr) == (0, "有效投诉\n", b"")


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    """As of `opinion registry show | head`."""
    read, write = os.pipe()
    os.close(read)
    code = "from jobs.common.failures import *\ndef main():\n    print('x')\nrun_main(main)"
    environment = os.environ | {"OPINION_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "文件").write_text("")
    done = run("def main():\n    pass", tmp_path / "文件" / "home", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode == errors.BadInput.exit_code
    message = done.stderr.decode("utf-8")
    assert message.startswith(f"error: cannot write to {tmp_path}/文件/home: ") and message.count("\n") == 1
    assert "set OPINION_HOME" in message


@pytest.mark.parametrize("kind", ["BadInput", "BadModel", "Infrastructure", "OpinionError"])
def test_what_a_worker_refuses_keeps_its_kind_and_line(kind):
    told = (
        f"An exception was thrown from the Python worker:\nTraceback …\ndistill.errors.{kind}: 内存 is short; mend it\n"
    )
    error = error_of(RuntimeError(told))
    assert (type(error).__name__, str(error)) == (kind, "内存 is short; mend it")


@pytest.mark.spark
def test_an_embedded_metastore_in_use_is_busy(spark):
    """As Spark tells it to the second process: what is wrong stands in the trace alone."""
    told = "HiveException: java.lang.RuntimeException: Unable to instantiate SessionHiveMetaStoreClient"
    cause = "Caused by: ERROR XSDB6: Another instance of Derby may have already booted the database metastore_db."
    error = error_of(AnalysisException(told, f"{told}\n\tat org.apache.spark\n{cause}"))
    assert type(error) is errors.Busy and "another process has the embedded metastore open" in str(error)
    assert type(error_of(AnalysisException(told, f"{told}\n\tat org.apache.spark"))) is errors.Infrastructure


@pytest.mark.parametrize(("kind", "code"), [("ValueError", 1), ("ArrowInvalid", 1), ("ConnectionResetError", 4)])
def test_what_a_worker_raised_is_said_by_its_kind_and_place(kind, code):
    told = f"jobs.common.privacy.WorkerFailed: {kind}, left out, at a.py:1 in f < b.py:2 in g"
    error = error_of(RuntimeError(f"from the Python worker:\nTraceback …\n{told}"))
    assert error.exit_code == code
    assert str(error).startswith(f"a Python worker failed: {kind}, left out, at a.py:1 in f (trace in ")
