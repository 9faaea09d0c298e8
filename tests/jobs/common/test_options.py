"""A dataclass is the one source of its flags: type, default and help."""

import argparse
from dataclasses import dataclass, fields
from typing import Literal

import pytest

from jobs.common.cli import Parser, day
from jobs.common.options import add_options, flag, from_flags, option
from jobs.training.grid import parsed
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_flags import parser as logit_parser
from jobs.training.retrain_flags import RetrainOptions
from jobs.training.retrain_flags import parser as retrain_parser
from jobs.training.student_flags import StudentTraining
from jobs.training.student_flags import parser as student_parser
from jobs.training.teacher_flags import TeacherTraining
from jobs.training.teacher_flags import parser as teacher_parser


@dataclass(frozen=True)
class Sample:
    name: str = option("needed")
    count: int = option("a number", 3)
    share: float | None = option("none by default", None)
    kind: Literal["a", "b"] = option("one of two", "a")
    is_dry: bool = option("a switch", False)
    days: tuple[str, ...] = option("several", (), parse=day, group="more")


def test_fields_that_are_no_flags_are_given_beside_them() -> None:
    @dataclass(frozen=True)
    class Run:
        model: object
        size: int = option("a number", 1)

    parser = Parser(prog="sample")
    add_options(parser, Run)
    assert from_flags(Run, parser.parse_args(["--size", "2"]), model="m") == Run("m", 2)


def read(words: str) -> Sample:
    parser = Parser(prog="sample")
    add_options(parser, Sample)
    return from_flags(Sample, parser.parse_args(words.split()))


def test_every_kind_of_field_is_read_as_its_type_says() -> None:
    assert read("--name x") == Sample("x")
    words = "--name 名字 --count 4 --share 0.5 --kind b --is-dry --days 2026-11-09 2026-11-10"
    assert read(words) == Sample("名字", 4, 0.5, "b", True, ("2026-11-09", "2026-11-10"))
    assert read("--name x --is-dry --no-is-dry") == Sample("x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "required: --name"),
        ("--name x --count many", "--count: invalid int value: 'many'"),
        ("--name x --kind c", "--kind: invalid choice: 'c'"),
        ("--name x --days 9.11.", "'9.11.' is not a day"),
        ("--name x --conut 3", "there is no flag --conut; did you mean --count?"),
    ],
)
def test_what_cannot_be_read_is_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        read(words)
    assert left.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


@pytest.mark.parametrize(
    ("kind", "parser", "needed"),
    [
        (StudentTraining, student_parser, ""),
        (TeacherTraining, teacher_parser, ""),
        (LogitJob, logit_parser, "--teacher bert --labelled"),
        (RetrainOptions, retrain_parser, ""),
    ],
)
def test_a_command_line_without_flags_is_the_dataclass_with_its_defaults(kind: type, parser, needed: str) -> None:  # type: ignore[no-untyped-def]
    """Every field has a flag, and the help shows it."""
    args = parser().parse_args(needed.split())
    assert from_flags(kind, args) == (kind("bert") if needed else kind())
    shown = parser().format_help()
    assert all(flag(one.name) in shown for one in fields(kind) if one.name != "held_out"), "a retraining's own"
    assert isinstance(args, argparse.Namespace)


def test_a_grid_has_the_options_of_a_training_and_no_flags_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed("--scheme offline --teacher bert") == StudentTraining(scheme="offline", teacher=("bert",))
    with pytest.raises(SystemExit):
        parsed("--resume offline-20261123T201500Z-1a2b3c")
    assert "there is no flag --resume" in capsys.readouterr().err
