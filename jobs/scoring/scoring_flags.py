"""The options of a scoring run. Imports nothing that takes seconds, which --help and a wrong flag need not wait for."""

from dataclasses import dataclass

from distill.errors import BadInput
from distill.models.saved_model import SavedModel
from jobs.common.options import option
from jobs.scoring.bands import LEAST_SAMPLE


@dataclass(frozen=True)
class ScoringRun:
    """The options of scoring: the model, the drift check and the size of the sample."""

    model: SavedModel
    hold_on_drift: bool = option("publish no day that is far from the training", False)
    sample: int = option("rows drawn for people to label; 0 for none", 100)

    @staticmethod
    def check(sample: int) -> None:
        """Raise BadInput for a sample that would leave a band of scores without its rows."""
        if sample and sample < LEAST_SAMPLE:
            raise BadInput(f"--sample must be 0, or {LEAST_SAMPLE} or more, so that every band of scores has its rows")
