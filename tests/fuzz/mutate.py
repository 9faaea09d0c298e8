"""Change bytes and JSON a little, again and again: every input follows from a seed."""

import random
from typing import Any

TOKENS = [
    *(b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00", b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"1e999"),
    *(b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xbd", b"\xef\xbb\xbf", b"\r", b"\n"),
    *(b"&", b"&amp;", b"&#x", b"&#38;amp;", b"\x1b[31m", b"\x1b]0;", b"\x07", b" ", b"\t", b"-1", b"0", b"9" * 40),
    *(c.encode() for c in "投诉物业退款，！…　Ａﬁ℡ϔİΣﷺ😀𠮷\u200b\u202e\ufe0f\u3164\u0301\u2028\ufeff"),
    *(b'"opinion_id"', b'"text"', b'"source"', b'"published_at"', b"2026-11-09T12:00:00+08:00", b"9999-12-31"),
]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**40,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../x",
]
VALUES += ["\ud800", "投诉" * 50, [], [[]], {}, {"": None}, [0, 0], "textcnn", "word", "bigram"]


def mutate(draw: random.Random, base: bytes, others: list[bytes]) -> bytes:
    """One to eight changes of `base`; `others` is what parts are taken from. Rarely bytes out of nowhere."""
    if draw.random() < 0.02:
        return draw.randbytes(draw.randrange(64))
    data = bytearray(base)
    for _ in range(draw.choice((1, 1, 2, 3, 5, 8))):
        at = draw.randrange(len(data) + 1)
        end = min(len(data), at + draw.choice((1, 2, 4, 16, 64)))
        kind = draw.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = draw.randrange(256)
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end] * draw.choice((1, 2, 50))
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            other = draw.choice(others)
            start = draw.randrange(len(other) + 1)
            data[at:end] = other[start : start + draw.choice((4, 32, 10_000))]
        else:
            data[at : at if kind == 6 else end] = draw.choice(TOKENS)
    return bytes(data[:20_000])


def mutate_json(draw: random.Random, value: Any) -> Any:
    """The value with one part of it left out, replaced, or put into a list."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        name = draw.choice(list(value))
        rest = {key: inner for key, inner in value.items() if key != name}
        chance = draw.random()
        if chance < 0.1:
            return rest
        if chance < 0.15:
            return rest | {draw.choice(TOKENS).decode("utf-8", "replace"): value[name]}
        return value | {name: mutate_json(draw, value[name])}
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        new = [] if draw.random() < 0.2 else [mutate_json(draw, value[at])]
        return value[:at] + new + value[at + 1 :]
    return draw.choice([draw.choice(VALUES), [value], {"x": value}])
