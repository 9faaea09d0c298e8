"""Complete a snapshot in the driver: the logits of the linear teacher, and the weights of the nights' labels.

Both come from one linear model, cross-fitted on the labels of the snapshot (`distill.training.cross_fitting`). They
need no stored logits and are as new as the labels.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from distill.data.labelled import LOGITS, WEIGHT
from distill.text.text_batch import normalise_batch
from distill.training.cross_fitting import CrossFitted, cross_fit

FROM_NIGHT = "from_night"  # column: whether a night's sample drew the row


def complete(folder: str, number: int | None) -> dict[str, Any]:
    """Add the columns to the labels and to the transfer set of a snapshot; returns facts for the lineage.

    number: of the linear teacher among the teachers; None without one.
    """
    labels = read(Path(folder, "labels"))
    from_night = labels[FROM_NIGHT].to_numpy()
    in_train = pc.equal(labels["split"], "train").to_numpy()
    nights = int((from_night & in_train).sum())
    if not nights and number is None:
        return {}
    texts = normalise_batch(labels["text"].to_pylist())
    train = np.flatnonzero(in_train)
    fitted = cross_fit([texts[row] for row in train], labels["label"].to_numpy()[train], from_night[train])
    if nights:
        print(f"{nights} labels of nights' samples: each weighs as {fitted.weight:g} others", flush=True)
        labels = labels.append_column(WEIGHT, pa.array(np.where(from_night, fitted.weight, 1.0), pa.float32()))
    if number is not None:
        margins = np.empty(len(texts))
        margins[train] = fitted.out_of_fold
        unseen = np.flatnonzero(~in_train)
        margins[unseen] = fitted.margins([texts[row] for row in unseen])
        labels = labels.append_column(f"{LOGITS}{number}", logits_of(margins))
        if Path(folder, "transfer").exists():
            complete_transfer(Path(folder, "transfer"), fitted, number)
    replace(Path(folder, "labels"), labels)
    return {"night_labels": {"rows": nights, "weight": fitted.weight}}


def complete_transfer(folder: Path, fitted: CrossFitted, number: int) -> None:
    """Add the linear teacher's logits to the transfer set."""
    rows = read(folder)
    margins = fitted.margins(normalise_batch(rows["text"].to_pylist()))
    replace(folder, rows.append_column(f"{LOGITS}{number}", logits_of(margins)))


def logits_of(margins: npt.NDArray[np.float64]) -> pa.Array:
    """Margins as pairs of logits, as in the table of logits."""
    pairs = np.stack([-margins / 2, margins / 2], axis=1).astype(np.float32)
    return pa.array(list(pairs), pa.list_(pa.float32()))


def read(folder: Path) -> pa.Table:
    """The rows of a Parquet folder, ordered by text, so that the folds do not depend on the files."""
    return pads.dataset(str(folder), format="parquet").to_table().sort_by("text")


def replace(folder: Path, rows: pa.Table) -> None:
    """Replace the files of a folder by one."""
    shutil.rmtree(folder)
    folder.mkdir()
    pq.write_table(rows, folder / "part-0.parquet")
