"""One line in, one record or one reason out: whatever the bytes."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.ingest.records import BROKEN_ROW, Opinion, Rejected, content_of, parse_fields, parse_line, whole

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 9, 4, tzinfo=UTC)  # 12:00 in Beijing

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
hostile_records = st.fixed_dictionaries(
    {},
    optional={name: json_values for name in ("opinion_id", "text", "source", "published_at", "more")},
)


def line(**fields: object) -> bytes:
    return json.dumps({"opinion_id": "a", "text": "坏了"} | fields, ensure_ascii=False).encode()


def check_can_be_stored(record: Opinion | Rejected) -> None:
    assert isinstance(record, Opinion | Rejected)
    for value in record:
        if isinstance(value, str):
            value.encode("utf-8")  # a lone surrogate would raise here, and in Arrow
    if isinstance(record, Opinion):
        assert record.opinion_id == record.opinion_id.strip() != ""
        assert record.published_at is None or 1970 <= record.published_at.year <= 2100
    else:
        assert record.reason.isidentifier()


@given(st.binary())
@example(b"\xef\xbb\xbf")
@example(b'{"opinion_id": "\\ud800"}')
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"opinion_id": 1' + b"0" * 5000 + b"}")
@example(b'{"opinion_id": "a", "published_at": "2026-11-0\\ud800"}')
@example(b'{"opinion_id": "a", "published_at": "0001-01-01T00:00:00+14:00"}')
def test_no_bytes_raise(raw):
    check_can_be_stored(parse_line(raw, ZONE))


@given(hostile_records, st.sampled_from(["utf-8", "utf-16", "gbk", "latin-1"]), st.booleans())
def test_no_json_raises(fields, encoding, ascii_only):
    raw = json.dumps(fields, ensure_ascii=ascii_only).encode(encoding, "replace")
    check_can_be_stored(parse_line(raw, ZONE))


@given(st.dictionaries(st.sampled_from(["opinion_id", "text", "source", "published_at"]), st.none() | st.binary()))
def test_no_columns_raise(fields):
    check_can_be_stored(parse_fields(fields, ZONE))


stored_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        Opinion,
        stored_text.map(str.strip).filter(bool),
        st.none() | stored_text,
        st.none() | stored_text.map(str.strip),
        st.none() | st.datetimes(datetime(1970, 1, 2), datetime(2100, 12, 30), timezones=st.just(UTC)),
    ),
    st.booleans(),
)
def test_a_record_comes_back_as_it_was(opinion, ascii_only):
    fields = opinion._asdict()
    if opinion.published_at:
        fields["published_at"] = opinion.published_at.astimezone(ZONE).isoformat()
    assert parse_line(json.dumps(fields, ensure_ascii=ascii_only).encode(), ZONE) == opinion
    columns = {name: None if value is None else value.encode() for name, value in fields.items()}
    assert parse_fields(columns, ZONE) == opinion


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "blank_line"),
        (b" \t\r", "blank_line"),
        (b'{"opinion_id": "a", "text": "\xff"}', "invalid_utf8"),
        ("坏了".encode("gbk"), "invalid_utf8"),
        (b'{"opinion_id": "a", "text": "cut o', "broken_json"),
        (b'{"opinion_id": "a"}{"opinion_id": "b"}', "broken_json"),
        (b"\x00", "broken_json"),
        (b'{"opinion_id": "a", "text": "\x00"}', "broken_json"),
        (b'{"opinion_id": "a", "text": NaN}', "broken_json"),
        (b'{"opinion_id": "a", "text": -Infinity}', "broken_json"),
        (b'{"opinion_id": 1' + b"0" * 5000 + b"}", "broken_json"),  # more digits than Python turns into text
        (b"[" * 100_000, "broken_json"),
        (b'["opinion_id", "text"]', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"text": "x"}', "missing_id"),
        (line(opinion_id=None), "missing_id"),
        (line(opinion_id=" \u3000"), "missing_id"),
        (line(opinion_id=True), "missing_id"),
        (line(opinion_id=1.5), "missing_id"),
        (line(text=["x"]), "text_not_text"),
        (line(text=True), "text_not_text"),
        (line(source=7), "text_not_text"),
        (line(published_at="yesterday"), "unreadable_time"),
        (line(published_at=""), "unreadable_time"),
        (line(published_at="2026-11-09T25:61:00"), "unreadable_time"),
        (line(published_at="2026-02-30"), "unreadable_time"),
        (line(published_at="09/11/2026"), "unreadable_time"),
        (line(published_at="0001-01-01T00:00:00+08:00"), "unreadable_time"),
        (line(published_at="9999-12-31T23:59:59-08:00"), "unreadable_time"),
        (line(published_at="2126-11-09"), "unreadable_time"),
        (line(published_at=20261109), "unreadable_time"),
        (line(published_at=True), "unreadable_time"),
        (line(published_at={"$date": 1762660800}), "unreadable_time"),
        (line(opinion_id=2.0**53), "missing_id"),
    ],
)
def test_why_a_line_is_no_record(raw, reason):
    record = parse_line(raw, ZONE)
    assert isinstance(record, Rejected)
    assert record.reason == reason
    assert record.content == raw.decode("utf-8", "backslashreplace").removesuffix("\r")
    assert record.opinion_id == ("a" if reason in ("text_not_text", "unreadable_time") else None)


@pytest.mark.parametrize(
    ("raw", "opinion"),
    [
        (line(), Opinion("a", "坏了", None, None)),
        (line() + b"\r", Opinion("a", "坏了", None, None)),
        (b"\xef\xbb\xbf" + line(), Opinion("a", "坏了", None, None)),
        (line(opinion_id=17, source=" weibo "), Opinion("17", "坏了", "weibo", None)),
        (line(opinion_id=1762660800123.0), Opinion("1762660800123", "坏了", None, None)),
        (line(opinion_id=10**30), Opinion("1" + "0" * 30, "坏了", None, None)),
        (line(text=12.5), Opinion("a", "12.5", None, None)),
        (line(text=None), Opinion("a", None, None, None)),
        (b'{"opinion_id": "a"}', Opinion("a", None, None, None)),
        (line(text=""), Opinion("a", "", None, None)),
        (line(text=" x "), Opinion("a", " x ", None, None)),
        (line(more={"deep": [1]}), Opinion("a", "坏了", None, None)),
        (b'{"opinion_id": "a", "text": "1", "text": "2"}', Opinion("a", "2", None, None)),  # as JSON readers do
        (rb'{"opinion_id": "a", "text": "x\u0000y"}', Opinion("a", "x\0y", None, None)),
        (rb'{"opinion_id": "a", "text": "\ud83d\ude00"}', Opinion("a", "\U0001f600", None, None)),
        (rb'{"opinion_id": "a\udc00", "text": "x\ud83d"}', Opinion("a\ufffd", "x\ufffd", None, None)),
    ],
)
def test_what_is_a_record(raw, opinion):
    assert parse_line(raw, ZONE) == opinion


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-11-09T12:00:00+08:00", NOON),
        ("2026-11-09T04:00:00Z", NOON),
        ("2026-11-09 12:00:00", NOON),
        (" 2026-11-09T12:00 ", NOON),
        ("2026-11-09T12:00:00.250", NOON.replace(microsecond=250_000)),
        ("2026-11-09", datetime(2026, 11, 8, 16, tzinfo=UTC)),
        ("2026/11/9 12:00", NOON),
        (int(NOON.timestamp()) * 1000, NOON),
        (None, None),
    ],
)
def test_times(written, time):
    assert parse_line(line(published_at=written), ZONE) == Opinion("a", "坏了", None, time)


def test_columns_say_why_they_are_no_record():
    ragged = {"opinion_id": None, "text": None, BROKEN_ROW: b"a,\xff,c,d"}
    assert parse_fields(ragged, ZONE) == Rejected(None, "a,\\xff,c,d", "malformed_row")
    assert parse_fields({BROKEN_ROW: b" "}, ZONE) == Rejected(None, " ", "blank_line")
    bad = {"opinion_id": b"a", "text": b"\xff\\", "source": None, BROKEN_ROW: None}
    assert parse_fields(bad, ZONE) == Rejected(None, content_of(bad), "invalid_utf8")
    assert json.loads(content_of(bad)) == {"opinion_id": "a", "text": "\\xff\\", "source": None}


@given(st.text(st.characters()))
def test_whole_changes_nothing_but_lone_surrogates(text):
    expected = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    # Two halves that stand in order make one character.
    if not any("\ud800" <= a <= "\udbff" and "\udc00" <= b <= "\udfff" for a, b in pairwise(text)):
        assert whole(text) == expected
