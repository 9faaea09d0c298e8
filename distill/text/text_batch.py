"""Normalise many texts at once: from an Arrow column to code points, without a Python object a text.

A text of usual characters only (Chinese, ASCII, their punctuation), whose spaces are in order, is decoded and mapped
character by character in compiled code. Any other goes through `normalise`, which defines the result.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from distill.text.normalisation import (
    BLANK_TEXT,
    NO_WORD_CHARACTER,
    NULL_TEXT,
    RAW_LIMIT,
    Codes,
    Offsets,
    code_points,
    normalise,
    unscorable_reason,
)

Bytes = npt.NDArray[np.uint8]

REASONS = (None, NULL_TEXT, BLANK_TEXT, NO_WORD_CHARACTER)
SCORABLE, IS_NULL, IS_BLANK, NO_WORD = range(len(REASONS))
_UNUSUAL = len(REASONS)  # decided by `normalise`


class Normalised(NamedTuple):
    """Normalised texts: text i is codes[offsets[i]:offsets[i+1]], a null is empty.

    codes: uint32 (characters,). offsets: int64 (texts + 1,). reasons: uint8 (texts,), why a text cannot be scored, by
    its place in `REASONS`. cut: bool (texts,), the raw text was longer than RAW_LIMIT.
    """

    codes: Codes
    offsets: Offsets
    reasons: Bytes
    cut: npt.NDArray[np.bool_]


def normalise_batch(texts: Sequence[str]) -> list[str]:
    """`[normalise(text) for text in texts]`, some ten times faster."""
    normalised = normalise_column(column_of(texts))
    joined = normalised.codes.tobytes().decode("utf-32-le")
    bounds = normalised.offsets.tolist()
    return [joined[bounds[i] : bounds[i + 1]] for i in range(len(texts))]


def column_of(texts: Sequence[str | None]) -> pa.BinaryArray:
    """Texts as a column; lone surrogates, which strict UTF-8 lacks, are kept."""
    return pa.array([None if text is None else text.encode("utf-8", "surrogatepass") for text in texts], pa.binary())


def normalise_column(column: pa.Array) -> Normalised:
    """Normalise a column of strings or of UTF-8 bytes; invalid bytes become U+FFFD."""
    data, offsets = _buffers(column)
    is_valid = np.asarray(column.is_valid())
    codes, ends, reasons = _read_usual(data, offsets, is_valid, _USUAL)
    cut = np.zeros(len(column), np.bool_)
    unusual = np.flatnonzero(reasons == _UNUSUAL)
    if len(unusual):
        texts = []
        for i in unusual.tolist():
            raw = _decode(data, int(offsets[i]), int(offsets[i + 1]))
            cut[i] = len(raw) > RAW_LIMIT
            texts.append(normalise(raw))
            reasons[i] = REASONS.index(unscorable_reason(texts[-1]))
        codes, ends = _splice(codes, ends, unusual, *code_points(texts))
    return Normalised(codes, ends, reasons, cut)


def _buffers(column: pa.Array) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """The bytes of a column of strings and where each begins, one more than there are texts."""
    if column.type not in (pa.string(), pa.binary()):
        column = column.cast(pa.binary())
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32) if offsets else np.zeros(1, np.int32)
    bounds = bounds[column.offset : column.offset + len(column) + 1] if len(column) else np.zeros(1, np.int32)
    return np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8), bounds


def _decode(data: Bytes, begin: int, end: int) -> str:
    """A text; a long one is cut a little above RAW_LIMIT."""
    if end - begin > 4 * (RAW_LIMIT + 1):
        end = begin + 4 * (RAW_LIMIT + 1)
        while _continues(data[end]):
            end -= 1
    raw = data[begin:end].tobytes()
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


_ELLIPSIS = ord("…")  # the one usual character that becomes several: three full stops, as many as it has bytes


def _usual_characters() -> Codes:
    """The normal form of each usual character of the basic plane; 0 for any other (uint32, (65536,)).

    Only characters whose image depends on no neighbour belong here: not "&", which may open an entity.
    """
    table = np.zeros(0x10000, np.uint32)
    table[0x4E00:0xA000] = np.arange(0x4E00, 0xA000)
    for code in [*range(0x20, 0x7F), *range(0xFF01, 0xFF5F), *map(ord, "、。〈〉《》「」『』【】·—‘’“”→")]:
        table[code] = ord(unicodedata.normalize("NFKC", chr(code)).lower())
    table[_ELLIPSIS] = ord(".")
    table[0x3000] = ord(" ")
    table[[ord("&"), ord("＆")]] = 0
    return table


_USUAL = _usual_characters()


@numba.njit(cache=True)
def _continues(byte: int) -> bool:
    """Whether a byte is within a character of UTF-8, not its first."""
    return byte & 0xC0 == 0x80


@numba.njit(cache=True)
def _read_usual(
    data: Bytes, offsets: npt.NDArray[np.int32], is_valid: npt.NDArray[np.bool_], table: Codes
) -> tuple[Codes, Offsets, Bytes]:
    """Decode and map every text through `table`; an unusual text is left empty, with the reason _UNUSUAL."""
    count = len(offsets) - 1
    codes = np.empty(offsets[count] - offsets[0], np.uint32)  # no text has more characters than bytes
    ends = np.zeros(count + 1, np.int64)
    reasons = np.zeros(count, np.uint8)
    for text in range(count):
        at, end = offsets[text], offsets[text + 1]
        begin = written = ends[text]
        usual, has_word, after_space = True, False, True  # as a leading space must not stay
        while at < end and usual and written - begin <= RAW_LIMIT:
            byte = data[at]
            if byte < 0x80:
                code, size = int(byte), 1
            elif 0xE0 <= byte < 0xF0 and at + 2 < end and _continues(data[at + 1]) and _continues(data[at + 2]):
                code, size = (byte & 0x0F) << 12 | (data[at + 1] & 0x3F) << 6 | (data[at + 2] & 0x3F), 3
                code = code if code >= 0x800 else 0  # an overlong form
            elif 0xC2 <= byte < 0xE0 and at + 1 < end and _continues(data[at + 1]):
                code, size = (byte & 0x1F) << 6 | (data[at + 1] & 0x3F), 2
            else:
                code, size = 0, 1
            image = table[code]
            is_space = image == 0x20
            usual = image != 0 and not (is_space and after_space)
            for _ in range(3 if code == _ELLIPSIS else 1):
                codes[written] = image
                written += 1
            has_word = has_word or image >= 0x4E00 or 0x61 <= image <= 0x7A or 0x30 <= image <= 0x39
            after_space = is_space
            at += size
        if is_valid[text] and (
            not usual or at < end or (after_space and written > begin) or written - begin > RAW_LIMIT
        ):
            reasons[text], written = _UNUSUAL, begin
        elif not is_valid[text]:
            reasons[text], written = IS_NULL, begin
        elif not has_word:
            reasons[text] = NO_WORD if written > begin else IS_BLANK
        ends[text + 1] = written
    return codes[: ends[count]], ends, reasons


@numba.njit(cache=True)
def _splice(
    codes: Codes, offsets: Offsets, places: npt.NDArray[np.int64], more: Codes, more_offsets: Offsets
) -> tuple[Codes, Offsets]:
    """Put texts where `places`, ascending, has empty ones."""
    spliced = np.empty(len(codes) + len(more), np.uint32)
    bounds = np.zeros_like(offsets)
    before = 0  # texts put in so far
    for text in range(len(offsets) - 1):
        begin = bounds[text]
        if before < len(places) and places[before] == text:
            put = more[more_offsets[before] : more_offsets[before + 1]]
            before += 1
        else:
            put = codes[offsets[text] : offsets[text + 1]]
        spliced[begin : begin + len(put)] = put
        bounds[text + 1] = begin + len(put)
    return spliced, bounds
