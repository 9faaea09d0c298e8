"""The options of a scoring run. Imports nothing that takes seconds, which --help and a wrong flag need not wait for."""

from dataclasses import dataclass

from distill.errors import BadInput
from distill.models.architecture import Precision
from distill.models.saved_model import SavedModel
from jobs.common.options import option
from jobs.scoring.bands import LEAST_SAMPLE

GROUP = "a second reader (docs/second-reader.md)"
READ = 2000  # texts, where no budget is named


@dataclass(frozen=True)
class ReaderOptions:
    """The options of a second reader; `second_reader` is None without one."""

    second_reader: str | None = option(
        "a BERT of the registry, which reads the texts nearest to the threshold too", None, group=GROUP, metavar="NAME"
    )
    read: int | None = option(f"budget: different texts ({READ})", None, group=GROUP, metavar="TEXTS")
    read_seconds: float | None = option("budget: seconds, in place of --read", None, group=GROUP, metavar="SECONDS")
    second_reader_precision: Precision = option("precision of its matrix products", "float32", group=GROUP)
    second_reader_required: bool = option(
        "publish nothing when it fails; without this the day has the student's decisions and a warning",
        False,
        group=GROUP,
    )

    def __post_init__(self) -> None:
        """Raise BadInput for options that do not fit together."""
        if self.second_reader is None:
            given = {"--read": self.read, "--read-seconds": self.read_seconds}
            given |= {"--second-reader-required": self.second_reader_required or None}
            if alone := [name for name, value in given.items() if value is not None]:
                raise BadInput(f"{alone[0]} goes with --second-reader, which names the BERT that reads")
        if self.read is not None and self.read_seconds is not None:
            raise BadInput("--read and --read-seconds are two budgets: leave one of them out")
        if (self.read is not None and self.read < 1) or (self.read_seconds is not None and not self.read_seconds > 0):
            raise BadInput("--read must be 1 or more, and --read-seconds above 0")

    @property
    def texts(self) -> int | None:
        """The budget in texts; None where it is in seconds."""
        return None if self.read_seconds is not None else self.read or READ


@dataclass(frozen=True)
class ScoringRun:
    """The options of scoring: the model, the drift check, the size of the sample, the second reader."""

    model: SavedModel
    hold_on_drift: bool = option("publish no day that is far from the training", False)
    sample: int = option("rows drawn for people to label; 0 for none", 100)
    reader: ReaderOptions = ReaderOptions()

    @staticmethod
    def check(sample: int) -> None:
        """Raise BadInput for a sample that would leave a band of scores without its rows."""
        if sample and sample < LEAST_SAMPLE:
            raise BadInput(f"--sample must be 0, or {LEAST_SAMPLE} or more, so that every band of scores has its rows")
