"""The night's sample for people to label: rows of every band of scores, accepted and rejected.

The rows are chosen by a hash of the day and their id, so that scoring a day again with the same model draws them again.
In the CSV they stand in the order of that hash, without their scores: whoever labels should not know what the model
says.
"""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from distill.drift import SCORE_BINS
from distill.stratified import LEAST, allocate
from jobs import publish
from jobs.cli import home
from jobs.day_audit import SCORE_BIN, STAGED_SCORES
from jobs.repeats import reason
from jobs.spreadsheets import escaped
from jobs.tables import AUDIT_SAMPLE, OPINION_SCORE

BANDS = (1, 4, 10, 16, 19)  # the score bins at which a band begins: scores 0.05, 0.2, 0.5, 0.8, 0.95
LEAST_SAMPLE = 2 * LEAST * (len(BANDS) + 1)  # half of which gives LEAST rows of every band
CSV_COLUMNS = ("opinion_id", "text", "label", "source")  # as load_labels reads them


def plan(cells: pd.DataFrame, size: int) -> pd.DataFrame:
    """Of each stratum that has rows: is_valid, band, stratum (its name), stratum_rows and how many are drawn.

    cells: rows by is_valid and score_bin. Half of the rows drawn are accepted ones, so far as there are so many.
    """
    band = pd.cut(cells["score_bin"], [-1, *(first - 1 for first in BANDS), SCORE_BINS - 1], labels=False)
    middle = (cells["score_bin"] + 0.5) / SCORE_BINS * cells["rows"]
    grouped = cells.assign(band=band, expected=middle).groupby(["is_valid", "band"], as_index=False)
    strata = grouped[["rows", "expected"]].sum()
    edges = [0.0, *(first / SCORE_BINS for first in BANDS), 1.0]
    strata["stratum"] = [
        f"{'valid' if valid else 'junk'} {edges[at]:.2f}-{edges[at + 1]:.2f}"
        for valid, at in zip(strata["is_valid"], strata["band"], strict=True)
    ]
    strata["drawn"] = 0
    accepted = strata["is_valid"]
    half = min(max(size // 2, size - int(strata["rows"][~accepted].sum())), int(strata["rows"][accepted].sum()))
    for of, count in ((accepted, half), (~accepted, size - half)):
        guesses = (strata["expected"] / strata["rows"])[of]
        strata.loc[of, "drawn"] = np.array(allocate(strata["rows"][of].tolist(), guesses.tolist(), count), int)
    return strata.rename(columns={"rows": "stratum_rows"}).drop(columns="expected")


def stage_sample(run: publish.Run, raw: DataFrame, cells: pd.DataFrame, size: int, dt: str) -> None:
    """Stage a sample of the day `raw` that `run` staged, and write its CSV; an empty one of size 0.

    cells: its counts. The CSV is there before the sample is published, so that a published one always has it.
    """
    if not size:
        run.warehouse.files.make_folder(run.location(AUDIT_SAMPLE))
        return
    run.stage(draw(run, raw, cells, size, dt), [AUDIT_SAMPLE])
    write_csv(run, dt)


def draw(run: publish.Run, raw: DataFrame, cells: pd.DataFrame, size: int, dt: str) -> DataFrame:
    """Rows for audit_sample, of the scores that `run` staged of the day `raw`."""
    strata = plan(cells, size)
    # So many of each stratum's rows that too few are left by chance in one of a million nights: only they are sorted.
    strata["share"] = [
        min(1.0, (n + 5 * math.sqrt(n) + 10) / rows) if n else 0.0
        for n, rows in zip(strata["drawn"], strata["stratum_rows"], strict=True)
    ]
    columns = {"is_valid": "boolean", "band": "int", "stratum": "string", "stratum_rows": "bigint", "drawn": "int",
               "share": "double"}  # fmt: skip
    spark = run.warehouse.spark
    planned = spark.createDataFrame(
        strata[list(columns)].values.tolist(), ", ".join(f"{name} {kind}" for name, kind in columns.items())
    )
    begun = " + ".join(f"int({SCORE_BIN} >= {first})" for first in BANDS)
    scores = run.read_back(OPINION_SCORE, STAGED_SCORES).withColumn("band", F.expr(begun))
    hashed = scores.withColumn("hash", F.xxhash64(F.lit(dt), "opinion_id"))
    likely = hashed.join(F.broadcast(planned), ["is_valid", "band"]).where("pmod(hash, 1000000) < share * 1000000")
    at = F.row_number().over(Window.partitionBy("stratum").orderBy("hash", "opinion_id"))
    drawn = likely.withColumn("at", at).where("at <= drawn")
    rows = raw.join(F.broadcast(drawn), "opinion_id").withColumn("repeats", reason()).where("repeats IS NULL")
    return rows.select(*AUDIT_SAMPLE.columns, F.lit(AUDIT_SAMPLE.name).alias("table"))


def csv_of(dt: str, run_id: str) -> Path:
    """The CSV of a run's sample: one of its own, so that a run never replaces what somebody labels."""
    return home() / "audit" / f"{dt}.{run_id}.csv"


def write_csv(run: publish.Run, dt: str) -> None:
    """Write the sample that `run` staged as a CSV to label."""
    path = csv_of(dt, run.id)
    path.parent.mkdir(exist_ok=True)
    rows = run.read_back(AUDIT_SAMPLE).orderBy(F.xxhash64(F.lit(dt), "opinion_id")).collect()
    # With a byte order mark, by which spreadsheets know that it is UTF-8.
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        writer.writerows((escaped(row.opinion_id), escaped(row.text), "", escaped(row.source)) for row in rows)
