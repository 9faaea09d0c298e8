"""Normalising: what it does to each kind of dirt, that it is a projection, and that the batch is the same."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.text.normalisation import RAW_LIMIT, code_points, normalise, unscorable_reason

# Pieces that interact: entities and halves of them, escapes, invisible, composing and surrogate characters.
PIECES = [
    *(
        "&",
        "&amp;",
        "&amp;amp;lt;",
        "&a",
        "mp;",
        "amp;",
        "&#x4e0d;",
        "&#38;",
        "&#xd800;",
        "&nbsp;",
        "＆ａｍｐ；",
    ),
    *(
        "\x1b",
        "\x1b[31m",
        "\x1b[",
        "[31m",
        "\x1b]0;t\x07",
        "\x00",
        "\x1c",
        "\t",
        "\n",
        "\u2028",
        " ",
        "  ",
        "　",
    ),
    *("\u200b", "\ufeff", "\u202e", "\ud83d", "\udc00", "\ufe0f", "\u3164", "e", "\u0301", "¨"),
    *("⺠", "⻓", "⼈", "⺇", "㇐", "⺀", "⺚", "&#x2EA0;"),
    *("ﷺ", "℡", "ϔ", "İ", "Σ", "ﬁ", "，", "Ａ", "！", "投诉", "物业", "ABC", "12", "😀", "龥", "…"),
]
unhurried = settings(deadline=None)  # the first call compiles
texts = st.one_of(
    st.text(st.characters(), max_size=30),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.text("物业不给开发票，。！ＡＢcD 12　 ", max_size=30),
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("投诉！！ＡＢＣ　公司", "投诉!!abc 公司"),
        ("&#x4e0d;退钱&nbsp;&amp;&lt;b&gt;", "不退钱 &<b>"),
        ("&amp;amp;lt;", "<"),
        ("&a\u200bmp;lt;", "<"),
        ("\x1b[31m红\x1b[0m色\x1b]0;标题\x07", "红色"),
        ("物\x00业\x07", "物业"),
        ("一\t二\r\n三\u2028四", "一 二 三 四"),
        ("\u202e不\u200b给\ufeff钱\u00ad", "不给钱"),
        ("坏\ud83d的", "坏\ufffd的"),
        ("❤\ufe0f\u3164", "❤"),
        ("  多  余   空 格 ", "多 余 空 格"),
        ("①℡ﬁϔ", "1telfiϋ"),
        ("居⺠投诉，⻓期无⼈管，⻋&#x2ED4;⺷㇐", "居民投诉,长期无人管,车门𦍌一"),
        ("", ""),
    ],
)
def test_each_kind_of_dirt(raw: str, expected: str) -> None:
    assert normalise(raw) == expected


@unhurried
@given(texts)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert "\x1b" not in once and "\x00" not in once
    assert once == " ".join(once.split())
    once.encode()  # no lone surrogate is left


def test_every_character_is_settled_after_one_normalisation() -> None:
    for start in range(0, sys.maxunicode + 1, RAW_LIMIT // 32):  # NFKC makes up to 18 characters of one
        once = normalise("".join(map(chr, range(start, start + RAW_LIMIT // 32))))
        assert normalise(once) == once


@pytest.mark.parametrize("fill", ["钱", "&amp;", "&amp;amp;", "ﷺ", " x", "\x00", "&" + "amp;" * 2000])
def test_a_very_long_text_is_cut_and_stays_settled(fill: str) -> None:
    text = fill * (1_000_000 // len(fill))
    once = normalise(text)
    assert len(once) <= RAW_LIMIT
    assert once == normalise(text[:RAW_LIMIT]) == normalise(once)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "blank_text"),
        (" \t\u3000&nbsp;\u200b\ufeff\x00\u3164", "blank_text"),
        ("！！。。", "no_word_character"),
        ("😀👍_", "no_word_character"),
        ("\ud83d", "no_word_character"),
        ("好", None),
        ("？1", None),
        ("Ａ", None),
        ("한", None),
        ("𠮷", None),
    ],
)
def test_reasons(raw: str, reason: str | None) -> None:
    assert unscorable_reason(normalise(raw)) == reason


def test_a_null_has_its_own_reason() -> None:
    assert unscorable_reason(None) == "null_text"


def test_code_points_of_no_text_and_of_every_plane() -> None:
    codes, offsets = code_points([])
    assert codes.tolist() == [] and offsets.tolist() == [0]
    codes, offsets = code_points(["a𠮷", "", "\ud800"])
    assert codes.tolist() == [0x61, 0x20BB7, 0xD800] and offsets.tolist() == [0, 2, 2, 3]
