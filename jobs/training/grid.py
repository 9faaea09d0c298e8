"""The grid of schemes and seeds of `compare_schemes`: a TOML file, checked before any run."""

import re
import shlex
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from distill.errors import BadInput
from jobs.common.cli import Parser
from jobs.common.options import add_options, from_flags
from jobs.training.student_flags import StudentTraining

LINEAR = "linear"  # instead of flags: the linear model, which no other job trains
TEACHER = "teacher"  # instead of flags: the saved teacher


@dataclass(frozen=True)
class Entry:
    """One line of the grid: its label in the report, and flags of distill_student; no seeds: all."""

    label: str
    flags: str
    seeds: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Grid:
    """The runs of an experiment, and the models that its report compares them with.

    common: flags of every run. teacher: the upper end of the gap that students close. old: the version that coverage,
    churn and negative flips refer to.
    """

    experiment: str
    title: str
    seeds: list[int]
    run: list[Entry]
    common: str = ""
    teacher: str | None = None
    old: str | None = None


def read_grid(path: Path) -> Grid:
    """The grid of a file; raises BadInput that names the error, before any run."""
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
        raise BadInput(f"--grid {path}: two runs have the same label; give each its own")
    for entry in grid.run:
        if entry.flags not in (LINEAR, TEACHER):
            training_of(grid, entry, 0)
    return grid


def training_of(grid: Grid, entry: Entry, seed: int) -> StudentTraining:
    """The training of a run; an entry's flags override the common ones.

    Raises BadInput, or exits with its code, when they are not flags of a student's training.
    """
    training = replace(parsed(f"{grid.common} {entry.flags}"), seed=seed)
    training.check()
    return training


def parsed(flags: str) -> StudentTraining:
    """The options of a student's training from flags of the file."""
    parser = Parser(prog="opinion distill_student")
    add_options(parser, StudentTraining)
    return from_flags(StudentTraining, parser.parse_args(shlex.split(flags)))
