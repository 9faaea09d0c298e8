"""Hashes of ids: by Spark, and equal ones in Python."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

Hashes = npt.NDArray[np.int64]

SEED = 42  # of Spark's xxhash64
LOW = 0xFFFFFFFF  # half of a hash: the sum over a day's rows stays below 2^63
P1, P2, P3, P4, P5 = (
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)


def id_hash() -> Column:
    """The hash of an id, 64 bits; null for a row without one."""
    return F.when(F.col("opinion_id").isNotNull(), F.xxhash64("opinion_id"))


def id_half() -> Column:
    """The low half of an id's hash, 0 or more; 0 for a row without an id."""
    return F.coalesce(id_hash().bitwiseAND(F.lit(LOW)), F.lit(0))


def hashes_of_ids(ids: pa.Array, seed: int = SEED) -> Hashes:
    """The 64 bits of each string, (rows,); for null the seed itself, as in Spark."""
    if not len(ids):
        return np.empty(0, np.int64)
    _, offsets, data = ids.cast(pa.string()).buffers()
    starts = np.frombuffer(offsets, np.int32)[ids.offset : ids.offset + len(ids) + 1]
    content = np.frombuffer(data or b"", np.uint8)
    hashes = np.empty(len(ids), np.uint64)
    first = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    hash_strings(content, starts, first, hashes)
    if ids.null_count:
        hashes[ids.is_null().to_numpy(zero_copy_only=False)] = first
    return hashes.view(np.int64)


def draws_of_ids(dt: str, ids: pa.Array) -> Hashes:
    """The draw of each row of a day, as `sample_candidates.draw` in Spark."""
    return hashes_of_ids(ids, int(hashes_of_ids(pa.array([dt]))[0]))


@numba.njit(cache=True)
def hash_strings(content: Any, starts: Any, seed: Any, hashes: Any) -> None:
    """XXH64 of content[starts[i] : starts[i + 1]] for every i."""
    for i in range(len(hashes)):
        hashes[i] = xxh64(content, starts[i], starts[i + 1], seed)


@numba.njit(cache=True)
def xxh64(content: Any, at: Any, end: Any, seed: Any) -> Any:
    """XXH64 of content[at:end] (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)."""
    length = np.uint64(end - at)
    if end - at >= 32:
        v1, v2, v3, v4 = seed + P1 + P2, seed + P2, seed, seed - P1
        while end - at >= 32:
            v1 = rounded(v1, word(content, at))
            v2 = rounded(v2, word(content, at + 8))
            v3 = rounded(v3, word(content, at + 16))
            v4 = rounded(v4, word(content, at + 24))
            at += 32
        result = rotated(v1, 1) + rotated(v2, 7) + rotated(v3, 12) + rotated(v4, 18)
        for v in (v1, v2, v3, v4):
            result = (result ^ rounded(np.uint64(0), v)) * P1 + P4
    else:
        result = seed + P5
    result += length
    while end - at >= 8:
        result = rotated(result ^ rounded(np.uint64(0), word(content, at)), 27) * P1 + P4
        at += 8
    if end - at >= 4:
        half = np.uint64(0)
        for k in range(4):
            half |= np.uint64(content[at + k]) << np.uint64(8 * k)
        result = rotated(result ^ (half * P1), 23) * P2 + P3
        at += 4
    while at < end:
        result = rotated(result ^ (np.uint64(content[at]) * P5), 11) * P1
        at += 1
    result = (result ^ (result >> np.uint64(33))) * P2
    result = (result ^ (result >> np.uint64(29))) * P3
    return result ^ (result >> np.uint64(32))


@numba.njit(cache=True)
def rounded(lane: Any, value: Any) -> Any:
    """One round of a lane."""
    return rotated(lane + value * P2, 31) * P1


@numba.njit(cache=True)
def rotated(value: Any, bits: int) -> Any:
    """The value rotated to the left."""
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@numba.njit(cache=True)
def word(content: Any, at: Any) -> Any:
    """Eight bytes, the lowest first."""
    result = np.uint64(0)
    for k in range(8):
        result |= np.uint64(content[at + k]) << np.uint64(8 * k)
    return result
