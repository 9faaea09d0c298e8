"""A snapshot of labels that a network learns at once, of a number of rows that batches do not divide."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write_labels(folder: Path) -> None:
    """Write 121 rows of train and 60 of valid: noise, and a phrase that tells the label."""
    rng = np.random.default_rng(0)
    noise = [chr(c) for c in range(0x5000, 0x5040)]
    labels = rng.integers(0, 2, 181)
    texts = ["".join(rng.choice(noise, rng.integers(1, 9))) + ("客服骗人" if y else "物流很快") for y in labels]
    splits = ["train"] * 121 + ["valid"] * 60
    (folder / "labels").mkdir()
    rows = pa.table({"text": texts, "label": labels, "source": splits, "split": splits})
    pq.write_table(rows, folder / "labels" / "0.parquet")
