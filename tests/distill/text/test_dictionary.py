"""A dictionary file is read whole, and what is not one is refused by its line."""

import hashlib
from pathlib import Path

import pytest

from distill.errors import BadInput
from distill.text.dictionary import read_dictionary
from distill.text.segmenter import Segmenter


def test_words_are_in_lower_case_with_their_frequencies(tmp_path: Path) -> None:
    path = tmp_path / "dictionary.txt"
    path.write_text("甲乙 12 n\n\nT恤 0 n\nb超 999999999999999 x", encoding="utf-8")
    words = read_dictionary(path)
    texts = [words.codes[a:b].tobytes().decode("utf-32-le") for a, b in zip(words.starts, words.ends, strict=True)]
    assert dict(zip(texts, words.frequencies.tolist(), strict=True)) == {"甲乙": 12, "t恤": 0, "b超": 999999999999999}
    assert words.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_dictionary_is_named_by_its_hash(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("甲 1 n\n", encoding="utf-8")
    other.write_text("甲 2 n\n", encoding="utf-8")
    assert Segmenter(one).dictionary_sha256 != Segmenter(other).dictionary_sha256
    assert Segmenter(one).dictionary_sha256 == Segmenter(one).dictionary_sha256


@pytest.mark.parametrize(("content", "line"), [("甲\n", 1), ("甲 n 1\n", 1), ("甲 1 n\n乙 2\n丙 3 n\n", 2)])
def test_what_is_no_dictionary_is_refused(content: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "dictionary.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=rf"dictionary\.txt: line {line} is not a word, its frequency and a tag"):
        read_dictionary(path)
    path.write_bytes("甲 1 n".encode("gbk"))
    with pytest.raises(BadInput, match=r"dictionary\.txt: a dictionary is in UTF-8"):
        read_dictionary(path)
