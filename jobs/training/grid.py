"""A declared grid of schemes and seeds, as `compare_schemes` runs it: a TOML file, checked before anything is run."""

import re
import shlex
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from distill.errors import BadInput
from jobs.common.cli import Parser
from jobs.common.options import add_options, from_flags
from jobs.training.student_flags import StudentTraining

LINEAR = "linear"  # in the place of flags: the linear model, which no other job trains
TEACHER = "teacher"  # the teacher itself, as train_teacher left it


@dataclass(frozen=True)
class Entry:
    """One line of the grid: what it is called in the report, the flags of opinion distill_student; no seeds: all."""

    label: str
    flags: str
    seeds: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Grid:
    """The runs of an experiment, and the models that its report shows beside them.

    common: flags of every run. teacher: whose own figures bound the gap that students close. old: the version whose
    decisions coverage, churn and negative flips are counted against.
    """

    experiment: str
    title: str
    seeds: list[int]
    run: list[Entry]
    common: str = ""
    teacher: str | None = None
    old: str | None = None


def read_grid(path: Path) -> Grid:
    """The grid of a file; raises BadInput that names what is wrong, before anything is run."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = [Entry(**entry) for entry in content.pop("run")]
        grid = Grid(run=entries, **content)
    except FileNotFoundError as e:
        raise BadInput(f"--grid {path}: there is no such file") from e
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as e:
        raise BadInput(f"--grid {path}: {e}; it needs experiment, title, seeds, and run entries of label, flags") from e
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", grid.experiment):
        raise BadInput(f"--grid {path}: experiment {grid.experiment!r} must be small letters, digits, _ and -")
    labels = [entry.label for entry in grid.run]
    if len(set(labels)) < len(labels):
        raise BadInput(f"--grid {path}: two runs have one label; labels tell the rows of the report apart")
    for entry in grid.run:
        if entry.flags not in (LINEAR, TEACHER):
            training_of(grid, entry, 0)
    return grid


def training_of(grid: Grid, entry: Entry, seed: int) -> StudentTraining:
    """The training of a run; an entry's flags win over the common ones.

    Raises BadInput, or ends with its code, when they are not flags of a student's training.
    """
    training = replace(parsed(f"{grid.common} {entry.flags}"), seed=seed)
    training.check()
    return training


def parsed(flags: str) -> StudentTraining:
    """Flags of a student's training as the file has them."""
    parser = Parser(prog="opinion distill_student")
    add_options(parser, StudentTraining)
    return from_flags(StudentTraining, parser.parse_args(shlex.split(flags)))
