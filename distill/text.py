"""Normalise a text, and say why one cannot be scored.

`normalise` is the definition; `normalise_batch` is the same function over many texts, compiled for the
characters nearly all texts are made of.
"""

import hashlib
import html
import re
import unicodedata
from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]  # code points
Offsets = npt.NDArray[np.int64]  # where each text, or each text's tokens, begin: one more than there are texts

RAW_LIMIT = 4096
"""Characters of a text that are looked at, before and after normalising: what follows is ignored, so that
a text of a million characters costs no more than one of RAW_LIMIT."""

NULL_TEXT, BLANK_TEXT, NO_WORD_CHARACTER = "null_text", "blank_text", "no_word_character"

_ANSI_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
# Characters that show nothing although Unicode does not class them as format (Cf): joiners, fillers, the
# blank Braille cell, variation selectors.
_SHOWS_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_WORD_CHARACTER = re.compile(r"[^\W_]")


def normalise(text: str) -> str:
    """The form of `text` that is segmented, scored and compared.

    HTML entities are resolved; terminal escapes, control and invisible characters are dropped (tabs and line
    ends are spaces); lone surrogates become U+FFFD; then NFKC, lower case, and white space is one space
    between words. Applying it twice changes nothing more.
    """
    # One step may uncover work for an earlier one (a zero-width space inside an entity, an upper-case letter
    # in what NFKC takes apart), hence the fixed point. Every further round has shortened the text or moved it
    # towards NFKC and lower case, so the loop ends.
    while (changed := _normalise_once(text)) != text:
        text = changed
    return text


def _normalise_once(text: str) -> str:
    text = text[:RAW_LIMIT]
    while "&" in text and (unescaped := html.unescape(text)) != text:
        text = unescaped
    if "\x1b" in text:
        text = _ANSI_ESCAPE.sub("", text)
    if not text.isprintable():
        text = "".join(map(_printable, text))
    text = unicodedata.normalize("NFKC", _SHOWS_NOTHING.sub("", text)).lower()
    return " ".join(text.split())


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " " if character.isspace() else ""
    if category == "Cf":
        return ""
    return "\ufffd" if category == "Cs" else character


def unscorable_reason(normalised: str | None) -> str | None:
    """Why a text cannot be scored, given its normalised form (None for a null), or None when it can."""
    if normalised is None:
        return NULL_TEXT
    if not normalised:
        return BLANK_TEXT
    return None if _WORD_CHARACTER.search(normalised) else NO_WORD_CHARACTER


def text_hash(normalised: str) -> str:
    """What makes two texts the same: SHA-256 of the normalised form, in hexadecimal digits."""
    return hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).hexdigest()


def normalise_batch(texts: Sequence[str]) -> list[str]:
    """`[normalise(text) for text in texts]`, some ten times faster.

    A text of usual characters only (Chinese, ASCII, their punctuation), whose spaces are in order, is mapped
    character by character in compiled code; any other goes through `normalise`.
    """
    texts = [text[:RAW_LIMIT] for text in texts]
    codes, offsets = code_points(texts)
    mapped, usual = _map_usual(codes, offsets, _USUAL)
    joined = mapped.tobytes().decode("utf-32-le", "surrogatepass")
    bounds = offsets.tolist()
    return [
        joined[bounds[i] : bounds[i + 1]] if is_usual else normalise(texts[i])
        for i, is_usual in enumerate(usual.tolist())
    ]


def code_points(texts: Sequence[str]) -> tuple[Codes, Offsets]:
    """The texts end to end as code points, and where each begins: text i is codes[offsets[i]:offsets[i+1]].

    Returns `codes` uint32 (characters,) and `offsets` int64 (texts + 1,).
    """
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, offsets


def _usual_characters() -> Codes:
    """What each usual character of the basic plane normalises to; 0 for any other (uint32, (65536,)).

    Only characters whose image is one character and depends on no neighbour belong here: not "&", which may
    open an entity.
    """
    table = np.zeros(0x10000, np.uint32)
    table[0x4E00:0xA000] = np.arange(0x4E00, 0xA000)
    for code in [*range(0x20, 0x7F), *range(0xFF01, 0xFF5F), *map(ord, "、。〈〉《》「」『』【】·—‘’“”→")]:
        table[code] = ord(unicodedata.normalize("NFKC", chr(code)).lower())
    table[0x3000] = ord(" ")
    table[[ord("&"), ord("＆")]] = 0
    return table


_USUAL = _usual_characters()


@numba.njit(cache=True)
def _map_usual(codes: Codes, offsets: Offsets, table: Codes) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Map every text through `table`; a text is usual when each character is, and its spaces are single."""
    mapped = codes.copy()
    usual = np.ones(len(offsets) - 1, np.bool_)
    for text in range(len(usual)):
        before_is_space = True  # as a leading space must not stay
        for i in range(offsets[text], offsets[text + 1]):
            image = table[codes[i]] if codes[i] < len(table) else 0
            is_space = image == 0x20
            if image == 0 or (is_space and before_is_space):
                usual[text] = False
                break
            mapped[i] = image
            before_is_space = is_space
        if before_is_space and offsets[text + 1] > offsets[text]:
            usual[text] = False
    return mapped, usual
