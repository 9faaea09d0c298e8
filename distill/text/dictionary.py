"""The dictionary of a segmenter: a file of lines "word frequency tag", such as jieba's own.

Words are folded to lower case, as `distill.text.normalisation.normalise` folds texts ("T恤" could never match
otherwise). All that the segmenter can match and that has a case is ASCII, so the fold is `bytes.lower`.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.errors import BadInput
from distill.text.normalisation import Codes, Ints, code_points

_SPACE, _LINE_END = ord(" "), ord("\n")


class Dictionary(NamedTuple):
    """The words of a file, word w being codes[starts[w]:ends[w]], in the order of its lines.

    codes: the file's text. starts, ends: int32 (words,). frequencies: int64 (words,). sha256: of the file's bytes.
    """

    path: Path
    sha256: str
    codes: Codes
    starts: Ints
    ends: Ints
    frequencies: npt.NDArray[np.int64]


def read_dictionary(path: Path | None = None) -> Dictionary:
    """Read a dictionary file: jieba's own when none is named. Raises BadInput for what is not one."""
    path = path or _jieba_dictionary()
    content = path.read_bytes()
    try:
        codes, _ = code_points([content.lower().decode()])
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: a dictionary is in UTF-8: {error}") from error
    starts, ends, frequencies, wrong = _parse(codes)
    if wrong:
        raise BadInput(f"{path}: line {wrong} is not a word, its frequency and a tag")
    return Dictionary(path, hashlib.sha256(content).hexdigest(), codes, starts, ends, frequencies)


@numba.njit(cache=True)
def _parse(codes: Codes) -> tuple[Ints, Ints, npt.NDArray[np.int64], int]:
    """The words of a dictionary's text, word w being codes[starts[w]:ends[w]], and their frequencies.

    The last is the number of a line that is not "word frequency tag", 0 if all are. Compiled, so that no worker keeps a
    Python object a word.
    """
    lines = 1
    for code in codes:
        lines += code == _LINE_END
    starts, ends = np.empty(lines, np.int32), np.empty(lines, np.int32)
    frequencies = np.zeros(lines, np.int64)
    words, line, at = 0, 0, 0
    while at < len(codes):
        line += 1
        starts[words] = at
        while at < len(codes) and codes[at] != _SPACE and codes[at] != _LINE_END:
            at += 1
        ends[words] = at
        at += 1
        digits = at
        while at < len(codes) and 0x30 <= codes[at] <= 0x39:
            frequencies[words] = frequencies[words] * 10 + np.int64(codes[at] - 0x30)
            at += 1
        blank = ends[words] == starts[words]
        if not blank and (not 0 < at - digits < 16 or at == len(codes) or codes[at] != _SPACE):
            return starts, ends, frequencies, line
        if blank:
            at = ends[words]
        else:
            words += 1
        while at < len(codes) and codes[at] != _LINE_END:
            at += 1
        at += 1
    return starts[:words], ends[:words], frequencies[:words], 0


def _jieba_dictionary() -> Path:
    # Found, not imported: importing jieba costs time, and using it writes a cache to the temporary folder.
    spec = importlib.util.find_spec("jieba")
    if spec is None or spec.origin is None:
        raise BadInput("jieba, whose dictionary cuts the texts, is not installed: run `make setup`")
    return Path(spec.origin).with_name("dict.txt")
