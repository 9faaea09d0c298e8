"""Labelled texts from Parquet, and the order in which training sees them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import torch
from torch import Tensor

from distill.errors import BadInput
from distill.text import normalise_batch


@dataclass(frozen=True)
class Labelled:
    """Rows of one split: normalised texts; labels int64 (rows,), 0 junk and 1 valid complaint; the source of each."""

    texts: list[str]
    labels: npt.NDArray[np.int64]
    sources: npt.NDArray[np.str_]


def read_labelled(location: str, split: str) -> Labelled:
    """Rows of a split from a Parquet folder of text, label, source, split (local path or pyarrow.fs URI).

    Rows are ordered by text, so that a seed means the same whatever wrote the files. Raises BadInput when the split
    lacks one of the labels.
    """
    fs, path = pafs.FileSystem.from_uri(location) if "://" in location else (pafs.LocalFileSystem(), location)
    rows = pads.dataset(path, filesystem=fs, format="parquet").to_table(
        columns=["text", "label", "source"], filter=pads.field("split") == split
    )
    rows = rows.sort_by("text")
    labels = rows["label"].to_numpy().astype(np.int64)
    if len(np.unique(labels)) < 2:
        raise BadInput(
            f"the split {split!r} of labelled_opinion has {len(labels)} rows and not both labels; "
            "load labels with jobs/load_labels.py"
        )
    sources = np.array([source or "" for source in rows["source"].to_pylist()])
    return Labelled(normalise_batch(rows["text"].to_pylist()), labels, sources)


def shuffled(rows: int, batch: int, seed: int, epoch: int) -> list[Tensor]:
    """Every row once, in batches of row numbers (int64); the last may be smaller. A function of seed and epoch.

    The batches are those of all ranks together; `share` says which rows of one are a rank's.
    """
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
    return list(torch.split(order, batch))


def share(rows: Tensor, rank: int, size: int) -> Tensor:
    """A rank's rows of a batch. The last batch of an epoch may have none for some ranks, which step all the same."""
    return rows[rank::size]
