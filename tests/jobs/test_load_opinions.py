"""A day's load, on real Spark and Hive: every line of a hostile file is in one of the two tables."""

import gzip
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput, OpinionError
from jobs.ingest.load_flags import days_and_loading
from jobs.load_opinions import parser
from jobs.warehouse.tables import RAW_OPINION, REJECTED_OPINION
from tests.conftest import submit
from tests.jobs.opinion_loader import DAY, HEADER, TIME, Loader
from tests.jobs.tamper import CHANGES, files_of, nulled, tamper

pytestmark = pytest.mark.spark

NOON = datetime(2026, 11, 9, 4, tzinfo=UTC)


@pytest.fixture
def loader(spark: SparkSession, database: str, tmp_path: Path) -> Loader:
    return Loader(spark, database, tmp_path)


def test_lines_that_are_no_record_are_kept_as_they_were(loader):
    lines = [
        b'{"opinion_id": "a", "text": "\xe5\x9d\x8f\xe4\xba\x86", "published_at": "2026-11-09 12:00:00"}\r',
        b'{"opinion_id": "long", "text": "' + b"x" * 5_000_000 + b'"}',
        b'{"opinion_id": "null", "text": null}',
        b'{"opinion_id": "u2028", "text": "x\xe2\x80\xa8y\xc2\x85z"}',
        b'{"opinion_id": "b", "text": "cut o',
        b'{"opinion_id": "b", "text": "\xff"}',
        b'{"text": "no id"}',
        b"",
        b'{"opinion_id": "c", "published_at": "2026-11-09T25:61:00"}',
        b"z" * 5_000_000,
        b"\x00",
    ]
    report = loader.load(loader.write("day.jsonl", b"\n".join(lines)), accept=True)
    assert report == (
        "2026-11-09: read 11 lines = stored 4 + rejected 7 "
        "(broken_json 3, blank_line 1, invalid_utf8 1, missing_id 1, unreadable_time 1)"
    )
    expected = {"a": "坏了", "long": "x" * 5_000_000, "null": None, "u2028": "x\u2028y\x85z"}
    assert loader.texts() == expected
    first = loader.warehouse.read(RAW_OPINION, dt=DAY).where("opinion_id = 'a'").first()
    assert first is not None and first.published_at.astimezone(UTC) == NOON
    assert loader.rejected() == sorted(
        [
            ("broken_json", lines[4].decode()),
            ("invalid_utf8", '{"opinion_id": "b", "text": "\\xff"}'),
            ("missing_id", lines[6].decode()),
            ("blank_line", ""),
            ("unreadable_time", lines[8].decode()),
            ("broken_json", "z" * 5_000_000),
            ("broken_json", "\x00"),
        ]
    )


@pytest.mark.slow
def test_the_dirt_of_three_real_days_is_counted(loader, shared):
    stream = shared / "data" / "stream"
    for dt, dirt in json.loads((stream / "dirt_first_three_days.json").read_text()).items():
        expected = {
            "broken_json": dirt["broken_json"],
            "invalid_utf8": dirt["invalid_utf8"],
            "missing_id": dirt["missing_id"],
            "unreadable_time": dirt["bad_timestamp"],
        }
        packed = stream / f"dt={dt}.jsonl.gz"
        loader.load(packed, dt=dt)
        reasons = [reason for reason, _ in loader.rejected(dt)]
        assert {reason: reasons.count(reason) for reason in reasons} == expected
        assert len(loader.stored(dt)) + sum(expected.values()) == dirt["lines"]
        raw = gzip.decompress(packed.read_bytes()).split(b"\n")
        shown = {line.decode("utf-8", "backslashreplace") for line in raw}
        assert {content for _, content in loader.rejected(dt)} <= shown


