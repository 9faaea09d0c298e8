"""One line of the stream -> a record of `raw_opinion`, or the reason for its rejection."""

import json
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import NamedTuple, NoReturn

from jobs.ingest.times import parse_time

# The column of a malformed CSV row, unchanged (see inputs.read_input).
BROKEN_ROW = "broken_row"


class Opinion(NamedTuple):
    """A record: id and source are stripped; text is unchanged, None where it was null or absent."""

    opinion_id: str
    text: str | None
    source: str | None
    published_at: datetime | None


class Rejected(NamedTuple):
    """A line that is not a record: its id where one could be read, its content, the reason."""

    opinion_id: str | None
    content: str
    reason: str


def parse_line(line: bytes, zone: tzinfo) -> Opinion | Rejected:
    """Read one line of JSON; `zone` is that of times without an offset. Never raises on any bytes."""
    line = line.rstrip(b"\r")
    try:
        content = line.decode("utf-8")
    except UnicodeDecodeError:
        return Rejected(None, line.decode("utf-8", "backslashreplace"), "invalid_utf8")
    if not content.strip():
        return Rejected(None, content, "blank_line")
    try:
        fields = json.loads(content.removeprefix("\ufeff"), parse_constant=refuse)
    except (ValueError, RecursionError):
        return Rejected(None, content, "broken_json")
    if not isinstance(fields, dict):
        return Rejected(None, content, "not_an_object")
    return check_record(fields, content, zone)


def parse_fields(fields: Mapping[str, bytes | None], zone: tzinfo) -> Opinion | Rejected:
    """Read the columns of a CSV or Parquet row, as bytes. Never raises on any bytes."""
    content = content_of(fields)
    if (raw := fields.get(BROKEN_ROW)) is not None:
        return Rejected(None, content, reason_of_broken(raw))
    try:
        decoded = {name: value if value is None else value.decode("utf-8") for name, value in fields.items()}
    except UnicodeDecodeError:
        return Rejected(None, content, "invalid_utf8")
    return check_record(decoded, content, zone)


def content_of(fields: Mapping[str, bytes | None]) -> str:
    """A row of columns as one line of JSON, a malformed one unchanged; bytes that are not UTF-8 are escaped."""
    if (raw := fields.get(BROKEN_ROW)) is not None:
        return raw.decode("utf-8", "backslashreplace")
    shown = {
        name: None if value is None else value.decode("utf-8", "backslashreplace")
        for name, value in fields.items()
        if name != BROKEN_ROW
    }
    return json.dumps(shown, ensure_ascii=False)


def reason_of_broken(raw: bytes) -> str:
    """Why a line of CSV is not a row: its quotes do not match, or its number of columns is not the header's."""
    return "malformed_row" if raw.strip() else "blank_line"


def refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads although they are not JSON."""
    raise ValueError(constant)


def check_record(fields: Mapping[str, object], content: str, zone: tzinfo) -> Opinion | Rejected:
    """Check the four fields of a record; others are left out."""
    identity = fields.get("opinion_id")
    if isinstance(identity, float) and identity.is_integer() and abs(identity) < 2**53:
        identity = int(identity)  # pandas writes numbers so where the column lacks a value
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity.strip():
        return Rejected(None, content, "missing_id")
    identity = whole(identity.strip())
    text, source = fields.get("text"), fields.get("source")
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str | None) or not isinstance(source, str | None):
        return Rejected(identity, content, "text_not_text")
    try:
        published_at = parse_time(fields.get("published_at"), zone)
    except (ValueError, OverflowError):
        return Rejected(identity, content, "unreadable_time")
    return Opinion(identity, text and whole(text), source and whole(source.strip()), published_at)


def whole(text: str) -> str:
    """The text with lone surrogates (JSON can escape halves of a character) replaced, so that it can be stored."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
