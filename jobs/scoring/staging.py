"""Stage a day's scored rows: Python workers write the files, or Spark where they do not reach the file system."""

import logging
from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.common.privacy import BatchFunction, redact_errors
from jobs.scoring.sample_candidates import CANDIDATE
from jobs.scoring.worker import FILES, STAGED_DDL
from jobs.warehouse.attempt_files import UNREACHED, WRITTEN_DDL, Target, writing
from jobs.warehouse.publish import Run
from jobs.warehouse.tables import OPINION_SCORE, REJECTED_OPINION, VALID_COMPLAINT

log = logging.getLogger("opinion")

WORKERS, SPARK = "workers", "spark"
TABLES = [OPINION_SCORE, VALID_COMPLAINT, REJECTED_OPINION, CANDIDATE]


class Staging:
    """The staging of a run's rows.

    rows: the input of the scoring function. constants: columns with one value in the run. by: what writes the files,
    WORKERS or SPARK.
    """

    def __init__(self, run: Run, rows: DataFrame, constants: Mapping[str, str]):
        self._run, self._rows, self._constants = run, rows, constants
        self.by = WORKERS if run.reached_by_python() else SPARK

    def stage(self, work: BatchFunction) -> None:
        """Score all rows by `work` and stage what it yields; the files have the size that their tasks' input has."""
        if self.by == WORKERS:
            try:
                return self._by_workers(work)
            except Exception as e:
                if UNREACHED not in str(e):
                    raise
                log.warning("Spark writes the files of run %s: %s", self._run.id, e)
                self.by = SPARK
        return self._by_spark(work)

    def _by_workers(self, work: BatchFunction) -> None:
        target = Target(self._run.attempts, FILES, self._constants)
        written = self._rows.mapInArrow(redact_errors(writing(work, target)), WRITTEN_DDL)
        self._run.stage_written(written, TABLES)

    def _by_spark(self, work: BatchFunction) -> None:
        rows = self._rows.mapInArrow(redact_errors(work), STAGED_DDL)
        rows = rows.withColumns({name: F.lit(value) for name, value in self._constants.items()})
        self._run.stage(rows, TABLES, pack=False)
