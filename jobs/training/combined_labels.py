"""Labels that a student and a second reader have both read, and the combination of their margins.

The reader's margins come through its store (`jobs.training.reader_store`), which computes those of nights that are
missing; of valid those labels count whose logits are stored.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from distill.errors import Infrastructure
from distill.evaluation.combination import Fitted, ReadLabels, fit
from distill.scoring.scorer import Scorer
from jobs.ingest.hashed_texts import hashed
from jobs.training.reader_store import ReaderStore
from jobs.warehouse.tables import LABELLED_OPINION
from jobs.warehouse.warehouse import Warehouse

MOST_VALID = 20_000
TEXTS = pa.schema([("text_hash", pa.string()), ("text", pa.string())])


def combination(warehouse: Warehouse, store: ReaderStore, scorer: Scorer, nights: pd.DataFrame) -> Fitted:
    """The combination from `nights`, as of `night_labels`, and from valid.

    nights: labels that neither model has learned. Errors as `fit` and `night_margins`.
    """
    of_nights = night_margins(warehouse, store, nights)
    valid = valid_labels(warehouse)
    of_valid = store.known_margins(valid["text_hash"].tolist())
    valid = valid[valid["text_hash"].isin(of_valid)]

    def both(rows: pd.DataFrame, reader: Mapping[str, float]) -> ReadLabels:
        student = scorer.margins_normalised(rows["text"].tolist())
        of_reader = np.array([reader[key] for key in rows["text_hash"]], np.float64)
        return ReadLabels(rows["label"].to_numpy(np.int64), student, of_reader)

    return fit(both(nights, of_nights), both(valid, of_valid))


def night_margins(warehouse: Warehouse, store: ReaderStore, nights: pd.DataFrame) -> dict[str, float]:
    """The reader's margins of labels of nights by text hash. Raises Infrastructure when its seconds end before."""
    texts = warehouse.spark.createDataFrame(pa.Table.from_pandas(nights, TEXTS, preserve_index=False))
    margins = store.margins(texts, nights["text_hash"].tolist())
    if len(margins) < len(nights):
        raise Infrastructure(f"the seconds of {store.writer.version} ended among the labels of nights; give it more")
    return margins


def valid_labels(warehouse: Warehouse) -> pd.DataFrame:
    """Text, label and text_hash of the split valid, at most MOST_VALID, the lowest hashes."""
    rows = hashed(warehouse.read(LABELLED_OPINION).where("split = 'valid'").select("text", "label"))
    rows = rows.orderBy("text_hash").limit(MOST_VALID)
    return pd.DataFrame([row.asDict() for row in rows.collect()], columns=["text", "label", "text_hash"])
