"""Stage a day's scored rows: Python workers write the files, or Spark where they do not reach the file system."""

from collections.abc import Mapping

from pyspark.sql import functions as F

from jobs.common.privacy import BatchFunction
from jobs.scoring.id_hashes import Hashes
from jobs.scoring.raw_rows import SparkRows
from jobs.scoring.sample_candidates import CANDIDATE
from jobs.scoring.worker import FILES, STAGED_DDL
from jobs.warehouse.attempt_files import WRITTEN_DDL, Target, writing
from jobs.warehouse.publish import Run
from jobs.warehouse.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

WORKERS, SPARK = "workers", "spark"  # in scoring_run
TABLES = [OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION, CANDIDATE]


class Staging:
    """The staging of a run's rows.

    by: what writes the files, WORKERS or SPARK. repeated: hashes of repeated ids. constants: columns with one value in
    the run.
    """

    def __init__(self, run: Run, by: str, rows: SparkRows, repeated: Hashes, constants: Mapping[str, str]):
        self._run, self._by, self._rows, self._repeated = run, by, rows, repeated
        self._constants = constants

    def stage(self, work: BatchFunction) -> None:
        """Score all rows by `work` and stage what it yields; a file holds what its task has read."""
        if self._by == WORKERS:
            work = writing(work, Target(self._run.attempts, FILES, self._constants))
            self._run.stage_written(self._rows.map_unique(work, WRITTEN_DDL, self._repeated), TABLES)
        else:
            rows = self._rows.map_unique(work, STAGED_DDL, self._repeated)
            rows = rows.withColumns({name: F.lit(value) for name, value in self._constants.items()})
            self._run.stage(rows, TABLES, pack=False)
