"""Times as feeds write them: each form is read into one instant, and what could be two is refused."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ingest.times import YEARS, parse_time

ZONE = ZoneInfo("Asia/Shanghai")
MORNING = datetime(2026, 11, 9, 0, 5, tzinfo=UTC)  # 08:05 in Beijing
MIDNIGHT = datetime(2026, 11, 8, 16, tzinfo=UTC)  # 00:00 in Beijing
SECONDS = int(MORNING.timestamp())


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-09T08:05:00+08:00",
        "2026-11-09T00:05:00Z",
        "2026-11-09T00:05:00.000+0000",
        "2026-11-09 08:05:00 +0800",
        "2026-11-09 08:05:00.0",
        "2026-11-09 08:05",
        " 2026-11-09t08:05 ",
        "2026-11-09  08:05",
        "20261109T080500",
        "20261109080500",
        "2026-W46-1 08:05",
        "2026/11/9 8:05",
        "2026-11-9 8:05:00",
        "2026.11.9 8:05",
        "2026/11/9 上午8:05:00",
        "2026/11/9 8:05:00 AM",
        "2026年11月9日 08:05",
        "2026年11月09日8时5分0秒",
        "2026年11月9日 星期一 8点5分",
        "2026 年 11 月 9 日 08:05",
        "２０２６－１１－０９ ０８：０５",
        "2026-11-09 08:05:00 CST",
        "2026-11-09 00:05 UTC",
        "2026-11-09 08:05 GMT+8",
        "2026-11-08T19:05:00-05:00",
        "Mon Nov 09 08:05:00 +0800 2026",
        "Mon Nov 09 08:05:00 CST 2026",
        "Mon Nov  9 08:05:00 2026",
        "Mon Nov 09 2026 08:05:00 GMT+0800 (中国标准时间)",
        "Mon, 09 Nov 2026 08:05:00 +0800",
        "Mon, 9 Nov 2026 00:05:00 GMT",
        "9 November 2026 08:05 +0800 (CST)",
        SECONDS,
        SECONDS * 1000,
        float(SECONDS),
        SECONDS * 1000.0,
        str(SECONDS),
        f"{SECONDS}.0",
        f"{SECONDS}000",
    ],
)
def test_one_morning_in_many_forms(written):
    assert parse_time(written, ZONE) == MORNING


@pytest.mark.parametrize(
    "written", ["2026-11-9", "2026-11-09", "20261109", "2026/11/09", "2026年11月9日", "2026-W46-1"]
)
def test_a_day_alone_is_its_midnight(written):
    assert parse_time(written, ZONE) == MIDNIGHT


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-11-08T24:00:00", MIDNIGHT),
        ("2026-11-08T23:59:60+08:00", MIDNIGHT),
        ("2026/11/9 下午12:05", datetime(2026, 11, 9, 4, 5, tzinfo=UTC)),
        ("2026/11/9 12:05 AM", datetime(2026, 11, 8, 16, 5, tzinfo=UTC)),
        ("2026/11/9 3:05 pm", datetime(2026, 11, 9, 7, 5, tzinfo=UTC)),
        ("2026-11-09T00:05:00.123456789Z", MORNING.replace(microsecond=123456)),
        (f"{SECONDS}.25", MORNING.replace(microsecond=250_000)),
        (SECONDS * 1000 + 123, MORNING.replace(microsecond=123_000)),
        (SECONDS + 0.123, MORNING.replace(microsecond=123_000)),
        (None, None),
    ],
)
def test_instants_at_the_edges(written, time):
    assert parse_time(written, ZONE) == time


@pytest.mark.parametrize(
    "written",
    [
        "09/11/2026",  # of November, or of September
        "9/11/26 8:05",
        "26-11-09 08:05",
        "26年11月9日",
        "11月9日 08:05",
        "2026-11-09 12:00 EST",
        "Mon, 09 Nov 2026 12:00:00 CST",  # by the standard of mail America's, in China China's
        "2026-11-09 12-05",  # minutes, or an offset
        "2026-11-09+08:00",
        "2026-11-09 08:05:30:00",
        "2026-11/09",
        "2026-13-01",
        "2026-02-30",
        "2026-11-09T25:00",
        "2026-11-09 24:01",
        "2026-11-09 12:30:60",
        "2026-11-09 13:05 PM",
        "Mon, 09 Nob 2026 08:05:00 +0800",
        "0000-00-00 00:00:00",
        "1.7626608E+12",  # a spreadsheet has dropped the last digits
        "202611090805",
        "17626608",
        "1762660800123456",
        "yesterday",
        "三天前",
        "",
        "٢٠٢٦-11-09",
        "9999-12-31T23:59:59-08:00",
        "0001-01-01T00:00:00+14:00",
        "2126-11-09",
        20261109,
        20261109080500,
        0,
        -SECONDS,
        10**400,
        float("nan"),
        float("inf"),
        True,
        [2026, 11, 9],
    ],
)
def test_what_is_no_time_or_could_be_two(written):
    with pytest.raises((ValueError, OverflowError)):
        parse_time(written, ZONE)


def test_a_zone_by_its_name_is_that_of_the_session():
    assert parse_time("2026-11-09 00:05 GMT", ZoneInfo("Europe/London")) == MORNING
    assert parse_time("2026-07-09 01:05 BST", ZoneInfo("Europe/London")) == datetime(2026, 7, 9, 0, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="zone"):
        parse_time("2026-11-09 08:05 CST", ZoneInfo("Europe/London"))


@given(st.text() | st.text("0123456789-/:.T+Z 年月日时分上下午MonNvCST,()", max_size=40) | st.integers() | st.floats())
def test_nothing_else_is_raised_and_no_year_is_out_of_bounds(written):
    try:
        time = parse_time(written, ZONE)
    except (ValueError, OverflowError):
        return
    assert time is not None and time.tzinfo is UTC and time.year in YEARS


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 12, 30), timezones=st.just(UTC)))
def test_every_form_of_an_instant_is_that_instant(time):
    second = time.replace(microsecond=0)
    there = time.astimezone(ZONE)
    assert parse_time(there.isoformat(), ZONE) == time
    assert parse_time(f"{there:%Y年%m月%d日 %H:%M:%S}.{there.microsecond:06}{there:%z}", ZONE) == time
    for form in ("%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%Y/%m/%d %I:%M:%S %p %z"):
        assert parse_time(there.strftime(form), ZONE) == second
    if second.timestamp() >= 10**9:
        assert parse_time(int(second.timestamp()), ZONE) == second
        assert parse_time(f"{int(second.timestamp())}{time.microsecond // 1000:03}", ZONE) == time.replace(
            microsecond=time.microsecond // 1000 * 1000
        )
