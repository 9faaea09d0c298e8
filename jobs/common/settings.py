"""Values of omitted flags: from the environment, then from a TOML file, then their defaults.

OPINION_<JOB>_<FLAG> is a variable of one job, OPINION_<FLAG> one of every job for the flags that all have. The file has
one table per job, and the flags that all have at its top. An unknown key is refused with the nearest flag.
"""

import argparse
import difflib
import os
import shlex
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from distill.errors import BadInput

# The commands: the files of jobs/ that a person or a scheduler starts.
JOBS = (
    "load_opinions",
    "load_labels",
    "train_teacher",
    "store_teacher_logits",
    "distill_student",
    "retrain",
    "compare_schemes",
    "registry",
    "score_opinions",
    "night",
    "report_day",
    "report_retrain",
    "explain",
    "night_precision",
    "calibrate_threshold",
    "demo",
    "ship",
    "warm_up",
)
PREFIX = "OPINION_"
FILE_VARIABLE = "OPINION_CONFIG"
WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SwitchAction(argparse.BooleanOptionalAction):
    """The action `store_true` of jobs: off by default; `--no-…` overrides a file or the environment."""

    def __init__(self, option_strings: Sequence[str], dest: str, default: bool = False, **options: Any):
        asked = options.pop("help", None)
        super().__init__(option_strings, dest, default, **options)
        self.help = asked  # argparse would add the default to it


@dataclass(frozen=True)
class Setting:
    """A value, and the place that it comes from as text."""

    action: argparse.Action
    value: Any
    origin: str


def apply_defaults(parser: argparse.ArgumentParser, job: str, shared: Iterable[str], argv: Sequence[str]) -> None:
    """Make the settings of file and environment the parser's defaults, except for flags in `argv`.

    `shared` are the flags of every job. Raises BadInput that names the place of a bad setting.
    """
    flags = {
        action.option_strings[0].removeprefix("--"): action
        for action in parser._actions
        if action.option_strings and action.dest not in ("help", "config")
    }
    written = {word.partition("=")[0] for word in argv}
    given = {action.dest for action in parser._actions if written & set(action.option_strings)}
    chosen: dict[str, Setting] = {}
    for layer in (from_file(config_file(argv), job, shared, flags), from_environment(job, shared, flags)):
        for setting in layer:
            excluded = exclusive_with(parser, setting.action)
            for other in layer:
                if other.action.dest in excluded:
                    raise BadInput(f"{setting.origin} and {other.origin} exclude each other; remove one")
            chosen = {dest: old for dest, old in chosen.items() if dest not in excluded}
            chosen[setting.action.dest] = setting
    for dest, setting in chosen.items():
        if not given & {dest, *exclusive_with(parser, setting.action)}:
            parser.set_defaults(**{dest: converted(setting)})
            setting.action.required = False
            for group in groups_of(parser, setting.action):
                group.required = False


def config_file(argv: Sequence[str]) -> str | None:
    """The file named by --config, or else by the environment."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", default=os.environ.get(FILE_VARIABLE) or None)
    return cast(str | None, finder.parse_known_args(argv)[0].config)


def from_file(path: str | None, job: str, shared: Iterable[str], flags: dict[str, argparse.Action]) -> list[Setting]:
    """The settings of the file for this job."""
    if path is None:
        return []
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) else e
        raise BadInput(f"--config {path}: {why}; it is TOML: a table a job, such as [{job}], with flags as keys") from e
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    for name in tables:
        if name not in JOBS:
            raise BadInput(f"{path}: there is no job {name}{nearest(name, JOBS)}")
    for key in content.keys() - tables.keys():
        if key not in shared:
            raise BadInput(f"{path}: {key} is not a flag of every job, so it stands in a job's table, such as [{job}]")
    of_all = [Setting(flags[key], content[key], f"{path}: {key}") for key in shared if key in content]
    own = [
        Setting(known(key, flags, f"{path}: [{job}] {key}"), value, f"{path}: [{job}] {key}")
        for key, value in tables.get(job, {}).items()
    ]
    named = {setting.action.dest for setting in own}
    return [*(setting for setting in of_all if setting.action.dest not in named), *own]


def from_environment(job: str, shared: Iterable[str], flags: dict[str, argparse.Action]) -> list[Setting]:
    """The settings of the environment for this job; a variable belongs to the job with the longest matching name."""
    settings = {
        key: Setting(flags[key], os.environ[name], name) for key in shared if (name := variable(key)) in os.environ
    }
    own = variable(f"{job}-")
    longer = tuple(variable(f"{name}-") for name in JOBS if name.startswith(f"{job}_"))
    for name in sorted(os.environ):
        if name.startswith(own) and not name.startswith(longer):
            key = name.removeprefix(own).lower().replace("_", "-")
            settings[key] = Setting(known(key, flags, name), os.environ[name], name)
    return list(settings.values())


def variable(name: str) -> str:
    """The variable of a flag that all jobs have, or of `job-flag`."""
    return PREFIX + name.upper().replace("-", "_")


def known(key: str, flags: dict[str, argparse.Action], origin: str) -> argparse.Action:
    """The flag of a key; raises BadInput, naming the nearest flag, for an unknown key."""
    if key not in flags:
        raise BadInput(f"{origin}: there is no flag --{key}{nearest(key, flags, '--')}")
    return flags[key]


def nearest(name: str, names: Iterable[str], dashes: str = "") -> str:
    """The question at the end of an error line; empty when no name is near."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {dashes}{close[0]}?" if close else ""


def groups_of(parser: argparse.ArgumentParser, action: argparse.Action) -> list[Any]:
    """The mutually exclusive groups that hold this flag."""
    return [group for group in parser._mutually_exclusive_groups if action in group._group_actions]


def exclusive_with(parser: argparse.ArgumentParser, action: argparse.Action) -> set[str]:
    """The flags that exclude this one."""
    return {one.dest for group in groups_of(parser, action) for one in group._group_actions} - {action.dest}


def converted(setting: Setting) -> Any:
    """The value as the flag's type; raises BadInput that names the place."""
    action, value = setting.action, setting.value
    if action.nargs == 0:
        if (word := str(value).lower()) not in WORDS:
            raise BadInput(f"{setting.origin}: {value!r} is neither true nor false")
        return WORDS[word]
    if action.nargs is None:
        return one_value(setting, value)
    try:
        words = value if isinstance(value, list) else shlex.split(str(value))
    except ValueError as e:
        raise BadInput(f"{setting.origin}: {value!r}: {e}") from e
    return [one_value(setting, word) for word in words]


def one_value(setting: Setting, value: Any) -> Any:
    """One word of the value, converted and checked."""
    action = setting.action
    if isinstance(value, bool | list | dict):
        raise BadInput(f"{setting.origin}: {value!r} is not one value of --{action.option_strings[0][2:]}")
    kind: Any = action.type or str
    try:
        converted_value = kind(str(value))
    except argparse.ArgumentTypeError as e:
        raise BadInput(f"{setting.origin}: {e}") from e
    except ValueError as e:
        raise BadInput(f"{setting.origin}: {value!r} is not of the kind {kind.__name__}") from e
    if action.choices is not None and converted_value not in action.choices:
        near = nearest(str(value), map(str, action.choices))
        raise BadInput(f"{setting.origin}: {value!r} is none of {', '.join(map(str, action.choices))}{near}")
    return converted_value
