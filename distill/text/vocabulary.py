"""The vocabularies of a student, one a channel, and the encoding of normalised texts into their ids.

A channel reads a text as one kind of token: its words, its characters, or its n-grams of two to four
characters. In every channel id 0 is padding, 1 an unknown token, 2 the edge that stands before the first and
after the last token, so that a filter can tell how a text begins and ends; token i of the vocabulary has id
i + 3.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.errors import BadInput, BadModel
from distill.text.normalisation import Codes, Ints, Offsets, code_points
from distill.text.segmenter import Segmenter, default_segmenter, segment_all
from distill.text.text_batch import normalise_batch
from distill.text.token_table import look_up, token_hashes, token_table

PADDING, UNKNOWN, EDGE = 0, 1, 2
SPECIAL = 3
EDGES = 2  # of a text
NGRAMS = {"char": 1, "bigram": 2, "trigram": 3, "fourgram": 4}  # characters of a token
CHANNELS = ("word", *NGRAMS)
DEFAULT_MAX_CHARS = 256
_FORMAT = 1

_PROBE_TEXTS = (
    "物业乱收费,多次投诉无果!!!客服电话010-12345678打不通,退款3个月了还没到账。",
    "今天天气真好☀️❤️😂 转发微博//@用户:哈哈哈哈[笑cry] http://t.cn/Rabc123",
    "【某某商城】全场５折起，回复ＴＤ退订；AT&amp;T的T恤、C++、B超、4S店&nbsp;&#x4e0d;卖",
    "這個網站的客服態度很差，買的東西壞了也不給退！①㈠℡ﬁ…",
    "南京市长江大桥研究生命的起源,结婚的和尚未结婚的,乒乓球拍卖完了",
    "居⺠投诉⻓期无⼈管,⻋⻔坏了",
)


class Limit(NamedTuple):
    """The tokens of a channel: seen at least `min_count` times, and at most the `max_size` most frequent."""

    min_count: int
    max_size: int


class Ids(NamedTuple):
    """The tokens of a batch in one channel: those of text i are ids[offsets[i]:offsets[i+1]].

    ids: int32 (tokens,). offsets: int64 (texts + 1,).
    """

    ids: Ints
    offsets: Offsets


class Encoded(NamedTuple):
    """A batch of texts: its ids in each channel, and which texts were cut to max_chars (bool (texts,))."""

    channels: dict[str, Ids]
    cut: npt.NDArray[np.bool_]


class Vocabulary:
    """The tokens of each channel, and how texts become their ids; immutable.

    sizes: the number of ids of each channel, padding, unknown and edge included. max_chars: the characters of a
    normalised text that are read.
    """

    def __init__(
        self,
        channels: Mapping[str, Sequence[str]],
        max_chars: int = DEFAULT_MAX_CHARS,
        segmenter: Segmenter | None = None,
    ) -> None:
        """Use the tokens as given; `Vocabulary.build` counts them from texts."""
        if not channels or not set(channels) <= set(CHANNELS) or max_chars < 1:
            raise BadInput(f"channels {list(channels)}, max_chars {max_chars}: want some of {CHANNELS}, and 1 or more")
        # In one piece: as objects the tokens of a worker take five times the memory, and only training reads them.
        self._joined = {name: "".join(tokens) for name, tokens in channels.items()}
        lengths = {name: [len(token) for token in tokens] for name, tokens in channels.items()}
        self._ends = {name: np.cumsum(each, dtype=np.int32) for name, each in lengths.items()}
        self.sizes = {name: len(tokens) + SPECIAL for name, tokens in channels.items()}
        self.max_chars = max_chars
        self.segmenter = segmenter or default_segmenter()
        self._tables = {name: token_table(tokens, SPECIAL, UNKNOWN) for name, tokens in channels.items()}

    @property
    def channels(self) -> dict[str, tuple[str, ...]]:
        """The tokens of each channel, in the order of their ids."""
        bounds = {name: itertools.pairwise([0, *ends.tolist()]) for name, ends in self._ends.items()}
        return {name: tuple(joined[i:j] for i, j in bounds[name]) for name, joined in self._joined.items()}

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        limits: Mapping[str, Limit],
        max_chars: int = DEFAULT_MAX_CHARS,
        segmenter: Segmenter | None = None,
    ) -> "Vocabulary":
        """Count the tokens of normalised texts; the most frequent come first, ties in code point order."""
        empty = cls({name: () for name in limits}, max_chars, segmenter)
        codes, offsets = code_points([text[:max_chars] for text in texts])
        channels = {name: empty._frequent(name, limit, codes, offsets) for name, limit in limits.items()}
        return cls(channels, max_chars, empty.segmenter)

    def _frequent(self, channel: str, limit: Limit, codes: Codes, offsets: Offsets) -> list[str]:
        """The tokens of a channel within the limit, by their frequency in the texts."""
        starts, ends, _ = self._spans(channel, codes, offsets)
        # Hashes are counted, since most n-grams are rare: as Python strings they would fill the memory.
        _, first, counts = np.unique(token_hashes(codes, starts, ends), return_index=True, return_counts=True)
        fewest = max(limit.min_count, np.sort(counts)[-limit.max_size] if len(counts) > limit.max_size else 0)
        frequent = [
            (-n, codes[starts[at] : ends[at]].tobytes().decode("utf-32-le", "surrogatepass"))
            for at, n in zip(first[counts >= fewest].tolist(), counts[counts >= fewest].tolist(), strict=True)
        ]
        return [token for _, token in sorted(frequent)[: limit.max_size]]

    def size(self, channel: str) -> int:
        """The number of ids of a channel."""
        return self.sizes[channel]

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """The ids of normalised texts; a text's ids do not depend on the rest of the batch."""
        return self.encode_codes(*code_points(texts))

    def encode_codes(self, codes: Codes, offsets: Offsets) -> Encoded:
        """As `encode_batch`, of texts as `distill.text.normalisation.code_points` gives them."""
        cut = np.diff(offsets) > self.max_chars
        if cut.any():
            codes, offsets = _shorten(codes, offsets, self.max_chars)
        channels = {}
        for name, table in self._tables.items():
            starts, ends, token_offsets = self._spans(name, codes, offsets)
            channels[name] = Ids(*look_up(codes, starts, ends, token_offsets, table, EDGE))
        return Encoded(channels, cut)

    def _spans(self, channel: str, codes: Codes, offsets: Offsets) -> tuple[Ints, Ints, Offsets]:
        """Where the tokens of a channel start and end in `codes`, and the offsets of each text's tokens."""
        if channel == "word":
            return segment_all(codes, offsets, self.segmenter.trie)
        return ngrams(offsets, NGRAMS[channel])

    def spans(self, channel: str, text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The characters [start, end) of a normalised text that each of its ids stands for, int64 (ids,) each.

        The edges are empty, before the first token and behind the last.
        """
        starts, ends, _ = self._spans(channel, *code_points([text[: self.max_chars]]))
        if not len(starts):
            return np.array([0, len(text)]), np.array([0, len(text)])
        first, last = starts[:1], ends[-1:]
        return np.concatenate([first, starts, last]).astype(np.int64), np.concatenate([first, ends, last]).astype(
            np.int64
        )

    def fingerprint(self) -> str:
        """SHA-256 of the ids and the normalised forms of fixed texts, from raw text on.

        A Python, Unicode version, dictionary or code that encodes differently has another fingerprint. The texts are a
        few real ones, every character of the basic plane, and the vocabulary's own words run together, which the
        dictionary has to segment again.
        """
        characters = "".join(map(chr, range(0x10000)))
        words = self._joined.get("word", "")
        runs = [run[i : i + 64] for run in (characters, words) for i in range(0, len(run), 64)]
        normalised = normalise_batch([*_PROBE_TEXTS, *runs])
        encoded = self.encode_batch(normalised)
        digest = hashlib.sha256(f"{self.segmenter.name} {self.segmenter.dictionary_sha256}".encode())
        # The texts themselves too: a character without a token may still be part of a word.
        digest.update("\n".join(normalised).encode("utf-8", "surrogatepass"))
        for name, (ids, offsets) in sorted(encoded.channels.items()):
            digest.update(name.encode() + ids.tobytes() + offsets.tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """The content of the file `vocabulary`: UTF-8 JSON, a token a line."""
        content = {"format": _FORMAT, "max_chars": self.max_chars, "channels": self.channels}
        return json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass") + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, segmenter: Segmenter | None = None) -> "Vocabulary":
        """Read what `to_bytes` wrote."""
        try:
            read = json.loads(content.decode("utf-8", "surrogatepass"))
            if read["format"] != _FORMAT:
                raise BadModel(f"the vocabulary has format {read['format']}; this code reads format {_FORMAT}")
            return cls(read["channels"], read["max_chars"], segmenter)
        except (ValueError, KeyError, TypeError, AttributeError, BadInput) as error:
            raise BadModel(f"the vocabulary is not readable, restore the bundle: {error!r}") from error

    def __eq__(self, other: object) -> bool:
        """Equal vocabularies give any text the same ids."""
        return isinstance(other, Vocabulary) and self._identity() == other._identity()

    def __hash__(self) -> int:
        """The hash of what `==` compares."""
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return tuple(self.channels.items()), self.max_chars, self.segmenter.dictionary_sha256


@numba.njit(cache=True)
def ngrams(offsets: Offsets, size: int) -> tuple[Ints, Ints, Offsets]:
    """Where the n-grams of `size` characters start and end, and the offsets of each text's."""
    bounds = np.zeros_like(offsets)
    for text in range(len(offsets) - 1):
        bounds[text + 1] = bounds[text] + max(offsets[text + 1] - offsets[text] - size + 1, 0)
    starts = np.empty(bounds[-1], np.int32)
    for text in range(len(offsets) - 1):
        for i in range(bounds[text + 1] - bounds[text]):
            starts[bounds[text] + i] = offsets[text] + i
    return starts, starts + np.int32(size), bounds


@numba.njit(cache=True)
def _shorten(codes: Codes, offsets: Offsets, limit: int) -> tuple[Codes, Offsets]:
    """The first `limit` characters of every text."""
    bounds = np.zeros_like(offsets)
    for text in range(len(offsets) - 1):
        bounds[text + 1] = bounds[text] + min(offsets[text + 1] - offsets[text], limit)
    shortened = np.empty(bounds[-1], np.uint32)
    for text in range(len(offsets) - 1):
        size = bounds[text + 1] - bounds[text]
        shortened[bounds[text] : bounds[text + 1]] = codes[offsets[text] : offsets[text] + size]
    return shortened, bounds
