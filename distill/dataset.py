"""Labelled texts from Parquet, and the order in which training sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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


class View(Protocol):
    """What one network reads of the rows of a split."""

    def take(self, rows: Tensor) -> Any:
        """What the network's forward takes for the rows, int64 (batch,); a tuple or a dict of tensors, also nested."""
        ...


@dataclass(frozen=True)
class Batch:
    """Some rows of a split on the device of the rank.

    labels: int64 (batch,). inputs: by name of a network, what it reads. logits: by name of a teacher, float32
    (batch, 2).
    """

    labels: Tensor
    inputs: dict[str, Any]
    logits: dict[str, Tensor]


@dataclass(frozen=True)
class Examples:
    """A split as training sees it.

    labels: int64 (rows,). views: by name of a network. logits: stored ones, by name of a teacher, float32 (rows, 2).
    lengths: int64 (rows,), where rows of a batch should be of similar length because they are padded to the longest.
    """

    labels: Tensor
    views: Mapping[str, View]
    logits: Mapping[str, Tensor] = field(default_factory=dict)
    lengths: Tensor | None = None

    def batch(self, rows: Tensor, device: torch.device) -> Batch:
        """The rows, int64 (batch,)."""
        inputs = {name: moved(view.take(rows), device) for name, view in self.views.items()}
        logits = {name: stored[rows].to(device) for name, stored in self.logits.items()}
        return Batch(self.labels[rows].to(device), inputs, logits)


def moved(tensors: Any, device: torch.device) -> Any:
    """Tensors in nested tuples and dicts, on the device."""
    if isinstance(tensors, Tensor):
        return tensors.to(device)
    if isinstance(tensors, dict):
        return {name: moved(value, device) for name, value in tensors.items()}
    return type(tensors)(*(moved(value, device) for value in tensors))


POOL = 64  # batches whose rows are sorted by length together


def shuffled(rows: int, batch: int, seed: int, epoch: int, lengths: Tensor | None = None) -> list[Tensor]:
    """Every row once, in batches of row numbers (int64); the last may be smaller. A function of seed and epoch.

    With lengths, int64 (rows,), the rows of a batch are of similar length: shuffled rows are sorted a pool at a time,
    then the batches are shuffled, all but the smaller one.

    The batches are those of all ranks together; `share` says which rows of one are a rank's.
    """
    random = torch.Generator().manual_seed(seed * 100_003 + epoch)
    order = torch.randperm(rows, generator=random)
    if lengths is None:
        return list(torch.split(order, batch))
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in torch.split(order, batch * POOL)]
    batches = [part for pool in pools for part in torch.split(pool, batch)]
    whole = rows // batch
    return [batches[i] for i in torch.randperm(whole, generator=random)] + batches[whole:]


def by_length(lengths: Tensor, tokens: int) -> list[Tensor]:
    """Every row once, the shortest first, in batches of at most so many tokens padded; a longer text comes alone.

    lengths: int64 (rows,).
    """
    order = lengths.argsort(stable=True)
    batches, first = [], 0
    for i, longest in enumerate(lengths[order].tolist()):
        if (i + 1 - first) * longest > tokens and i > first:
            batches.append(order[first:i])
            first = i
    return [*batches, order[first:]] if len(order) else []


def share(rows: Tensor, rank: int, size: int) -> Tensor:
    """A rank's rows of a batch. The last batch of an epoch may have none for some ranks, which step all the same."""
    return rows[rank::size]
