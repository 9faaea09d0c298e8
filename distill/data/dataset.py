"""The rows of a split as networks read them, and the order in which training sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from distill.data.labelled import TextRows
from distill.models.padding import padded


class View(Protocol):
    """The rows of a split as one network reads them."""

    def take(self, rows: Tensor) -> Any:
        """The input of the network's forward for the rows, int64 (batch,): a tuple or dict of tensors, also nested."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows of a split on the device of the rank.

    labels: int64 (batch,), -1 where there is none. inputs: by name of a network, what it reads. logits: those stored
    of each teacher, float32 (batch, teachers, 2), NaN where there are none. weights: of the hard loss, float32
    (batch,); None: each row weighs 1.
    """

    labels: Tensor
    inputs: dict[str, Any]
    logits: Tensor
    weights: Tensor | None = None


@dataclass(frozen=True)
class Examples:
    """A split as training sees it.

    labels: int64 (rows,), -1 where there is none. views: by name of a network. logits: those stored of each teacher,
    float32 (rows, teachers, 2). lengths: int64 (rows,), where rows of a batch should be of similar length because they
    are padded to the longest. weights: as in `Batch`.
    """

    labels: Tensor
    views: Mapping[str, View]
    logits: Tensor
    lengths: Tensor | None = None
    weights: Tensor | None = None

    @classmethod
    def of(cls, rows: TextRows, views: Mapping[str, View], lengths: Tensor | None = None) -> "Examples":
        """Rows of texts, by these views of them."""
        weights = None if rows.weights is None else torch.from_numpy(rows.weights)
        return cls(torch.from_numpy(rows.labels), views, torch.from_numpy(rows.logits), lengths, weights)

    def batch(self, rows: Tensor, device: torch.device, teachers: Sequence[int] | None = None) -> Batch:
        """The batch of the rows, int64 (batch,), with the logits of all teachers or of the given ones."""
        inputs = {name: to_device(view.take(rows), device) for name, view in self.views.items()}
        logits = self.logits[rows] if teachers is None else self.logits[rows][:, list(teachers)]
        weights = None if self.weights is None else self.weights[rows].to(device)
        return Batch(self.labels[rows].to(device), inputs, logits.to(device), weights)


def to_device(tensors: Any, device: torch.device) -> Any:
    """Tensors in nested tuples and dicts, on the device."""
    if isinstance(tensors, Tensor):
        return tensors.to(device)
    if isinstance(tensors, dict):
        return {name: to_device(value, device) for name, value in tensors.items()}
    values = [to_device(value, device) for value in tensors]
    return tuple(values) if type(tensors) is tuple else type(tensors)(*values)  # a named tuple takes its fields


# Padded tokens of a batch that is not trained on: what fits a core's cache; a GPU needs more at once.
BATCH_TOKENS = {"cpu": 512, "cuda": 65_536}
POOL = 64  # batches whose rows are sorted by length together


def shuffled(rows: int, batch: int, seed: int, epoch: int, lengths: Tensor | None = None) -> list[Tensor]:
    """Every row once, in batches of row numbers (int64); the last may be smaller. A function of seed and epoch.

    With lengths, int64 (rows,), the rows of a batch are of similar length: shuffled rows are sorted a pool at a time,
    then the batches are shuffled, all but the smaller one.

    A batch holds the rows of all ranks; `shard` gives those of one rank.
    """
    random = torch.Generator().manual_seed(seed * 100_003 + epoch)
    order = torch.randperm(rows, generator=random)
    if lengths is None:
        return list(torch.split(order, batch))
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in torch.split(order, batch * POOL)]
    batches = [part for pool in pools for part in torch.split(pool, batch)]
    whole = rows // batch
    return [batches[i] for i in torch.randperm(whole, generator=random)] + batches[whole:]


@dataclass(frozen=True)
class Pool:
    """Rows that two networks see one after the other: int64 (rows,), and their batches for each.

    by_length: each row once, in batches of similar length. mixed: in random batches, pass after pass.
    """

    rows: Tensor
    by_length: list[Tensor]
    mixed: list[Tensor]


def length_pools(rows: int, batch: int, seed: int, epoch: int, lengths: Tensor | None, passes: int) -> Iterator[Pool]:
    """Every row in one pool of POOL batches; a function of seed and epoch. Without lengths all batches are random."""
    random = torch.Generator().manual_seed(seed * 100_003 + epoch)
    for pool in torch.split(torch.randperm(rows, generator=random), batch * POOL):
        ordered = pool if lengths is None else pool[lengths[pool].argsort(stable=True)]
        batches, whole = torch.split(ordered, batch), len(pool) // batch
        by_length = [batches[i] for i in torch.randperm(whole, generator=random)] + [*batches[whole:]]
        orders = [pool[torch.randperm(len(pool), generator=random)] for _ in range(passes)]
        yield Pool(pool, by_length, [part for order in orders for part in torch.split(order, batch)])


def length_buckets(lengths: Tensor, tokens: int) -> list[Tensor]:
    """Every row once, the shortest first, in batches of at most `tokens` padded tokens; a longer text is a batch alone.

    lengths: int64 (rows,).
    """
    order = lengths.argsort(stable=True)
    batches, first = [], 0
    for i, longest in enumerate(lengths[order].tolist()):
        if (i + 1 - first) * longest > tokens and i > first:
            batches.append(order[first:i])
            first = i
    return [*batches, order[first:]] if len(order) else []


# Padded tokens of a backward pass: an encoder of 12 layers of 384 keeps about 0.6 MB of each on the CPU.
PASS_TOKENS = {"cpu": 1536, "cuda": 65_536}


def passes(batch: Tensor, size: int, device: torch.device, lengths: Tensor | None) -> int:
    """The number of backward passes that a batch of all ranks, int64 (rows,), needs for memory; equal on every rank."""
    if lengths is None:
        return 1
    tokens = -(-len(batch) // size) * int(padded(lengths[batch]).max())
    return max(1, -(-tokens // PASS_TOKENS[device.type]))


def shard(rows: Tensor, rank: int, size: int) -> Tensor:
    """A rank's rows of a batch. Some ranks may have none of an epoch's last batch; they still step."""
    return rows[rank::size]
