"""The command `opinion`: run a job with the settings of this host, with retries if wanted, or run a query.

opinion score_opinions --dt 2026-11-09
opinion --retry score_opinions --dt 2026-11-09
opinion sql "select * from opinion.scoring_run"
"""

import ast
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, NoReturn

from distill import CHECKOUT
from distill.errors import BadInput, Busy, Infrastructure
from jobs.common.small_days import java_options
from jobs.common.visible import visible

BIN = CHECKOUT / ".venv" / "bin"
NO_SPARK = ("demo", "registry", "ship", "warm_up")  # and `explain --text`
USAGE = """usage: opinion [--retry] JOB [FLAG …]      run a job; opinion JOB --help explains its flags
       opinion sql "QUERY"                ask a query, see docs/sql-cookbook.md

--retry    run the job again after exit codes 4 (infrastructure) and 5 (another run has the day)

variables: SUBMIT_FLAGS   flags of spark-submit and spark-sql on a cluster, see docs/cluster.md
           TRIES, WAIT    of --retry: runs at most (6), seconds before the second (60), doubled before each further one

jobs:
"""
INCUBATOR = "WARNING: Using incubator modules"  # Java prints it at each start of Spark; no flag turns it off
BUSY = (
    "error: another process has the embedded metastore open, a job or a query; ask again when it has ended, "
    "or use a metastore service (docs/cluster.md)"
)


def main() -> None:
    """Run the job or query of the command line and exit with its code."""
    words = sys.argv[1:]
    retry = words[:1] == ["--retry"]
    job, *flags = words[retry:] or ["--help"]
    if job in ("-h", "--help"):
        print(USAGE + "\n".join(f"  {name:22}{doc}" for name, doc in jobs().items()))
    elif job == "sql":
        sys.exit(ask(flags))
    elif job.removesuffix(".py") not in jobs():
        refuse(f"there is no job {job}; the jobs are {', '.join(jobs())}")
    elif retry:
        sys.exit(run_with_retries(job.removesuffix(".py"), flags))
    else:
        command = command_of(job.removesuffix(".py"), flags)
        environment = environment_of(job.removesuffix(".py"), flags)
        os.chdir(CHECKOUT)
        os.execve(command[0], command, environment)


def jobs() -> dict[str, str]:
    """The jobs, each with the first line of its docstring, without importing them."""
    docs = {}
    for path in sorted((CHECKOUT / "jobs").glob("[!_.]*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        docs[path.stem] = doc.partition("\n")[0]
    return docs


def command_of(job: str, flags: Sequence[str]) -> list[str]:
    """The command line of a job: python for a job without Spark, else spark-submit."""
    file = str(CHECKOUT / "jobs" / f"{job}.py")
    if job in NO_SPARK or (job == "explain" and any(flag.partition("=")[0] == "--text" for flag in flags)):
        return [str(BIN / "python"), file, *flags]
    return [str(BIN / "spark-submit"), *submit_flags(), file, *flags]


def submit_flags() -> list[str]:
    """SUBMIT_FLAGS, or the settings of one machine."""
    local = f"--properties-file {shlex.quote(str(CHECKOUT / 'spark_conf' / 'local' / 'spark-defaults.conf'))}"
    return shlex.split(os.environ.get("SUBMIT_FLAGS") or local)


def environment_of(job: str, flags: Sequence[str]) -> dict[str, str]:
    """The environment of a job; on one machine Java compiles small days quickly."""
    options = "" if os.environ.get("SUBMIT_FLAGS") else java_options(job, flags)
    return os.environ | {"SPARK_SUBMIT_OPTS": f"{os.environ.get('SPARK_SUBMIT_OPTS', '')} {options}".strip()}


def run_with_retries(job: str, flags: Sequence[str]) -> int:
    """Run the job until it succeeds or fails for good; returns its last exit code.

    Only failures reach stderr, so that cron mails nothing else.
    """
    tries, wait = int(os.environ.get("TRIES", "6")), float(os.environ.get("WAIT", "60"))
    for number in range(1, tries + 1):
        code = run_quietly(command_of(job, flags), environment_of(job, flags))
        if code == 0:
            return 0
        ending = f"{job} ended with exit code {code}"
        if code not in (Infrastructure.exit_code, Busy.exit_code) or number == tries:
            print(ending, file=sys.stderr)
            return code
        print(f"{ending}; try {number + 1} of {tries} in {wait:g} s", file=sys.stderr, flush=True)
        time.sleep(wait)
        wait *= 2
    return 0


def run_quietly(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command without the stderr line about incubator modules; forward signals to it."""
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: process.send_signal(received))
    assert process.stderr is not None
    for line in process.stderr:
        if not line.startswith(INCUBATOR.encode()):
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
    code = process.wait()
    return 128 - code if code < 0 else code


def ask(words: Sequence[str]) -> int:
    """Run a query with spark-sql; the result goes to stdout, and a failure is one line."""
    if len(words) != 1 or not words[0].strip():
        refuse('no query; for example make sql Q="select * from opinion.scoring_run"')
    # Otherwise Spark would substitute ${x} by its own variables.
    options = ["--conf", "spark.sql.variable.substitute=false", "--hiveconf", "hive.cli.print.header=true"]
    command = [str(BIN / "spark-sql"), *submit_flags(), *options, "-e", words[0]]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    answer = threading.Thread(target=show, args=(process.stdout, sys.stdout))
    answer.start()
    busy, failure = False, ""
    for raw in process.stderr:
        line = raw.decode("utf-8", "replace")
        busy = busy or "ERROR XSDB6" in line
        if line.startswith("Exception in thread") and not failure:
            failure = line  # Java's trace follows
        if not failure and not line.startswith((INCUBATOR, "Spark master")):
            print(visible(line), end="", file=sys.stderr, flush=True)
    answer.join()
    if busy or failure:
        print(BUSY if busy else visible(failure.rstrip("\n")), file=sys.stderr)
    code = process.wait()
    return 128 - code if code < 0 else code


def show(source: IO[bytes], target: IO[str]) -> None:
    """Copy lines of text; terminal escapes in opinions become visible text."""
    for line in source:
        print(visible(line.decode("utf-8", "replace")), end="", file=target, flush=True)


def refuse(message: str) -> NoReturn:
    """Print an error line and exit with the code of bad input."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(BadInput.exit_code)


if __name__ == "__main__":
    main()
