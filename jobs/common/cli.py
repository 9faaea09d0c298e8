"""Shared by all command lines: checked arguments, the home folder, failures as one line and an exit code."""

import argparse
import builtins
import datetime as dt
import itertools
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from distill import CHECKOUT as CHECKOUT
from distill.errors import BadInput, BadModel, Busy, Infrastructure, OpinionError
from distill.home import usable_home
from distill.user_stderr import user_stderr
from jobs.common import locks, settings
from jobs.common.file_errors import file_error, full_text
from jobs.common.privacy import Formatter, mask_numbers, redact_text
from jobs.common.visible import guard_stdout, visible

log = logging.getLogger("opinion")


def home() -> Path:
    """Folder of everything a run makes; a folder that cannot be used is refused (distill/home.py)."""
    return usable_home()


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusal is one line, with the exit code of bad input.

    `job` names the settings (jobs/common/settings.py) of flags that the user's command line leaves out.
    """

    def __init__(self, *, job: str | None = None, **options: Any):
        super().__init__(**{"allow_abbrev": False, **options})
        self.register("action", "store_true", settings.Switch)
        self.job = job
        self.shared: list[str] = []
        self.words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; no `args` means the user's command line, and only that one is filled up from the settings."""
        words: Sequence[str] = sys.argv[1:] if args is None else list(args)
        self.words = words
        if self._subparsers is None:  # else the flags of its commands are theirs to know
            self.refuse_unknown(words)
        if self.job and args is None and not {"-h", "--help"} & set(words):
            settings.apply_defaults(self, self.job, self.shared, words)
        found, rest = super().parse_known_args(words, namespace)
        if "config" in found:
            del found.config  # it has done its work
        return found, rest

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Name a flag that there is not, and the nearest: a required one that is missing would be named instead."""
        known = self._option_string_actions
        for before, word in zip(["", *words], words, strict=False):
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in known:
                self.error(f"there is no flag {flag}{settings.nearest(flag, known)}{self.as_value_of(before)}")

    def as_value_of(self, flag: str) -> str:
        """How a value that begins with - is given to a flag; empty where the flag is none, or takes no value."""
        action = self._option_string_actions.get(flag)
        return f"; a value that begins with - is written {flag}=VALUE" if action and action.nargs != 0 else ""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        known = self._option_string_actions
        for flag, word in itertools.pairwise(self.words):
            lacks_value = re.match(rf"argument (\S+/)?{re.escape(flag)}: expected", message)
            if lacks_value and word.startswith("-") and word not in known:
                message += self.as_value_of(flag)
        if re.match(r"unrecognized arguments:.* -", message):
            message += "; a value that begins with - is written --FLAG=VALUE, a path ./-NAME"
        print_stderr(f"error: {message} (see {self.prog} --help)")
        self.exit(BadInput.exit_code)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults where there are any, and an example on one line."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None or action.default is False else super()._get_help_string(action)


def job_parser(doc: str | None, example: str, *more: str) -> Parser:
    """A parser with the flags that all jobs have, and examples below its help.

    `example` is the name of the job and its flags; `more` are further lines.
    """
    job = example.split()[0]
    parser = Parser(
        description=doc,
        epilog="\n  ".join(["example:", f".venv/bin/opinion {example}", *more]) + f"\n\n{where_flags_come_from(job)}",
        formatter_class=HelpFormatter,
        job=job,
    )
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="TOML file of settings, see below")
    parser.add_argument("--database", type=database_name, default="opinion", help="Hive database of the tables")
    parser.shared = ["database"]
    return parser


def where_flags_come_from(job: str) -> str:
    """The precedence of settings, for the end of --help."""
    return f"""settings, the first that says something:
  the flag; the variable {settings.variable(f"{job}-FLAG")} (OPINION_DATABASE: for all jobs);
  the key FLAG of the table [{job}] in the file of --config, or of {settings.FILE_VARIABLE}; the default"""


def day(text: str) -> str:
    """Argument type: a calendar day, YYYY-MM-DD."""
    try:
        if dt.date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it as YYYY-MM-DD")


def database_name(text: str) -> str:
    """Argument type: a Hive database name."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", text):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a database name; use lower-case letters, digits and _, a letter first"
    )


def run_main(main: Callable[[], None]) -> NoReturn:
    """Run a job and leave: 0, or the exit code of what went wrong after one line that says it.

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
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough of it
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
    """Print a line on the user's stderr, by way of spark-submit's JVM where that alone can write to it."""
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
    """Turn an exception of Spark, Hive, the file system or a Python worker into one that says the mend."""
    found = known_failure(error)
    text = str(error)
    if found is None and (type(error).__module__.startswith(("py4j", "pyspark")) or isinstance(error, OSError)):
        found = Infrastructure(f"{redact_text(first_line(text))} (full trace in {home()}/logs/jobs.log)")
    elif found is None:
        found = OpinionError(
            f"{type(error).__name__}: {redact_text(first_line(text))} (a bug; trace in {home()}/logs/jobs.log)"
        )
    found.__cause__ = error
    return found


def known_failure(error: BaseException) -> OpinionError | None:
    """The error with its cause and cure, where the exception is one of those that are known; else None."""
    text, trace = str(error), full_text(error)
    raised = re.search(r"distill\.errors\.(BadInput|BadModel|Infrastructure|OpinionError): (.+)", text)
    found: OpinionError | None
    if raised:
        kinds = {kind.__name__: kind for kind in (BadInput, BadModel, Infrastructure, OpinionError)}
        found = kinds[raised[1]](raised[2])
    elif failed := re.search(r"WorkerFailed: ((\w+), .+)", text):
        kind = getattr(builtins, failed[2], Exception)
        said = f"a Python worker failed: {failed[1].split(' < ')[0]} (trace in {home()}/logs/jobs.log)"
        # What a text or a bug raises it raises again; a disk or memory may be mended.
        found = Infrastructure(said) if issubclass(kind, (OSError, MemoryError)) else OpinionError(said)
    elif "No space left on device" in trace or "Disk quota exceeded" in trace:
        found = Infrastructure(f"no space left below {home()}; free some or set OPINION_HOME to a larger disk")
    elif "ERROR XSDB6" in trace:
        holders = "; ".join(locks.held(home() / "locks")) or "a query, or a job that holds no day"
        found = Busy(
            f"another process has the embedded metastore open ({holders}); wait for it to end, "
            "or use a metastore service (spark.hadoop.hive.metastore.uris)"
        )
    elif re.search(r"MetaException|TTransportException|Unable to instantiate .*MetaStoreClient", text):
        found = Infrastructure(f"the Hive metastore failed: {first_line(text)}")
    else:
        found = file_error(trace)
    return found


def first_line(text: str) -> str:
    """The first line that says something, at most 300 characters of it; Py4J's first only says that Java was called."""
    lines = [line.strip().lstrip(": ") for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("An error occurred while calling")]
    return told[0][:300] if told else "no message"