def test_a_reload_replaces_its_day_alone(loader, tmp_path):
    rows = b'{"opinion_id": "a", "text": "1"}\n{"opinion_id": "b"}\nbroken\n'
    plain, packed = loader.write("x.jsonl", rows), loader.write("y.jsonl.gz", gzip.compress(rows, mtime=0))
    loader.load(plain)
    first, rejected = loader.stored(), loader.rejected()
    loader.load(packed, dt="2026-11-10")
    assert (loader.stored("2026-11-10"), loader.rejected("2026-11-10")) == (first, rejected)
    loader.load(plain)
    assert (loader.stored(), loader.rejected()) == (first, rejected)
    loader.load(f"{tmp_path}/*.jsonl*")
    assert len(loader.stored()) == 4 and len(loader.rejected()) == 2
    loader.write("parts/1.jsonl", b'{"opinion_id": "c"}')  # no line end, so the next file must not run on from it
    loader.write("parts/2.jsonl", b'{"opinion_id": "d"}\n')
    loader.load(tmp_path / "parts")
    assert loader.texts() == {"c": None, "d": None} and loader.rejected() == []
    assert loader.stored("2026-11-10") == first


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("empty.jsonl", b"", "jsonl", "empty.jsonl holds no line; the day 2026-11-09 is left as it was"),
        ("empty.csv", b"", "csv", "empty.csv holds no line"),
        ("header.csv", HEADER, "csv", "header.csv holds no line"),
        ("none.jsonl", b"x\n[]\n", "jsonl", "no line of .* is a record: broken_json 1, not_an_object 1; each needs"),
        ("gbk.csv", HEADER + "a,坏了".encode("gbk") + TIME, "csv", "gbk.csv: 1 of its lines are not UTF-8: it is GBK"),
        ("columns.csv", b"id,text\na,b\n", "csv", "columns.csv has no column opinion_id; its columns are id, text"),
        ("not.jsonl.gz", b'{"opinion_id": "a"}\n', "jsonl", "not.jsonl.gz cannot be read: not a gzip file"),
        (
            "cut.csv.gz",
            gzip.compress(HEADER + TIME * 9, mtime=0)[:-12],
            "csv",
            "cut.csv.gz cannot be read: Unexpected end",
        ),
        ("not.parquet", b"PAR1 nothing", "parquet", "not.parquet cannot be read: .* is not a Parquet file"),
    ],
)
def test_files_that_are_refused(loader, name, content, kind, message):
    path = loader.write(name, content)
    with pytest.raises(BadInput, match=message):
        loader.load(path, kind)
    assert loader.stored() == [] and loader.rejected() == []


@pytest.mark.slow
def test_the_job_ends_with_one_line_that_names_the_mend(tmp_path):
    bad = tmp_path / "day.csv"
    bad.write_bytes(b"id,text\na,b\n")
    done = submit("load_opinions", "--dt", DAY, "--input", str(bad), "--format", "csv", home=tmp_path / "home")
    assert done.returncode == BadInput.exit_code, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (f"error: --input {bad} has no column opinion_id; its columns are id, text")


RECORD = '{"opinion_id": "a", "text": "坏了"}'


@pytest.mark.slow
def test_staged_rows_that_do_not_add_up_are_not_published(loader, home, monkeypatch):
    day = loader.write("day.jsonl", "\n".join([*[RECORD] * 9, "no record"]).encode())
    loader.load(day)
    before = loader.stored(), loader.rejected(), files_of(loader.warehouse.database, home)
    for table, column in ((RAW_OPINION, "opinion_id"), (REJECTED_OPINION, "reason")):
        for change in (*CHANGES, nulled(column)):
            with monkeypatch.context() as patch:
                tamper(patch, table, change)
                with pytest.raises(OpinionError, match="nothing was published") as refused:
                    loader.load(day)
            assert refused.value.exit_code == 1
            assert (loader.stored(), loader.rejected(), files_of(loader.warehouse.database, home)) == before
    loader.load(day)


@pytest.mark.slow
def test_several_days_in_one_start(tmp_path):
    home = tmp_path / "home"
    days = ["2026-11-08", "2026-11-09", "2026-11-10"]
    for dt in days[::2]:
        (tmp_path / f"dt={dt}.jsonl").write_text("\n".join([RECORD] * 3))
    several = ("--from", days[0], "--to", days[-1], "--input", f"{tmp_path}/dt={{dt}}.jsonl")
    done = submit("load_opinions", *several, home=home)
    assert done.returncode == BadInput.exit_code, done.stdout + done.stderr
    assert [f"{dt}: read 3 lines = stored 3" in done.stdout for dt in days] == [True, False, True]
    message = done.stderr.splitlines()[-1]
    assert message == f"error: 1 of 3 days failed: {days[1]}; the others are published"
    assert f"{tmp_path}/dt={days[1]}.jsonl: no such file" in done.stdout
    (tmp_path / f"dt={days[1]}.jsonl").write_text("\n".join([RECORD] * 4))
    done = submit("load_opinions", *several, home=home)  # a day that is there is loaded again
    assert (done.returncode, done.stdout.count(" = stored 3 "), done.stdout.count(" = stored 4 ")) == (0, 2, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "name one day with --dt, or several with both --from and --to"),
        (["--from", DAY], "name one day with --dt, or several with both --from and --to"),
        (["--dt", DAY, "--to", DAY], "name one day with --dt, or several with both --from and --to"),
        (["--from", DAY, "--to", "2026-11-08"], "--from 2026-11-09 is after --to 2026-11-08"),
        (["--from", DAY, "--to", "2026-11-10"], "is the same for every day; write {dt} where the day stands"),
    ],
)
def test_flags_that_do_not_fit_together(flags, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        days_and_loading(parser().parse_args([*flags, "--input", "day.jsonl"]))
    days, loading = days_and_loading(parser().parse_args(["--dt", DAY, "--input", "{dt}"]))
    assert (days, loading.path_of(DAY)) == ([DAY], DAY)
