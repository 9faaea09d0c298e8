"""Batches hold each row once, with what each network reads of it."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.data.dataset import POOL, Examples, length_buckets, length_pools, shard, shuffled, to_device

CPU = torch.device("cpu")


class Pair(NamedTuple):
    one: Tensor
    other: Tensor


def test_nested_tensors_are_moved_in_the_shape_they_have() -> None:
    place = torch.device("meta")  # another device that every machine has
    a, b, c, d = (torch.ones(i) for i in range(1, 5))
    there = to_device({"pair": Pair(a, b), "tuple": ({"c": c}, d)}, place)
    assert isinstance(there["pair"], Pair) and type(there["tuple"]) is tuple
    tensors = [there["pair"].one, there["pair"].other, there["tuple"][0]["c"], there["tuple"][1]]
    assert [(t.device.type, len(t)) for t in tensors] == [("meta", 1), ("meta", 2), ("meta", 3), ("meta", 4)]


class Tens:
    """A view that says which rows were asked for."""

    def take(self, rows: Tensor) -> Tensor:
        return rows * 10


def test_a_batch_has_labels_logits_and_every_view_of_its_rows() -> None:
    logits = torch.arange(12.0).reshape(3, 2, 2)
    batch = Examples(torch.tensor([1, 0, -1]), {"student": Tens()}, logits).batch(torch.tensor([2, 0]), CPU)
    assert batch.labels.tolist() == [-1, 1] and batch.inputs["student"].tolist() == [20, 0]
    assert batch.logits.tolist() == [[[8, 9], [10, 11]], [[0, 1], [2, 3]]]


def test_a_batch_may_have_the_logits_of_some_teachers_alone() -> None:
    logits = torch.arange(12.0).reshape(2, 3, 2)
    batch = Examples(torch.tensor([1, 0]), {}, logits).batch(torch.tensor([1]), CPU, teachers=[2, 0])
    assert batch.logits.tolist() == [[[10, 11], [6, 7]]]


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (9, 3), (1, 4)])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_row_once_an_epoch_over_all_ranks(count: int, batch: int, size: int) -> None:
    batches = shuffled(count, batch, seed=1, epoch=1)
    seen = [row for b in batches for rank in range(size) for row in shard(b, rank, size).tolist()]
    assert sorted(seen) == list(range(count))
    assert max(map(len, batches)) <= batch


def lengths_of(rows: int) -> Tensor:
    return torch.randint(1, 500, (rows,), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("known", [False, True], ids=["no lengths", "lengths"])
def test_the_order_is_a_function_of_seed_and_epoch(known: bool) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(shuffled(50, 7, seed, epoch, lengths_of(50) if known else None)).tolist()

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2) != order(2, 1)


@pytest.mark.parametrize("rows", [1, 7, 8, 7 * POOL, 7 * POOL + 1, 3 * 7 * POOL + 10])
def test_with_lengths_every_row_comes_once_and_the_smaller_batch_last(rows: int) -> None:
    batches = shuffled(rows, 7, 1, 1, lengths_of(rows))
    assert sorted(torch.cat(batches).tolist()) == list(range(rows))
    assert [len(b) for b in batches] == [7] * (rows // 7) + ([rows % 7] if rows % 7 else [])


def test_rows_of_a_batch_are_of_similar_length_and_batches_are_not_sorted() -> None:
    rows = 8 * POOL * 4
    lengths = lengths_of(rows)
    batches = shuffled(rows, 8, 1, 1, lengths)
    spread = [int(lengths[b].max() - lengths[b].min()) for b in batches]
    assert np.mean(spread) < 20, "eight of 512 rows sorted by lengths from 1 to 499; unsorted it is over 350"
    rises = [lengths[one].max() < lengths[other].max() for one, other in pairwise(batches)]
    assert 0.4 < np.mean(rises) < 0.6


def test_rows_meet_other_rows_each_epoch_although_sorted() -> None:
    lengths = lengths_of(1024)
    together_at = [{frozenset(b.tolist()) for b in shuffled(1024, 4, 1, epoch, lengths)} for epoch in (1, 2)]
    assert len(together_at[0] & together_at[1]) < 10


@pytest.mark.parametrize("rows", [5, 8 * POOL, 2 * 8 * POOL + 12])
def test_each_row_is_in_one_pool_once_by_length_and_once_a_pass_in_random_batches(rows: int) -> None:
    lengths = lengths_of(rows)
    pools = list(length_pools(rows, 8, seed=1, epoch=1, lengths=lengths, passes=3))
    assert sorted(torch.cat([pool.rows for pool in pools]).tolist()) == list(range(rows))
    assert [len(pool.rows) for pool in pools[:-1]] == [8 * POOL] * (len(pools) - 1)
    for pool in pools:
        inside, count = sorted(pool.rows.tolist()), -(-len(pool.rows) // 8)
        assert sorted(torch.cat(pool.by_length).tolist()) == inside
        passes = [pool.mixed[at : at + count] for at in range(0, 3 * count, count)]
        assert len(pool.mixed) == 3 * count
        assert all(sorted(torch.cat(batches).tolist()) == inside for batches in passes)


def test_batches_of_a_pool_are_of_similar_length_for_one_network_and_of_all_lengths_for_the_other() -> None:
    lengths = lengths_of(8 * POOL)
    [pool] = length_pools(8 * POOL, 8, seed=1, epoch=1, lengths=lengths, passes=1)
    close, wide = (
        np.mean([int(lengths[b].max() - lengths[b].min()) for b in batches]) for batches in (pool.by_length, pool.mixed)
    )
    assert close < 20 and wide > 300
    rises = [lengths[one].max() < lengths[other].max() for one, other in pairwise(pool.by_length)]
    assert 0.3 < np.mean(rises) < 0.7, "nor are the batches sorted"
    [again], [other] = (length_pools(8 * POOL, 8, 1, epoch, lengths, 1) for epoch in (1, 2))
    assert again.rows.tolist() == pool.rows.tolist() != other.rows.tolist()


def test_by_length_holds_every_row_once_within_the_tokens_shortest_first() -> None:
    lengths = lengths_of(300)
    batches = length_buckets(lengths, 1000)
    assert sorted(torch.cat(batches).tolist()) == list(range(300))
    assert torch.cat([lengths[b] for b in batches]).tolist() == sorted(lengths.tolist())
    assert max(len(b) * int(lengths[b].max()) for b in batches) <= 1000
    for one, other in pairwise(batches):
        assert (len(one) + 1) * int(lengths[other[0]]) > 1000, "no batch could have held one row more"


def test_by_length_by_hand() -> None:
    """Tokens padded: 2 x 2, then 3 x 3 would be 9 of 8; 3 + 4 padded to 2 x 4; 9 alone, though over 8."""
    buckets = length_buckets(torch.tensor([9, 2, 4, 1, 3]), 8)
    assert [b.tolist() for b in buckets] == [[3, 1], [4, 2], [0]]


def test_texts_that_are_each_too_long_come_alone() -> None:
    assert [b.tolist() for b in length_buckets(torch.tensor([70, 50, 60]), 10)] == [[1], [2], [0]]


def test_by_length_of_nothing_is_nothing() -> None:
    assert length_buckets(torch.empty(0, dtype=torch.int64), 10) == []
