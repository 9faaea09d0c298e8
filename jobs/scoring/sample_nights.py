"""The labelled samples of a model's nights as counts by night and stratum, for the certification of its threshold."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from distill.evaluation.certification import Nights
from jobs.ingest.hashed_texts import hashed
from jobs.scoring.bands import BAND_EDGES, BANDS, CANDIDATES_FROM
from jobs.scoring.sample_candidates import bands_of, stratum_name
from jobs.warehouse.tables import LABELLED_OPINION, SAMPLE_LABEL
from jobs.warehouse.warehouse import Warehouse

# In the counts a band is two columns side by side, of junk and of valid complaints, which differ in inclusion
# probability where a threshold of no candidate divides a band.
CANDIDATES = [(edge, 2 * (number + 1)) for number, edge in enumerate(BAND_EDGES) if edge >= CANDIDATES_FROM]
FAILED = "failed"  # as the second reader of a sample: the night has the student's decisions for want of one
LEAST_LABELLED = 0.9  # of a night's drawn rows; so that looks at a half-labelled night do not count as nights


@dataclass(frozen=True)
class Sampled:
    """The sampled rows of a model's nights that can be used, and how many cannot, by reason.

    rows: dt, source, column (of the counts), score, label (NaN where there is none), one row a sampled opinion.
    whole: the nights that are labelled enough for the bound; open_nights: those that are not, with the labels missing.
    second_reader: of all these rows, the one of the last night that no second reader failed; None for none.
    """

    rows: pd.DataFrame
    whole: list[str]
    open_nights: dict[str, int]
    unused: dict[str, int]
    second_reader: str | None = None


def sampled(warehouse: Warehouse, version: str, learned_at: datetime | None) -> Sampled:
    """The samples from nights that this version scored.

    learned_at: the time of the version's snapshot of labels. A row whose text was labelled by then is left out: the
    promise is about texts that the model has not learned.
    """
    labels = hashed(warehouse.read(SAMPLE_LABEL)).where(F.col("model_version") == version)
    texts = hashed(warehouse.read(LABELLED_OPINION).select("text", "label", "labelled_at"))
    texts = texts.groupBy("text_hash").agg(F.min("label").alias("text_label"), F.min("labelled_at").alias("known_at"))
    rows = labels.join(texts, "text_hash", "left").select(
        F.col("sample_dt").alias("dt"),
        "sample_run_id",
        "source",
        "score",
        "is_valid",
        "stratum",
        "stratum_rows",
        "label",
        "text_label",
        F.unix_micros("known_at").alias("known_at"),
        "second_reader",
    )
    table = pd.DataFrame([row.asDict() for row in rows.collect()], columns=rows.columns)
    return usable(table, learned_at)


def usable(table: pd.DataFrame, learned_at: datetime | None) -> Sampled:
    """The usable rows of all runs, and how many are unusable, by reason."""
    bands = bands_of(table["score"].to_numpy(np.float32))
    names = [stratum_name(valid, band) for valid, band in zip(table["is_valid"], bands, strict=True)]
    same = table["stratum"] == pd.Series(names, index=table.index, dtype=object)
    last = table.groupby("dt")["sample_run_id"].transform("max") if len(table) else table["sample_run_id"]
    known = table["known_at"].fillna(0)  # a label without a time may be older
    since = float("inf") if learned_at is None else learned_at.timestamp() * 1e6
    learned = table["text_label"].notna() & (known <= since)
    given = table["label"].notna()
    newest = same & (table["sample_run_id"] == last)
    reader = reader_of_last(table[newest])
    # Another rule made those scores, so their precision at a threshold says nothing about this one's.
    alike = table["second_reader"].fillna("") == (reader or "")
    why = {
        "drawn by bands of another version": given & ~same,
        "of an earlier run of their day": given & same & (table["sample_run_id"] != last),
        f"of nights {f'without {reader}' if reader else 'with a second reader'}": given & newest & ~alike,
        "learned by the model": given & newest & alike & learned,
    }
    drawn = table[newest & alike].copy()
    drawn["column"] = 2 * bands_of(drawn["score"].to_numpy(np.float32)) + drawn["is_valid"].astype(int)
    drawn["learned"] = learned[drawn.index]
    # A text with two labels has none until people decide.
    drawn["label"] = drawn["label"].where(drawn["label"] == drawn["text_label"])
    drawn.loc[drawn["learned"], "label"] = np.nan
    fresh = drawn[~drawn["learned"]]
    share = fresh.groupby("dt")["label"].agg(["count", "size"])
    whole = share.index[share["count"] >= LEAST_LABELLED * share["size"]].tolist()
    missing = (share["size"] - share["count"]).drop(whole)
    reasons = {reason: int(rows.sum()) for reason, rows in why.items() if rows.any()}
    return Sampled(drawn, whole, {str(dt): int(rows) for dt, rows in missing.items()}, reasons, reader)


def reader_of_last(rows: pd.DataFrame) -> str | None:
    """The second reader of the last night on which none failed."""
    rows = rows[rows["second_reader"] != FAILED]
    if not len(rows):
        return None
    reader = rows.loc[rows["dt"] == rows["dt"].max(), "second_reader"].iloc[0]
    return reader if isinstance(reader, str) else None  # pandas gives None or NaN for a null


def counts(rows: pd.DataFrame, nights: list[str]) -> Nights:
    """The counts of these nights, in their order; rows: as in `Sampled`."""
    shape = (len(nights), 2 * BANDS)
    by_name: dict[str, Any] = {name: np.zeros(shape, np.int64) for name in ("rows", "drawn", "complaints", "junk")}
    at = rows["dt"].map({dt: number for number, dt in enumerate(nights)})
    for key, part in rows.groupby([at, "column"]):
        place = tuple(np.array(key, int))
        by_name["rows"][place] = part["stratum_rows"].iloc[0]
        by_name["drawn"][place] = (~part["learned"]).sum()
        by_name["complaints"][place] = (part["label"] == 1).sum()
        by_name["junk"][place] = (part["label"] == 0).sum()
    return Nights(**by_name)
