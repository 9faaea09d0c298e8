"""The command lines of all jobs: flags, their checks and types, settings where a flag is left out."""

import argparse
import datetime as dt
import itertools
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from distill.errors import BadInput
from jobs.common import settings
from jobs.common.failures import print_stderr


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusal is one line, with the exit code of bad input.

    job: names the settings (jobs/common/settings.py) of the flags that the user's command line leaves out.
    """

    def __init__(self, *, job: str | None = None, **options: Any):
        super().__init__(**{"allow_abbrev": False, **options})
        self.register("action", "store_true", settings.SwitchAction)
        self.job = job
        self.shared: list[str] = []
        self.words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; without `args` parse the user's command line, the only one that is completed from the settings."""
        words: Sequence[str] = sys.argv[1:] if args is None else list(args)
        self.words = words
        if self._subparsers is None:  # else its commands check their own flags
            self.refuse_unknown(words)
        if self.job and args is None and not {"-h", "--help"} & set(words):
            settings.apply_defaults(self, self.job, self.shared, words)
        parsed, rest = super().parse_known_args(words, namespace)
        if "config" in parsed:
            del parsed.config  # already applied
        return parsed, rest

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Refuse an unknown flag and name the nearest; argparse would name a missing required flag instead."""
        known = self._option_string_actions
        for before, word in zip(["", *words], words, strict=False):
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in known:
                self.error(f"there is no flag {flag}{settings.nearest(flag, known)}{self.as_value_of(before)}")

    def as_value_of(self, flag: str) -> str:
        """How a flag takes a value that begins with -; empty for a word that is not a flag or takes no value."""
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
    """Shows defaults other than None and False, and an example on one line."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None or action.default is False else super()._get_help_string(action)


def job_parser(doc: str | None, example: str, *more: str) -> Parser:
    """A parser with the flags of every job, and examples below its help.

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
    return f"""settings, in order of precedence:
  the flag; the variable {settings.variable(f"{job}-FLAG")} (OPINION_DATABASE for all jobs);
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
