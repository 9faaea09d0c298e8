"""Cut a text into words, exactly as jieba 0.42.1 does without its hidden Markov model, but compiled.

The algorithm is jieba's `lcut(text, HMM=False)`: a text is split into blocks of Chinese characters, ASCII
letters, digits and a few signs, and each block into the words of the dictionary whose product of
probabilities is greatest; of two equal routes the one that takes the longer word first wins; letters and
digits left single are joined. Whatever is outside of a block is a word of one character. Two things differ:

- white space is dropped, where jieba gives it back as words;
- the dictionary is in lower case, as texts are. Words that fold to the same (5 of 349,046) follow jieba's rule for a
  repeated line: the last frequency counts, and every line counts in the total.
"""

import functools
import math
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.errors import BadInput
from distill.intrinsics.prefetch import prefetch
from distill.text.dictionary import read_dictionary
from distill.text.normalisation import Codes, Ints, Offsets, code_points

Edges = npt.NDArray[np.uint64]
Scores = npt.NDArray[np.float64]

# All compiled code that knows the edges is in this file: numba compiles a function anew when its own file changes, and
# not when that of a function it calls does.
# A trie edge is one uint64: parent node (21 bits) and code point (16 bits) are what is looked for, then come the number
# of the word's weight (26 bits, 0 for no word) and whether the child has children. A child is named by its edge's slot.
# Words share some thousand weights, which stay in the cache; a weight a node would not.
_CODE_BITS, _WEIGHT_BITS = 16, 26
_LARGEST_CODE = (1 << _CODE_BITS) - 1
_KEY_SHIFT = np.uint64(_WEIGHT_BITS + 1)
_NODE_SHIFT = np.uint64(_CODE_BITS + _WEIGHT_BITS + 1)
_WEIGHT_SHIFT = np.uint64(1)
_WEIGHT_MASK = np.uint64((1 << _WEIGHT_BITS) - 1)
_HAS_CHILDREN = np.uint64(1)
_SLOT_BITS = 20  # jieba's dictionary takes 47% of the slots
_ROOT = np.uint64(1 << _SLOT_BITS)
_SLOT_SHIFT = np.uint64(64 - _SLOT_BITS)
_SLOT_MASK = np.uint64((1 << _SLOT_BITS) - 1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

_BLOCK_SIGNS = np.isin(np.arange(128), [ord(sign) for sign in "+#&._%-"])


class Trie(NamedTuple):
    """The dictionary, as arrays that compiled code takes as one argument.

    roots: uint64 (65536,), the root's edges by code point, 0 where there is none, with the child in the parent's place.
    edges: uint64 (slots,), open addressing by parent and code point, 0 where free.
    weights: float64 (weights,), the log probability of a word by the number of its weight.
    unknown: the log probability of a character that begins no word.
    """

    roots: Edges
    edges: Edges
    weights: Scores
    unknown: float


@numba.njit(cache=True)
def is_space(code: int) -> bool:
    """Whether Python's `re` takes the character for white space; spelt out, for any Unicode version."""
    if code < 0x80:
        return code == 0x20 or 0x09 <= code <= 0x0D or 0x1C <= code <= 0x1F
    spaces = (0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
    return 0x2000 <= code <= 0x200A or code in spaces


@numba.njit(cache=True)
def _is_alphanumeric(code: int) -> bool:
    return 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A


@numba.njit(cache=True)
def _in_block(code: int) -> bool:
    if code < 0x80:
        return _is_alphanumeric(code) or _BLOCK_SIGNS[code]
    return 0x4E00 <= code <= 0x9FD5


@numba.njit(cache=True)
def _key(parent: np.uint64, code: np.uint32) -> np.uint64:
    return (parent << np.uint64(_CODE_BITS)) | np.uint64(code)


@numba.njit(cache=True)
def _find_edge(edges: Edges, parent: np.uint64, code: np.uint32) -> tuple[np.uint64, np.uint64]:
    """The slot of the edge, and the edge there: 0 when there is none, and the slot is where it would go."""
    key = _key(parent, code)
    slot = (key * _GOLDEN) >> _SLOT_SHIFT
    while edges[slot] != 0 and (edges[slot] >> _KEY_SHIFT) != key:
        slot = (slot + np.uint64(1)) & _SLOT_MASK
    return slot, edges[slot]


@numba.njit(cache=True)
def segment_into(codes: Codes, trie: Trie, best: Scores, step: Ints, starts: Ints, ends: Ints) -> int:
    """Cut one text; word w is codes[starts[w]:ends[w]]; returns the number of words.

    best and step are scratch of at least characters + 1, starts and ends of at least characters.
    """
    _route(codes, trie, best, step)
    words, start, joining = 0, 0, False
    while start < len(codes):
        end = step[start]
        single = end == start + 1 and _is_alphanumeric(codes[start])
        if single and joining:
            ends[words - 1] = end
        elif not is_space(codes[start]):
            starts[words] = start
            ends[words] = end
            words += 1
        joining = single
        start = end
    return words


@numba.njit(cache=True)
def _route(codes: Codes, trie: Trie, best: Scores, step: Ints) -> None:
    """From the text's end to its begin: the best score of the block's rest, and where the next word ends.

    Blocks need no search: no word of the trie crosses a block's end, and the score restarts after each block.
    """
    best[len(codes)] = 0.0
    for start in range(len(codes) - 1, -1, -1):
        best_score, best_end = -np.inf, 0
        edge = trie.roots[codes[start]] if codes[start] < len(trie.roots) else np.uint64(0)
        node, end = edge >> _NODE_SHIFT, start + 1
        while edge != 0:
            weight = (edge >> _WEIGHT_SHIFT) & _WEIGHT_MASK
            if weight:
                # The order of jieba's additions, and its preference of the longer of two equals.
                score = trie.weights[weight] + best[end]
                if score >= best_score:
                    best_score = score
                    best_end = end
            if not edge & _HAS_CHILDREN or end == len(codes) or codes[end] > _LARGEST_CODE:
                break
            node, edge = _find_edge(trie.edges, node, codes[end])
            end += 1
        if best_end == 0:
            best_score = trie.unknown + best[start + 1] if _in_block(codes[start]) else 0.0
            best_end = start + 1
        best[start] = best_score
        step[start] = best_end


@numba.njit(cache=True)
def _fetch(codes: Codes, trie: Trie) -> None:
    """Prefetch what every search in a text reads first: the trie is larger than a cache."""
    for i in range(len(codes) - 1):
        edge = trie.roots[codes[i]] if codes[i] < len(trie.roots) else np.uint64(0)
        if edge & _HAS_CHILDREN:
            slot = (_key(edge >> _NODE_SHIFT, codes[i + 1]) * _GOLDEN) >> _SLOT_SHIFT
            prefetch(trie.edges, np.int64(slot))  # type: ignore[call-arg]


@numba.njit(cache=True)
def segment_all(codes: Codes, offsets: Offsets, trie: Trie) -> tuple[Ints, Ints, Offsets]:
    """Cut many texts, text t being codes[offsets[t]:offsets[t+1]].

    Returns starts and ends (int32 (words,), indices into `codes`) and word_offsets (int64 (texts + 1,)).
    """
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    best = np.empty(longest + 1, np.float64)
    step = np.empty(longest + 1, np.int32)
    starts = np.empty(len(codes), np.int32)
    ends = np.empty(len(codes), np.int32)
    word_offsets = np.zeros(len(offsets), np.int64)
    total = 0
    for text in range(len(offsets) - 1):
        begin = offsets[text]
        if text + 2 < len(offsets):
            _fetch(codes[offsets[text + 1] : offsets[text + 2]], trie)
        words = segment_into(codes[begin : offsets[text + 1]], trie, best, step, starts[total:], ends[total:])
        starts[total : total + words] += np.int32(begin)
        ends[total : total + words] += np.int32(begin)
        total += words
        word_offsets[text + 1] = total
    return starts[:total], ends[:total], word_offsets


@numba.njit(cache=True)
def _roots(edges: Edges) -> Edges:
    """The edges from the root by code point; all that a block can hold is of the basic plane."""
    roots = np.zeros(0x10000, np.uint64)
    for code in range(len(roots)):
        slot, edge = _find_edge(edges, _ROOT, np.uint32(code))
        if edge:
            key = _key(slot, np.uint32(code)) << _KEY_SHIFT
            roots[code] = key | (edge & ((np.uint64(1) << _KEY_SHIFT) - np.uint64(1)))
    return roots


@numba.njit(cache=True)
def _fill(codes: Codes, starts: Ints, ends: Ints, weights: Ints, edges: Edges) -> bool:
    """Put every word, codes[starts[w]:ends[w]], and the number of its weight into the empty trie; false if full."""
    free = len(edges) * 3 // 4
    for word in range(len(weights)):
        node = _ROOT
        for i in range(starts[word], ends[word]):
            if not _in_block(codes[i]):
                break  # never met within a block; what it leaves are edges that lead to no word
            slot, edge = _find_edge(edges, node, codes[i])
            if edge == 0:
                free -= 1
                if free < 0:
                    return False
                edge = _key(node, codes[i]) << _KEY_SHIFT
            if i < ends[word] - 1:
                edge |= _HAS_CHILDREN
            else:  # the last one of a repeated word counts; 0 removes the word
                edge = (edge & ~(_WEIGHT_MASK << _WEIGHT_SHIFT)) | (np.uint64(weights[word]) << _WEIGHT_SHIFT)
            edges[slot] = edge
            node = slot
    return True


class Segmenter:
    """The dictionary, ready to cut texts.

    trie: what the compiled functions of this module take. dictionary_sha256: of the dictionary file's bytes.
    """

    name = "jieba-dag"

    def __init__(self, dictionary: Path | None = None) -> None:
        """Read a dictionary file of lines "word frequency tag": jieba's own when none is named."""
        words = read_dictionary(dictionary)
        self.dictionary_sha256 = words.sha256
        edges = np.zeros(1 << _SLOT_BITS, np.uint64)
        distinct, numbers = np.unique(np.append(words.frequencies, 0), return_inverse=True)  # number 0: no word
        weights = numbers[:-1].astype(np.int32)
        if not weights.any() or not _fill(words.codes, words.starts, words.ends, weights, edges):
            raise BadInput(f"{words.path}: no dictionary, or one too large: {len(words.frequencies):,} words")
        # math.log, as jieba: numpy's differs in the last bit, which decides between equal routes.
        log_total = math.log(words.frequencies.sum())
        logs = np.fromiter(map(math.log, np.maximum(distinct, 1).tolist()), np.float64, len(distinct))
        self.trie = Trie(_roots(edges), edges, logs - log_total, math.log(1) - log_total)

    def segment(self, text: str) -> list[str]:
        """The words of one text, which should be normalised."""
        codes, offsets = code_points([text])
        starts, ends, _ = segment_all(codes, offsets, self.trie)
        return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


@functools.cache
def default_segmenter() -> Segmenter:
    """The segmenter over jieba's dictionary, built once a process."""
    return Segmenter()
