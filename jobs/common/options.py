"""A job's flags from the fields of a frozen dataclass, the one source of an option's type, default and help.

The type of a field decides how its flag is parsed: `bool` is a switch, a tuple takes several words, a Literal has
choices.
"""

import argparse
from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def option(
    help: str, default: Any = MISSING, *, parse: Callable[[str], Any] | None = None, group: str = "", **settings: Any
) -> Any:
    """A field that is also a flag; without a default the flag is required.

    parse: converts one word, where the field's type cannot. group: a heading of --help. settings: for argparse.
    """
    return field(default=default, metadata={"help": help, "parse": parse, "group": group, "settings": settings})


def add_options(parser: argparse.ArgumentParser, kind: type) -> None:
    """Add the flags of a dataclass to a parser."""
    groups: dict[str, Any] = {"": parser}
    hints = get_type_hints(kind)
    for one in options_of(kind):
        group = one.metadata["group"]
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        groups[group].add_argument(flag(one.name), **settings_of(one, hints[one.name]))


def from_flags(kind: type[T], args: argparse.Namespace, **more: Any) -> T:
    """Build a dataclass from a parsed command line; `more` are the fields without a flag."""
    given = {one: getattr(args, one.name) for one in options_of(kind)}
    # argparse gives None for an omitted option of several words, so that --help shows no empty default.
    values = {one.name: one.default if value is None and one.default == () else value for one, value in given.items()}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}, **more)


def flag(name: str) -> str:
    """The flag of a field."""
    return f"--{name.replace('_', '-')}"


def options_of(kind: type) -> list[Field[Any]]:
    """The fields that are flags."""
    return [one for one in fields(kind) if "help" in one.metadata]


def settings_of(one: Field[Any], hint: Any) -> dict[str, Any]:
    """Arguments of `add_argument` for a field of this type."""
    settings = {"help": one.metadata["help"], **one.metadata["settings"]}
    if hint is bool:
        return {**settings, "action": "store_true"}
    if isinstance(hint, UnionType):  # X | None: left out is None
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        settings["nargs"] = "+"
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        settings["choices"], hint = list(get_args(hint)), str
    settings["type"] = one.metadata["parse"] or hint
    if one.default is MISSING:
        return {**settings, "required": True}
    return {**settings, "default": None if one.default == () else one.default}
