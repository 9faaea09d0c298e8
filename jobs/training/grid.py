"""The grid of schemes, trials and seeds of `compare_schemes`: a TOML file, checked before any run."""

import re
import shlex
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distill.errors import BadInput
from jobs.common.cli import Parser
from jobs.common.options import add_options, from_flags
from jobs.training.student_flags import StudentTraining

LINEAR = "linear"  # instead of flags: the linear model, which no other job trains
TEACHER = "teacher"  # instead of flags: the saved teacher


@dataclass(frozen=True)
class Entry:
    """One line of the grid: its label in the report, and flags of distill_student; no seeds: all.

    trials: further flags, of which those with the best AUC on valid are used.
    """

    label: str
    flags: str
    seeds: list[int] = field(default_factory=list)
    trials: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Grid:
    """The runs of an experiment, and the models that its report compares them with.

    common: flags of every run. teacher: the upper end of the gap that students close. old: the version that coverage,
    churn and negative flips refer to. trial_seed: of the trials, none of the seeds. budget_cpu_s: the most CPU seconds
    of a trial that may be chosen, its teachers and their logits included. reference: the label whose runs the others
    are compared with, seed by seed and row by row.
    """

    experiment: str
    title: str
    seeds: list[int]
    run: list[Entry]
    common: str = ""
    teacher: str | None = None
    old: str | None = None
    trial_seed: int | None = None
    budget_cpu_s: float | None = None
    reference: str | None = None


@dataclass(frozen=True)
class Run:
    """A training of the grid, or a model that is only measured; a trial is measured on valid, any other on test."""

    label: str
    flags: str
    seed: int
    is_trial: bool = False

    @property
    def is_measured_once(self) -> bool:
        """Whether it stands for a model that no seed changes."""
        return self.flags in (LINEAR, TEACHER)


def trials_of(grid: Grid, entry: Entry) -> list[Run]:
    """The trials of an entry, in order."""
    seed = grid.trial_seed or 0
    return [Run(entry.label, f"{entry.flags} {flags}".strip(), seed, is_trial=True) for flags in entry.trials]


def finals_of(grid: Grid, entry: Entry, chosen: str) -> list[Run]:
    """The runs of an entry with the chosen flags, seed by seed; of a model that is only measured, one."""
    if entry.flags in (LINEAR, TEACHER):
        return [Run(entry.label, entry.flags, 0)]
    return [Run(entry.label, chosen, seed) for seed in grid.seeds if seed in (entry.seeds or grid.seeds)]


def read_grid(path: Path) -> Grid:
    """The grid of a file; raises BadInput that names the error, before any run."""
    try:
        content = with_models(tomllib.loads(path.read_text(encoding="utf-8")))
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
    if grid.reference not in (None, *labels):
        raise BadInput(f"--grid {path}: reference {grid.reference!r} is the label of no run")
    if any(entry.trials for entry in grid.run) and (grid.trial_seed is None or grid.trial_seed in grid.seeds):
        raise BadInput(f"--grid {path}: trials need a trial_seed that is none of the seeds, so that these are fresh")
    for entry in grid.run:
        if len(set(entry.trials)) < len(entry.trials):
            raise BadInput(f"--grid {path}: two trials of {entry.label!r} have the same flags")
        for run in trials_of(grid, entry) or finals_of(grid, entry, entry.flags):
            if not run.is_measured_once:
                training_of(grid, run)
    return grid


def with_models(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a file, in which {NAME} in the flags of a run is the version that its models have for NAME."""
    models = content.pop("models", {})
    for entry in content["run"]:
        entry["flags"] = entry["flags"].format_map(models)
        entry["trials"] = [flags.format_map(models) for flags in entry.get("trials", [])]
    return content


def training_of(grid: Grid, run: Run) -> StudentTraining:
    """The training of a run; its flags override the common ones.

    Raises BadInput, or exits with its code, when they are not flags of a student's training.
    """
    training = replace(parsed(f"{grid.common} {run.flags}"), seed=run.seed)
    training.check()
    return training


def parsed(flags: str) -> StudentTraining:
    """The options of a student's training from flags of the file."""
    parser = Parser(prog="opinion distill_student")
    add_options(parser, StudentTraining)
    return from_flags(StudentTraining, parser.parse_args(shlex.split(flags)))
