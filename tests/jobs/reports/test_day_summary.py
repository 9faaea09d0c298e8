"""A terminal gets no numbers of people, no escapes and no overlong line of an opinion."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.reports.console import fit_width, masked_line

texts = st.text(st.characters())
numbers = st.text(st.sampled_from("0123456789０１２３٣९ -－–—().·_\t\n\u200b\u00a0xX号"), max_size=40)


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@given(texts | numbers)
@example("1\u200b\u200b\u200b3\u200b\u200b\u200b8\u200b\u200b\u200b0\u200b\u200b\u200b0")  # one number when shown
@example("１３８００１３８０００")
def test_no_run_of_five_digits_is_left(text):
    for shown in (masked_line(text), fit_width(masked_line(text), 72)):
        assert not re.search(r"\d{5}", shown)
        assert not re.search(r"\d([ -]?\d){4}", shown)


@pytest.mark.parametrize(
    "number",
    [
        "13800138000",
        "１３８００１３８０００",
        "138 0013 8000",
        "138-0013-8000",
        "138—0013—8000",
        "138_0013_8000",
        "(0817) 221-8000",
        "138\u00a00013\n8000",
        "11010119900307123X",
        "12345",
    ],
)
def test_numbers_are_masked_whole(number):
    shown = masked_line(f"电话{number}，请回复")
    assert shown.startswith("电话") and shown.endswith("，请回复")
    assert not re.search(r"[\dX]", shown)


@pytest.mark.parametrize("text", ["3人等了45分钟", "2026年11月9日", "4.5分", "12 34号"])
def test_short_numbers_stay(text):
    assert masked_line(text) == text


@given(texts | numbers, st.integers(2, 80))
def test_fit_fills_the_width_exactly(text, columns):
    shown = fit_width(text, columns)
    assert width(shown) == columns
    assert shown.isprintable()


@given(texts, st.integers(2, 80))
def test_fit_cuts_only_what_is_too_long(text, columns):
    once = fit_width(text, 1000).rstrip()
    if len(text) < 400 and width(once) <= columns:
        assert fit_width(text, columns).rstrip() == once


def test_fit():
    assert fit_width("坏了", 4) == "坏了"
    assert fit_width("坏了", 6) == "坏了  "
    assert fit_width("坏了吗", 5) == "坏了…"
    assert fit_width("坏了吗", 4) == "坏… "
    assert fit_width("a\n b\r\n\tc", 8) == "a b c   "
    assert fit_width("\x1b[31mred\u202e\x00", 8) == "[31mred "
