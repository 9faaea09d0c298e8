"""Times in the forms of feeds -> an instant; ambiguous ones are refused. docs/inputs.md lists the forms."""

import re
import unicodedata
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal

# Outside these years a time is a typing error, and some clients cannot print it.
YEARS = range(1970, 2101)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
# The most frequent form, which Python parses ten times faster. It refuses 24:00 and a 60th second.
PLAIN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:?\d\d|Z)?", re.ASCII)

# Years have four digits and come first, or the month is a word: 09/11/26 and 9/11/2026 match none of these.
DAY = r"""(?:(?P<iso>\d{8}|\d{4}-?W\d\d(?:-?\d)?)
    |(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})
    |(?P<nian>\d{4})\ ?年\ ?(?P<yue>\d{1,2})\ ?月\ ?(?P<ri>\d{1,2})\ ?[日号])
    (?:\ ?(?:星期|周)[一二三四五六日天])?"""
CLOCK = r"""(?:(?P<half>上午|下午)\ ?)?
    (?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?
    |(?P<shi>\d{1,2})\ ?[时時点]\ ?(?:(?P<fen>\d{1,2})\ ?分\ ?(?:(?P<miao>\d{1,2})\ ?秒)?)?
    |(?P<hh>\d{2})(?:(?P<mm>\d{2})(?:(?P<ss>\d{2})(?:[.,](?P<rest>\d+))?)?)?)
    (?:\ ?(?P<noon>[AaPp][Mm]))?"""
# Z is the only single letter: the other military zones are ambiguous.
ZONE = r"(?P<zone>Z|z|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?(?::?\d{2})?|[A-Z]{3,5})"
WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
MONTH = r"""(?P<word>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?
    |Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"""
FORMS = [
    re.compile(form, re.VERBOSE | re.ASCII)
    for form in (
        # ISO 8601, spreadsheets, databases, 2026年11月9日 8时5分
        rf"{DAY}(?:(?:[Tt]|\ +|(?<=[日号一二三四五六天])){CLOCK}(?:\ ?{ZONE})?)?",
        # RFC 2822: Mon, 09 Nov 2026 08:05:00 +0800
        rf"(?:{WEEKDAY},?\ +)?(?P<day>\d{{1,2}})\ +{MONTH}\ +(?P<year>\d{{4}})\ +{CLOCK}(?:\ *{ZONE})?",
        # Weibo, Twitter, ctime, Java: Mon Nov 09 08:05:00 +0800 2026
        rf"{WEEKDAY}\ +{MONTH}\ +(?P<day>\d{{1,2}})\ +{CLOCK}(?:\ +{ZONE})?\ +(?P<year>\d{{4}})",
        # JavaScript: Mon Nov 09 2026 08:05:00 GMT+0800
        rf"{WEEKDAY}\ +{MONTH}\ +(?P<day>\d{{1,2}})\ +(?P<year>\d{{4}})\ +{CLOCK}(?:\ +{ZONE})?",
    )
]
MAIL = FORMS[1]
COMMENT = re.compile(r"\s*\([^()]*\)$")
# Seconds since 1970 have ten digits from 2001 to 2286, milliseconds thirteen; a date has eight, with a time fourteen.
NUMBER = re.compile(r"(\d{10}|\d{13})(\.\d*)?", re.ASCII)
STAMP = re.compile(r"\d{14}", re.ASCII)


def parse_time(value: object, zone: tzinfo) -> datetime | None:
    """A date and time as UTC; one without an offset is in `zone`. None stays None.

    Raises ValueError or OverflowError for a value that is not a time or is ambiguous.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a time is text or a number")
    if isinstance(value, str):
        written = value.strip() if value.isascii() else unicodedata.normalize("NFKC", value)
        written = " ".join(written.split())
    else:
        written = format(Decimal(repr(value)), "f")
        if not NUMBER.fullmatch(written):
            raise ValueError("a number that is no time since 1970")
    time = since_1970(written) if NUMBER.fullmatch(written) else of_calendar(written, zone)
    if time.year not in YEARS:
        raise ValueError(f"year {time.year}")
    return time


def since_1970(digits: str) -> datetime:
    """Seconds or milliseconds since 1970, by their number of digits."""
    per_second = 1 if len(digits.partition(".")[0]) == 10 else 1000
    return EPOCH + timedelta(microseconds=int(Decimal(digits) * 1_000_000 / per_second))


def of_calendar(written: str, zone: tzinfo) -> datetime:
    """A written date and time, as UTC."""
    if PLAIN.fullmatch(written):
        with suppress(ValueError):
            time = datetime.fromisoformat(written)
            return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)
    if STAMP.fullmatch(written):
        written = f"{written[:8]}T{written[8:]}"
    written = COMMENT.sub("", written)
    known_form = next((match for form in FORMS if (match := form.fullmatch(written))), None)
    if not known_form:
        raise ValueError("not a form of time that is known")
    parts = known_form.groupdict()
    if parts["hh"] and not parts["mm"] and (parts["zone"] or "").startswith("-") and ":" not in parts["zone"]:
        raise ValueError("hour and minute, or hour and offset")
    time = datetime.combine(day_of(parts), datetime.min.time()) + clock_of(parts)
    return time.replace(tzinfo=zone_of(parts["zone"], time, zone, known_form.re is MAIL)).astimezone(UTC)


def day_of(parts: dict[str, str | None]) -> date:
    """The day that a match names."""
    if iso := parts.get("iso"):
        return date.fromisoformat(iso)
    year, day = parts["year"] or parts.get("nian"), parts["day"] or parts.get("ri")
    if word := parts.get("word"):
        return date(int(year or 0), MONTHS.index(word[:3]) // 3 + 1, int(day or 0))
    return date(int(year or 0), int(parts.get("month") or parts["yue"] or 0), int(day or 0))


def clock_of(parts: dict[str, str | None]) -> timedelta:
    """The time since midnight; 24:00 is the next day's, and the 60th second of a minute that of a leap second."""
    hour, minute, second = (
        int(next((parts[name] for name in names if parts[name]), "0") or 0)
        for names in (("hour", "shi", "hh"), ("minute", "fen", "mm"), ("second", "miao", "ss"))
    )
    half = (parts["half"] or parts["noon"] or "").lower()
    if half and not (hour <= 12 and not (parts["half"] and parts["noon"])):
        raise ValueError("no hour of a half day")
    if half in ("下午", "pm") and hour < 12:
        hour += 12
    elif half in ("上午", "am") and hour == 12:
        hour = 0
    at_24 = (hour, minute, second) == (24, 0, 0) and not half
    if (hour > 23 and not at_24) or minute > 59 or second > 60 or (second == 60 and minute != 59):
        raise ValueError("no time of a day")
    part = (parts["part"] or parts["rest"] or "")[:6].ljust(6, "0")
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int(part))


def zone_of(written: str | None, time: datetime, zone: tzinfo, mail: bool) -> tzinfo:
    """The zone of a match. A name is accepted where it is unambiguous: CST is China's in China, America's in mail."""
    if not written:
        return zone
    if offset := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?", written):
        hours, minutes, seconds = (int(part or 0) for part in offset.groups()[1:])
        if minutes > 59 or seconds > 59:
            raise ValueError("not an offset")
        distance = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return timezone(-distance if offset[1] == "-" else distance)
    if written in ("Z", "z", "UTC", "GMT"):
        return UTC
    if not mail and written == zone.tzname(time):
        return zone
    raise ValueError("a zone that is not known here")
