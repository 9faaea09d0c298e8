"""Normalise a text, and give the reason why it cannot be scored (`distill.text.text_batch` does both in batches)."""

import hashlib
import html
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from distill.text.radicals import unified

Codes = npt.NDArray[np.uint32]  # code points
Ints = npt.NDArray[np.int32]  # places in code points, or ids of tokens
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
    """The form of a text that is segmented, scored and compared.

    HTML entities are resolved; terminal escapes, control and invisible characters are dropped (tabs and line ends are
    spaces); lone surrogates become U+FFFD; then NFKC, characters in place of radicals that look like them, lower case,
    and white space is one space between words. A second application changes nothing.
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
    text = unified(unicodedata.normalize("NFKC", _SHOWS_NOTHING.sub("", text))).lower()
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
    """The key of a text: SHA-256 of the normalised form, in hexadecimal digits."""
    return hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).hexdigest()


def code_points(texts: Sequence[str]) -> tuple[Codes, Offsets]:
    """The texts end to end as code points, and where each begins: text i is codes[offsets[i]:offsets[i+1]].

    Returns `codes` uint32 (characters,) and `offsets` int64 (texts + 1,).
    """
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes, offsets
