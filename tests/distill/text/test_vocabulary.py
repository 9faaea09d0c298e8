"""Vocabularies: what they count, how texts become ids, and that saved ones encode the same or are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadInput, BadModel
from distill.text import vocabulary
from distill.text.segmenter import Segmenter, default_segmenter
from distill.text.vocabulary import CHANNELS, EDGE, UNKNOWN, Encoded, Limit, Vocabulary

TEXTS = ["物业不给退钱,投诉物业!", "物业 公司 abc12", "退钱", "", "好", "𠮷😀 好好"]
SMALL = Vocabulary.build(TEXTS, {name: Limit(1, 100) for name in CHANNELS})

unhurried = settings(deadline=None)  # the first call compiles
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text("物业不给退钱,投诉!公司abc12 好𠮷😀新", max_size=40),
)


def tokens_of(text: str, channel: str) -> list[str]:
    if channel == "word":
        return default_segmenter().segment(text)
    width = CHANNELS.index(channel)
    return [text[i : i + width] for i in range(len(text) - width + 1)]


def ids_of(encoded: Encoded, channel: str, text: int) -> list[int]:
    ids, offsets = encoded.channels[channel]
    return ids[offsets[text] : offsets[text + 1]].tolist()


@unhurried
@given(st.lists(texts, max_size=6), st.sampled_from(CHANNELS))
def test_ids_are_the_places_of_the_tokens_between_edges(batch: list[str], channel: str) -> None:
    encoded = SMALL.encode_batch(batch)
    tokens = SMALL.channels[channel]
    for i, text in enumerate(batch):
        expected = [tokens.index(t) + 3 if t in tokens else UNKNOWN for t in tokens_of(text, channel)]
        assert ids_of(encoded, channel, i) == [EDGE, *expected, EDGE]


@unhurried
@given(st.lists(texts, min_size=1, max_size=6))
def test_a_batch_is_its_texts_one_by_one(batch: list[str]) -> None:
    together = SMALL.encode_batch(batch)
    for i, text in enumerate(batch):
        alone = SMALL.encode_batch([text])
        assert all(ids_of(together, name, i) == ids_of(alone, name, 0) for name in CHANNELS)
        assert together.cut[i] == alone.cut[0]


@pytest.mark.parametrize("batch", [[], [""], ["", ""]])
def test_nothing_encodes_to_edges(batch: list[str]) -> None:
    encoded = SMALL.encode_batch(batch)
    for ids, offsets in encoded.channels.values():
        assert ids.dtype == np.int32 and offsets.dtype == np.int64
        assert ids.tolist() == [EDGE] * 2 * len(batch)
        assert offsets.tolist() == list(range(0, 2 * len(batch) + 1, 2))


def test_a_text_is_read_up_to_max_chars() -> None:
    short = Vocabulary(SMALL.channels, max_chars=4)
    encoded = short.encode_batch(["物业退钱", "物业退钱物业", ""])
    assert encoded.cut.tolist() == [False, True, False]
    for name in CHANNELS:
        assert ids_of(encoded, name, 0) == ids_of(encoded, name, 1) != [EDGE, EDGE]
    assert "公司" not in Vocabulary.build(["物业退钱公司"], {"word": Limit(1, 9)}, max_chars=4).channels["word"]


def test_the_most_frequent_come_first_and_equals_in_order() -> None:
    built = Vocabulary.build(["丙 乙乙 丁 甲丙", "丁 戊"], {"char": Limit(2, 4)})
    assert built.channels == {"char": (" ", "丁", "丙", "乙")}
    assert built.size("char") == 7
    assert Vocabulary.build(["甲乙甲乙丙"], {"bigram": Limit(2, 9)}).channels["bigram"] == ("甲乙",)


def test_the_order_of_the_texts_and_their_number_do_not_matter() -> None:
    many = [f"第{i % 7}个{chr(0x4E00 + i % 900)}" for i in range(9000)]
    limits = {name: Limit(2, 500) for name in CHANNELS}
    assert Vocabulary.build(iter(many), limits) == Vocabulary.build(reversed(many), limits)


@unhurried
@given(st.lists(st.text(st.characters(), min_size=1, max_size=5), unique=True, max_size=30), st.integers(1, 999))
def test_what_is_saved_is_read_back(tokens: list[str], max_chars: int) -> None:
    saved = Vocabulary({"char": tokens, "word": tokens[::-1]}, max_chars)
    assert Vocabulary.from_bytes(saved.to_bytes()) == saved


def test_the_file_is_for_people_too() -> None:
    lines = SMALL.to_bytes().decode().splitlines()
    assert '   "物业",' in lines and len(lines) > len(TEXTS)


def test_vocabularies_differ_by_tokens_order_channel_and_length() -> None:
    base = Vocabulary({"char": ["甲", "乙"]})
    assert base == Vocabulary({"char": ("甲", "乙")}) and hash(base) == hash(Vocabulary({"char": ["甲", "乙"]}))
    for other in (
        Vocabulary({"char": ["乙", "甲"]}),
        Vocabulary({"word": ["甲", "乙"]}),
        Vocabulary({"char": ["甲"]}),
        Vocabulary({"char": ["甲", "乙"]}, max_chars=9),
    ):
        assert base != other and base.fingerprint() != other.fingerprint()


def test_the_fingerprint_names_another_dictionary(tmp_path: Path) -> None:
    dictionary = tmp_path / "dictionary.txt"
    dictionary.write_text("物业 9 n\n退钱 9 n\n", encoding="utf-8")
    other = Vocabulary(SMALL.channels, segmenter=Segmenter(dictionary))
    assert SMALL.fingerprint() == Vocabulary.from_bytes(SMALL.to_bytes()).fingerprint()
    assert SMALL.fingerprint() != other.fingerprint()
    assert other != SMALL


@pytest.mark.parametrize(
    "change", [str.lower, str.upper, lambda text: text.replace("，", "、"), lambda text: text[:-1]]
)
def test_the_fingerprint_names_another_normaliser(
    change: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SMALL.fingerprint()
    monkeypatch.setattr(vocabulary, "normalise_batch", lambda texts: [change(text) for text in texts])
    assert SMALL.fingerprint() != before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        SMALL.to_bytes()[:-20],
        SMALL.to_bytes().replace(b'"format": 1', b'"format": 2'),
        SMALL.to_bytes().replace(b'"bigram"', b'"sentence"'),
        SMALL.to_bytes().replace(b'"max_chars": 256', b'"max_chars": "many"'),
        json.dumps({"format": 1, "max_chars": 9, "channels": {"char": ["甲", "甲"]}}).encode(),
        json.dumps({"format": 1, "max_chars": 9, "channels": {"char": ["甲", 3]}}).encode(),
    ],
)
def test_what_is_no_vocabulary_is_refused(content: bytes) -> None:
    with pytest.raises(BadModel, match="vocabulary"):
        Vocabulary.from_bytes(content)


@pytest.mark.parametrize("channels", [{}, {"sentence": ["甲乙丙"]}, {"char": ["甲", "乙", "甲"]}])
def test_what_makes_no_vocabulary_is_refused(channels: dict[str, list[str]]) -> None:
    with pytest.raises(BadInput):
        Vocabulary(channels)
    with pytest.raises(BadInput):
        Vocabulary({"char": ["甲"]}, max_chars=0)
