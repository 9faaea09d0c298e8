"""Labelled texts, and texts of the transfer set, read from Parquet; needs no torch."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.fs as pafs

from distill.data.snapshot import Snapshot
from distill.errors import BadInput
from distill.text.text_batch import normalise_batch

NO_LABEL = -1  # of a row of the transfer set
LOGITS = "logits_"  # of a column, before the number of the teacher
WEIGHT = "weight"  # of a column that not every snapshot has: the weight of the hard loss


@dataclass(frozen=True)
class TextRows:
    """The rows of one split, or of the transfer set.

    texts: normalised. labels: int64 (rows,), 0 junk, 1 valid complaint, -1 none. sources: the source of each. logits:
    those stored of each teacher, float32 (rows, teachers, 2), NaN where there are none. weights: of the hard loss,
    float32 (rows,); None: each row weighs 1.
    """

    texts: list[str]
    labels: npt.NDArray[np.int64]
    sources: npt.NDArray[np.str_]
    logits: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None


def read_labelled(location: str, split: str) -> TextRows:
    """Rows of a split from a Parquet folder of text, label, source, split and logits_0, logits_1 … of the teachers.

    The location is a local path or a pyarrow.fs URI. Raises BadInput when the split lacks one of the labels.
    """
    rows = read(location, pads.field("split") == split)
    if len(np.unique(rows.labels)) < 2:
        raise BadInput(
            f"the split {split!r} of labelled_opinion has {len(rows.labels)} rows and not both labels; "
            "load labels with opinion load_labels"
        )
    return rows


def read(location: str, rows: pads.Expression | None = None) -> TextRows:
    """The rows ordered by text: a seed gives the same training whatever wrote the files."""
    fs, path = pafs.FileSystem.from_uri(location) if "://" in location else (pafs.LocalFileSystem(), location)
    table = pads.dataset(path, filesystem=fs, format="parquet").to_table(filter=rows).sort_by("text")
    labels = pc.fill_null(table["label"], NO_LABEL).to_numpy().astype(np.int64)
    sources = np.array([source or "" for source in table["source"].to_pylist()], np.str_)
    columns = [name for name in table.column_names if name.startswith(LOGITS)]
    columns.sort(key=lambda name: int(name.removeprefix(LOGITS)))
    logits = np.empty((table.num_rows, len(columns), 2), np.float32)
    for teacher, name in enumerate(columns):
        stored = [values or (np.nan, np.nan) for values in table[name].to_pylist()]
        logits[:, teacher] = np.array(stored, np.float32).reshape(-1, 2)  # there may be no rows
    weights = table[WEIGHT].to_numpy() if WEIGHT in table.column_names else None
    return TextRows(normalise_batch(table["text"].to_pylist()), labels, sources, logits, weights)


class Splits(NamedTuple):
    """The rows of a snapshot; `train` with the transfer set, `test` where there is one."""

    train: TextRows
    valid: TextRows
    test: TextRows | None


def read_snapshot(snapshot: Snapshot) -> Splits:
    """The splits of a snapshot; errors as `read_labelled`."""
    train, valid = (read_labelled(f"{snapshot.folder}/labels", split) for split in ("train", "valid"))
    test = read_labelled(f"{snapshot.folder}/labels", "test") if snapshot.has_test else None
    if snapshot.has_transfer:
        train = concat(train, read(f"{snapshot.folder}/transfer"))
    return Splits(train, valid, test)


def concat(one: TextRows, other: TextRows) -> TextRows:
    """The rows of one, then those of the other."""
    return TextRows(
        one.texts + other.texts,
        np.concatenate([one.labels, other.labels]),
        np.concatenate([one.sources, other.sources]),
        np.concatenate([one.logits, other.logits]),
        None if one.weights is other.weights is None else np.concatenate([weights_of(one), weights_of(other)]),
    )


def weights_of(rows: TextRows) -> npt.NDArray[np.float32]:
    """The weights of rows, ones where they have none."""
    return np.ones(len(rows.labels), np.float32) if rows.weights is None else rows.weights
