"""Look up the ids of tokens in compiled code: a hash table from the characters of a token to its id.

A slot is one uint64, so that a look-up touches one line of memory: 44 bits of the token's hash, then its id, 20 bits; 0
where free. Two tokens of one table may not share those 44 bits, which is checked when it is built. A token outside the
table is mistaken for a known one about once in 10^13 times, in training and in scoring alike.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.errors import BadInput
from distill.intrinsics.prefetch import prefetch
from distill.text.normalisation import Codes, Ints, Offsets, code_points

_ID_BITS = 20
_ID_SHIFT, _ID_MASK = np.uint64(_ID_BITS), np.uint64((1 << _ID_BITS) - 1)
_AHEAD = 16  # tokens whose slots are on their way from memory
_HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class TokenTable(NamedTuple):
    """slots: uint64 (a power of two,). unknown: the id of any other token."""

    slots: npt.NDArray[np.uint64]
    unknown: int


def token_table(tokens: Sequence[str], first: int, unknown: int) -> TokenTable:
    """The table of tokens whose ids are first, first + 1, and so on; raises BadInput for a repeated token."""
    if len(tokens) + first > 1 << _ID_BITS:
        raise BadInput(f"the vocabulary has {len(tokens)} tokens, at most {(1 << _ID_BITS) - first} can have ids")
    slots = np.zeros(1 << (2 * len(tokens) + 1).bit_length(), np.uint64)
    if not _fill(*code_points(tokens), first, slots):
        raise BadInput("the vocabulary names a token twice, or the hashes of two tokens are equal")
    return TokenTable(slots, unknown)


@numba.njit(cache=True)
def _hash(codes: Codes, start: int, end: int) -> np.uint64:
    mixed = np.uint64(end - start)
    for i in range(start, end):
        mixed = (mixed ^ np.uint64(codes[i])) * _HASH_FACTOR
        mixed ^= mixed >> np.uint64(29)
    return mixed


@numba.njit(cache=True)
def _home(slots: npt.NDArray[np.uint64], token_hash: np.uint64) -> np.int64:
    """The slot at which the search for a token begins."""
    return np.int64(token_hash & _ID_MASK) & (len(slots) - 1)


@numba.njit(cache=True)
def _find(slots: npt.NDArray[np.uint64], token_hash: np.uint64) -> np.int64:
    """The slot of the token, or the free one where it would go."""
    slot = _home(slots, token_hash)
    while slots[slot] != 0 and ((slots[slot] ^ token_hash) >> _ID_SHIFT) != 0:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@numba.njit(cache=True)
def _fill(codes: Codes, offsets: Offsets, first: int, slots: npt.NDArray[np.uint64]) -> bool:
    for token in range(len(offsets) - 1):
        token_hash = _hash(codes, offsets[token], offsets[token + 1])
        slot = _find(slots, token_hash)
        if slots[slot] != 0:
            return False
        slots[slot] = (token_hash & ~_ID_MASK) | np.uint64(token + first)
    return True


@numba.njit(cache=True)
def token_hashes(codes: Codes, starts: Ints, ends: Ints) -> npt.NDArray[np.uint64]:
    """The hash of each token codes[starts[i]:ends[i]], (tokens,)."""
    hashes = np.empty(len(starts), np.uint64)
    for i in range(len(starts)):
        hashes[i] = _hash(codes, starts[i], ends[i])
    return hashes


@numba.njit(cache=True)
def look_up(
    codes: Codes, starts: Ints, ends: Ints, offsets: Offsets, table: TokenTable, edge: int
) -> tuple[Ints, Offsets]:
    """The ids of the tokens codes[starts[i]:ends[i]], each text between two edges, and the offsets with the edges."""
    hashes = token_hashes(codes, starts, ends)
    with_edges = offsets + 2 * np.arange(len(offsets))
    ids = np.full(with_edges[-1], edge, np.int32)
    for text in range(len(offsets) - 1):
        shift = with_edges[text] - offsets[text] + 1
        for i in range(offsets[text], offsets[text + 1]):
            if i + _AHEAD < len(hashes):
                prefetch(table.slots, _home(table.slots, hashes[i + _AHEAD]))  # type: ignore[call-arg]
            entry = table.slots[_find(table.slots, hashes[i])]
            ids[i + shift] = entry & _ID_MASK if entry else table.unknown
    return ids, with_edges
