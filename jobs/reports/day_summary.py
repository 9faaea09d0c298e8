"""The summary of a scored day on the terminal."""

from pyspark.sql import Row
from pyspark.sql import functions as F

from distill.scoring.drift import BANDS, Drift
from jobs.common import time_zones
from jobs.common.home import home
from jobs.reports.console import fit_width, masked_line
from jobs.reports.second_reader_facts import second_reader_lines
from jobs.scoring import promise
from jobs.scoring.audit_sample import csv_of
from jobs.warehouse.tables import SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse.warehouse import Warehouse

TOP = 10
WIDTH = 72


def day_summary(warehouse: Warehouse, dt: str, highest: bool = True) -> str:
    """Counts and model of the day; with `highest` also its highest scores and a query for more."""
    run = time_zones.first(warehouse.read(SCORING_RUN, dt=dt))
    assert run is not None, "a scored day has its audit row"
    sample = csv_of(dt, run.run_id)
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(run.rejected_by_reason.items()))
    counts = [
        f"read {run.rows_read} = scored {run.rows_scored} + rejected {run.rows_rejected} ({reasons or 'none'}); "
        f"valid {run.rows_valid}; read to the length limit only: {run.rows_cut}",
        f"model {run.model_version}, threshold {run.threshold:.4f} ({run.threshold_source or promise.BUNDLE}), "
        f"run {run.run_id}",
        promise.promise_text(run),
        *second_reader_lines(run),
        drift_line(run),
        *promise.source_lines(run.unlabelled_sources),
        *([f"label its sample in a browser: {sample.with_suffix('.html')}"] if sample.exists() else []),
    ]
    if not highest:
        return "\n".join(counts)
    top = time_zones.collect(warehouse.read(VALID_COMPLAINT, dt=dt).orderBy(F.desc("score"), "opinion_id").limit(TOP))
    rows = [
        f"{row.score:8.4f}  {fit_width(row.source or '', 12)}  {fit_width(masked_line(row.text), WIDTH)}" for row in top
    ]
    return "\n".join(
        [
            "",
            f"{dt}: the {len(rows)} highest of {run.rows_valid} valid complaints (numbers masked here)",
            f"{'score':>8}  {'source':12}  text",
            *rows,
            "",
            *counts,
            f"tables in {warehouse.root}, metastore in {home()}; look further with",
            f'  make sql Q="select score, source, text from {warehouse.database}.valid_complaint '
            f"where dt='{dt}' order by score desc limit 20\"",
        ]
    )


def drift_line(run: Row) -> str:
    """The line about the day's drift."""
    drift = Drift(run.drift_psi, run.drift_psi_length, run.drift_psi_unknown, run.drift_psi_source, run.drift_band)
    if drift.band is None:
        return "drift from the training: unknown, because the model has no profile"
    far = "warning: the day is far from what the model was trained on; " if drift.band == BANDS[-1] else ""
    return f"{far}drift from the training: {drift.band} (stability index of {drift.summary()})"
