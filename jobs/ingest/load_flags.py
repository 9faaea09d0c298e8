"""The options of loading days of the stream. Imports nothing that takes seconds."""

import argparse
from dataclasses import dataclass
from typing import Literal

from distill.errors import BadInput
from jobs.common.days import days_of
from jobs.common.options import from_flags, option

DAY = "{dt}"  # stands for the day in --input


@dataclass(frozen=True)
class Loading:
    """Where the days of the stream are, and what is done with an input that is mostly rejected."""

    input: str = option(f"file, folder or glob on any file system of Spark; {DAY} stands for the day")
    format: Literal["jsonl", "csv", "parquet"] = option("format of the input", "jsonl")
    accept_rejects: bool = option("publish an input that is mostly rejected, too", False)

    def path_of(self, dt: str) -> str:
        """The input of a day."""
        return self.input.replace(DAY, dt)


def days_and_loading(args: argparse.Namespace) -> tuple[list[str], Loading]:
    """The days that the flags name, and how to load them; raises BadInput for flags that do not fit together."""
    days, loading = days_of(args), from_flags(Loading, args)
    if not args.dt and DAY not in loading.input:
        raise BadInput(
            f"--input {loading.input} is the same for every day; write {DAY} where the day stands in the path"
        )
    return days, loading
