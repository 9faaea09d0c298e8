"""The night's sample for people to label: rows of every band of scores, accepted and rejected.

The CSV has them in the order of their draws, without scores: a labeller must not follow the model.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill.evaluation.stratified import allocate, neyman
from jobs.common import time_zones
from jobs.common.home import home
from jobs.ingest.spreadsheets import escaped
from jobs.scoring.bands import BAND_EDGES, CANDIDATES_FROM
from jobs.scoring.sample_candidates import BAND, CANDIDATE, DRAW, draw, stratum_name
from jobs.warehouse import publish

# The columns that load_labels reads; dt and run_id lead it to the stratum of a row.
CSV_COLUMNS = ("opinion_id", "text", "label", "source", "dt", "run_id")
LOWEST_CANDIDATE = 1 + BAND_EDGES.index(CANDIDATES_FROM)


@dataclass(frozen=True)
class Aim:
    """The threshold that the labels of a sample are to certify, and whether it is certified already."""

    threshold: float
    certified: bool


def allocation(counts: pd.DataFrame, size: int, aim: Aim | None = None) -> pd.DataFrame:
    """The allocation: is_valid, band, stratum (its name), stratum_rows and drawn, for each stratum with rows.

    counts: rows by is_valid and band.
    """
    strata = counts.groupby(["is_valid", "band"], as_index=False)[["rows"]].sum()
    strata["stratum"] = [stratum_name(valid, at) for valid, at in zip(strata["is_valid"], strata["band"], strict=True)]
    strata["drawn"] = np.array(allocate(strata["rows"].tolist(), weights(strata, aim), size), int)
    return strata.rename(columns={"rows": "stratum_rows"})


def weights(strata: pd.DataFrame, aim: Aim | None) -> list[float]:
    """The share of the sample for each stratum, in addition to its minimum of rows.

    Without an aim the bands of the candidates share 85%; a band with fewer rows at or above it is drawn more densely,
    because any candidate may be the one to certify. With an aim, 70% (50% once it is certified) are drawn evenly at and
    above the next lower candidate, so that it can be certified too. Rows below the candidates are drawn for recall.
    """
    rows, band = strata["rows"].to_numpy(float), strata["band"].to_numpy()
    edges = np.array([0.0, *BAND_EDGES, 1.0])
    below = band < LOWEST_CANDIDATE
    middle = (edges[band] + edges[band + 1]) / 2
    above = np.array([rows[band >= at].sum() for at in band])
    parts = [(below, np.array(neyman(rows.tolist(), middle.tolist())), 0.15)]
    if aim is None:
        parts.append((~below, rows / np.sqrt(above), 0.85))
    else:
        first = max(LOWEST_CANDIDATE, int(np.searchsorted(edges, aim.threshold, side="right")) - 2)
        share = 0.5 if aim.certified else 0.7
        parts.append((band >= first, rows, share))
        parts.append((~below & (band < first), rows / np.sqrt(above), 0.85 - share))
    shares = np.zeros(len(rows))
    for chosen, weight, share in parts:
        shares[chosen] = share * weight[chosen] / max(weight[chosen].sum(), 1e-9)
    return [float(weight) for weight in shares]


def sample_rows(
    run: publish.Run, counts: pd.DataFrame, size: int, dt: str, aim: Aim | None = None
) -> list[dict[str, Any]]:
    """Rows of audit_sample, without the model, in the order of their draws, from the candidates that `run` staged.

    Each row also has `dt`, for its CSV. counts: the day's scored rows, as for `allocation`.
    """
    if not size:
        return []
    strata: dict[Any, Any] = {
        (row.is_valid, row.band): row for row in allocation(counts, size, aim).itertuples() if row.drawn
    }
    candidates = run.read_back(CANDIDATE).withColumns({"band": F.expr(BAND), DRAW: draw(dt)})
    low = [low_enough(is_valid, band, row.drawn, row.stratum_rows) for (is_valid, band), row in strata.items()]
    left = {key: row.drawn for key, row in strata.items()}
    rows = []
    drawable = time_zones.collect(candidates.where(" OR ".join(["false", *low])))
    for row in sorted(drawable, key=lambda row: (row[DRAW], row.opinion_id or "")):
        key = row.is_valid, row.band
        if left[key]:
            left[key] -= 1
            of = strata[key]
            drawn = {
                "dt": dt,
                "run_id": run.id,
                "stratum": of.stratum,
                "stratum_rows": of.stratum_rows,
                "inclusion_probability": of.drawn / of.stratum_rows,
            }
            rows.append({column: row[column] for column in CANDIDATE.columns} | drawn)
    return rows


def low_enough(is_valid: bool, band: int, drawn: int, rows: int) -> str:
    """The SQL condition that a row belongs to the stratum and its draw is low enough.

    Too few rows satisfy it by chance in one of a million nights.
    """
    share = min(1.0, (drawn + 5 * math.sqrt(drawn) + 10) / rows)
    limit = min(int((share - 0.5) * 2**64), 2**63 - 1)
    return f"(is_valid = {bool(is_valid)} AND band = {band} AND {DRAW} <= {limit})"


def csv_of(dt: str, run_id: str) -> Path:
    """The CSV of a run's sample; each run has its own, so that no run replaces a file in use."""
    return home() / "audit" / f"{dt}.{run_id}.csv"


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the sampled rows as a CSV to label."""
    path.parent.mkdir(exist_ok=True)
    # The byte order mark tells spreadsheets that the file is UTF-8.
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        writer.writerows(csv_cells(row) for row in rows)


def csv_cells(row: Mapping[str, Any]) -> list[str | None]:
    """The cells of CSV_COLUMNS for a sampled row, the label empty."""
    return [None if column == "label" else escaped(row[column]) for column in CSV_COLUMNS]
