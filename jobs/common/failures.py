"""How a job ends: 0, or one error line and the exit code of what went wrong."""

import builtins
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from distill.errors import BadInput, BadModel, Busy, Infrastructure, OpinionError
from distill.user_stderr import user_stderr
from jobs.common import locks
from jobs.common.file_errors import file_error, full_text
from jobs.common.home import home
from jobs.common.privacy import Formatter, mask_numbers, redact_text
from jobs.common.visible import guard_stdout, visible

log = logging.getLogger("opinion")


def run_main(main: Callable[[], None]) -> NoReturn:
    """Run a job and exit: with 0, or with one error line and its exit code.

    The full traceback goes to `<home>/logs/jobs.log`.
    """
    log.addHandler(logging.NullHandler())  # without a home there is no file to log to
    guard_stdout()
    sys.stderr.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        file = logging.FileHandler(home() / "logs" / "jobs.log", encoding="utf-8")
        file.setFormatter(Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
        logging.basicConfig(level=logging.INFO, handlers=[file])
        main()
        sys.stdout.flush()
    except OpinionError as e:
        exit_with(e)
    except KeyboardInterrupt:
        exit_with(Infrastructure("interrupted; nothing was published"))
    except BrokenPipeError:  # the reader of the output, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as e:
        exit_with(error_of(e))
    sys.exit(0)


def exit_with(error: OpinionError) -> NoReturn:
    """Print the error as one line and exit with its code."""
    log.error("%s: %s", type(error).__name__, error, exc_info=error.__cause__ or error)
    print_stderr(f"error: {mask_numbers(' '.join(str(error).split()))}")
    sys.exit(error.exit_code)


def print_stderr(line: str) -> None:
    """Print a line on the user's stderr, through spark-submit's JVM where only that can write to it."""
    line, stream = visible(line), user_stderr()
    if stream is None:
        try:
            from pyspark import SparkContext
            from pyspark.java_gateway import launch_gateway

            stderr = (SparkContext._gateway or launch_gateway()).jvm.System.err  # type: ignore[no-untyped-call]
            written = bytearray(f"{line}\n".encode())
            stderr.write(written, 0, len(written))
            stderr.flush()
            return
        except Exception:
            log.exception("the JVM is gone, so the error is printed here")
    print(line, file=stream or sys.stderr, flush=True)


def error_of(error: BaseException) -> OpinionError:
    """Turn an exception of Spark, Hive, the file system or a Python worker into one with cause, place and cure."""
    failure = known_failure(error)
    text = str(error)
    if failure is None and (type(error).__module__.startswith(("py4j", "pyspark")) or isinstance(error, OSError)):
        failure = Infrastructure(f"{redact_text(first_line(text))} (full trace in {home()}/logs/jobs.log)")
    elif failure is None:
        failure = OpinionError(
            f"{type(error).__name__}: {redact_text(first_line(text))} (a bug; trace in {home()}/logs/jobs.log)"
        )
    failure.__cause__ = error
    return failure


def known_failure(error: BaseException) -> OpinionError | None:
    """The error of a known exception, with cause and cure; None for an unknown one."""
    text, trace = str(error), full_text(error)
    raised = re.search(r"distill\.errors\.(BadInput|BadModel|Infrastructure|OpinionError): (.+)", text)
    failure: OpinionError | None
    if raised:
        kinds = {kind.__name__: kind for kind in (BadInput, BadModel, Infrastructure, OpinionError)}
        failure = kinds[raised[1]](raised[2])
    elif failed := re.search(r"WorkerFailed: ((\w+), .+)", text):
        kind = getattr(builtins, failed[2], Exception)
        line = f"a Python worker failed: {failed[1].split(' < ')[0]} (trace in {home()}/logs/jobs.log)"
        # A text or a bug raises the same again; a disk or memory may recover.
        failure = Infrastructure(line) if issubclass(kind, (OSError, MemoryError)) else OpinionError(line)
    elif "No space left on device" in trace or "Disk quota exceeded" in trace:
        failure = Infrastructure(f"no space left below {home()}; free some or set OPINION_HOME to a larger disk")
    elif "ERROR XSDB6" in trace:
        holders = "; ".join(locks.held(home() / "locks")) or "a query, or a job that holds no day"
        failure = Busy(
            f"another process has the embedded metastore open ({holders}); wait for it to end, "
            "or use a metastore service (spark.hadoop.hive.metastore.uris)"
        )
    elif re.search(r"MetaException|TTransportException|Unable to instantiate .*MetaStoreClient", text):
        failure = Infrastructure(f"the Hive metastore failed: {first_line(text)}")
    else:
        failure = file_error(trace)
    return failure


def first_line(text: str) -> str:
    """The first line with content, at most 300 characters; Py4J's first line only states that Java was called."""
    lines = [line.strip().lstrip(": ") for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("An error occurred while calling")]
    return telling[0][:300] if telling else "no message"
