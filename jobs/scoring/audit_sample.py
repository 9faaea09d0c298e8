"""The night's sample for people to label: rows of every band of scores, accepted and rejected.

In the CSV they stand in the order of their draws, without their scores: whoever labels should not know what the model
says.
"""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill.evaluation.stratified import LEAST, allocate
from distill.scoring.drift import SCORE_BINS
from jobs.common import time_zones
from jobs.common.cli import home
from jobs.ingest.spreadsheets import escaped
from jobs.scoring.audit import SCORE_BIN
from jobs.scoring.sample_candidates import BAND_STARTS, CANDIDATE, DRAW, draw
from jobs.warehouse import publish

LEAST_SAMPLE = 2 * LEAST * (len(BAND_STARTS) + 1)  # half of which gives LEAST rows of every band
CSV_COLUMNS = ("opinion_id", "text", "label", "source")  # as load_labels reads them


def plan(counts: pd.DataFrame, size: int) -> pd.DataFrame:
    """Of each stratum that has rows: is_valid, band, stratum (its name), stratum_rows and how many are drawn.

    counts: rows by is_valid and score_bin. Half of the rows drawn are accepted ones, so far as there are so many.
    """
    band = pd.cut(counts["score_bin"], [-1, *(first - 1 for first in BAND_STARTS), SCORE_BINS - 1], labels=False)
    middle = (counts["score_bin"] + 0.5) / SCORE_BINS * counts["rows"]
    grouped = counts.assign(band=band, expected=middle).groupby(["is_valid", "band"], as_index=False)
    strata = grouped[["rows", "expected"]].sum()
    edges = [0.0, *(first / SCORE_BINS for first in BAND_STARTS), 1.0]
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


def sample_rows(run: publish.Run, counts: pd.DataFrame, size: int, dt: str) -> list[dict[str, Any]]:
    """Rows of audit_sample, without model and run, in the order of their draws; of the candidates that `run` staged.

    counts: the day's scored rows, as `plan` wants them.
    """
    if not size:
        return []
    strata: dict[Any, Any] = {(row.is_valid, row.band): row for row in plan(counts, size).itertuples() if row.drawn}
    in_band = " + ".join(f"int({SCORE_BIN} >= {first})" for first in BAND_STARTS)
    candidates = run.read_back(CANDIDATE).withColumns({"band": F.expr(in_band), DRAW: draw(dt)})
    low = [low_enough(is_valid, band, row.drawn, row.stratum_rows) for (is_valid, band), row in strata.items()]
    left = {key: row.drawn for key, row in strata.items()}
    rows = []
    found = time_zones.collect(candidates.where(" OR ".join(["false", *low])))
    for row in sorted(found, key=lambda row: (row[DRAW], row.opinion_id or "")):
        key = row.is_valid, row.band
        if left[key]:
            left[key] -= 1
            stratum = {"stratum": strata[key].stratum, "stratum_rows": strata[key].stratum_rows}
            rows.append({column: row[column] for column in CANDIDATE.columns} | stratum)
    return rows


def low_enough(is_valid: bool, band: int, drawn: int, rows: int) -> str:
    """Whether a row is of the stratum, and its draw so low that it may be drawn, in SQL.

    So many of the stratum's rows are that too few are left by chance in one of a million nights.
    """
    share = min(1.0, (drawn + 5 * math.sqrt(drawn) + 10) / rows)
    limit = min(int((share - 0.5) * 2**64), 2**63 - 1)
    return f"(is_valid = {bool(is_valid)} AND band = {band} AND {DRAW} <= {limit})"


def csv_of(dt: str, run_id: str) -> Path:
    """The CSV of a run's sample: one of its own, so that a run never replaces what somebody labels."""
    return home() / "audit" / f"{dt}.{run_id}.csv"


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the sampled rows as a CSV to label."""
    path.parent.mkdir(exist_ok=True)
    # With a byte order mark, by which spreadsheets know that it is UTF-8.
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        writer.writerows((escaped(row["opinion_id"]), escaped(row["text"]), "", escaped(row["source"])) for row in rows)
