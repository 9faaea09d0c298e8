"""An input that is hardly read is refused with the likely cause, and one that is partly read is warned of."""

import gzip
import json

import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from tests.jobs.opinion_loader import HEADER, Loader

pytestmark = [pytest.mark.spark, pytest.mark.slow]

OTHER = "2026-11-11"


@pytest.fixture(scope="module")
def loader(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """One for all tests here: a database takes longer than a load."""
    return Loader(spark, "rejects", tmp_path_factory.mktemp("rejects"))


def records(count: int, **more: object) -> list[str]:
    return [json.dumps({"opinion_id": f"j{i}", "text": "物业乱收费"} | more, ensure_ascii=False) for i in range(count)]


GBK_ROWS = HEADER + "".join(
    f"g{i},{text},weibo,2026-11-09 10:00\r\n"
    for i, text in enumerate(["物业乱收费，没人管", "退款没到账", "客服态度极差", "good", "ok 666", "学习"])
).encode("gbk")
ARRAY = "[\n" + ",\n".join(records(100)) + "\n]\n"
PRETTY = json.dumps([json.loads(record) for record in records(20)], ensure_ascii=False, indent=1)
JSONL = "\n".join(records(4))


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("gbk.csv", GBK_ROWS, "csv", r"gbk.csv: 3 of its lines are not UTF-8: it is GBK .*; save it as UTF-8"),
        (
            "gbk.jsonl",
            "".join(
                f'{{"opinion_id": "{i}", "text": "{t}"}}\n' for i, t in enumerate(["坏了", "ok", "学习", "x"])
            ).encode("gbk"),
            "jsonl",
            r"gbk.jsonl: 1 of its 4 lines are not UTF-8: it is GBK .*; save it as UTF-8; the day 2026-11-09 is left",
        ),
        ("utf16.jsonl", JSONL.encode("utf-16"), "jsonl", "it is UTF-16; save it as UTF-8"),
        ("utf16.csv", (HEADER + b"a,b\n").decode().encode("utf-16"), "csv", "it is UTF-16; save it as UTF-8"),
        ("utf16-be.csv", (HEADER + b"a,b\n").decode().encode("utf-16-be"), "csv", "it is UTF-16; save it as UTF-8"),
        ("array.json", ARRAY.encode(), "jsonl", r"101 of 102 lines .* \(broken_json 101\): .*one object a line"),
        ("line.json", json.dumps(json.loads(ARRAY)).encode(), "jsonl", "no line of .*one object a line"),
        ("pretty.json", PRETTY.encode(), "jsonl", "no line of .*write one object a line"),
        ("csv.jsonl", HEADER + b"a,b,c,\n" * 5, "jsonl", "its lines are not JSON; if it is CSV, .* --format csv"),
        ("jsonl.csv", JSONL.encode(), "csv", "it is JSON, not CSV; choose the format with --format"),
        ("tabs.csv", HEADER.replace(b",", b"\t") + b"a\tb\tc\t\n", "csv", "separated by tabs; separate them by commas"),
        ("semicolons.csv", HEADER.replace(b",", b";"), "csv", "separated by semicolons; separate them by commas"),
        ("rows.csv", HEADER + b"a,b,,\n" + b"a;b;;\n" * 3, "csv", "3 of 4 lines .*separated by semicolons"),
        (
            "gz.jsonl",
            gzip.compress(JSONL.encode() * 50, mtime=0),
            "jsonl",
            "compressed with gzip; give it a name that ends in .gz",
        ),
        ("book.csv", b"PK\x03\x04 and so on", "csv", "a zip file, as Excel workbooks are; save it as CSV in UTF-8"),
        (
            "ids.jsonl",
            "\n".join([*records(1), *(json.dumps({"id": i, "content": "x"}) for i in range(2))]).encode(),
            "jsonl",
            "2 of 3 lines .*needs an opinion_id .*; their fields are id, content",
        ),
        (
            "times.jsonl",
            "\n".join(records(3, published_at="9/11/26 8:05") + records(2)).encode(),
            "jsonl",
            r"3 of 5 lines .*published_at is '9/11/26 8:05'; docs/inputs.md .*\(--accept-rejects publishes the rest",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 18 else "",
)
def test_an_input_that_is_hardly_read_is_refused_with_the_cause(loader, name, content, kind, message):
    if not loader.stored():
        loader.load(loader.write("before.jsonl", JSONL.encode()))
    before = loader.stored()
    with pytest.raises(BadInput, match=message) as refused:
        loader.load(loader.write(name, content), kind)
    assert "\n" not in str(refused.value) and "乱收费" not in str(refused.value)
    assert loader.stored() == before and loader.rejected() == []


def test_one_file_of_gbk_among_others_is_named(loader):
    loader.write("parts/1.csv", HEADER + "".join(f"{i},坏了,,\n" for i in range(100)).encode())
    loader.write("parts/2.csv", GBK_ROWS)
    with pytest.raises(BadInput, match=r"/parts/2.csv: 3 of its lines are not UTF-8"):
        loader.load(loader.folder / "parts", "csv", dt="2026-11-10")
    # A line or two that are damaged are no reason to think so.
    loader.write("parts/2.csv", HEADER + "a,很好,,\n".encode() * 3 + "b,坏了,,\n".encode("gbk") + b"c,caf\xe9,,\n")
    assert "stored 103 + rejected 2 (invalid_utf8 2)" in loader.load(loader.folder / "parts", "csv", dt="2026-11-10")


def test_a_share_that_is_rejected_is_warned_of_and_may_be_accepted(loader, capsys):
    def load(good: int, bad: int, accept: bool = False) -> str:
        rows = "\n".join(records(good) + ["no record"] * bad)
        loader.load(loader.write("day.jsonl", rows.encode()), accept=accept, dt=OTHER)
        return capsys.readouterr().err

    assert load(96, 4) == ""
    err = load(95, 5)
    assert err.startswith("warning: 5 of 100 lines of ") and err.count("\n") == 1
    assert f"see rejected_opinion where dt='{OTHER}' and stage='load'" in err
    assert "10 of 20 lines" in load(10, 10)
    with pytest.raises(BadInput, match="11 of 20 lines"):
        load(9, 11)
    assert len(loader.stored(OTHER)) == 10
    assert "11 of 20 lines" in load(9, 11, accept=True)
    assert (len(loader.stored(OTHER)), len(loader.rejected(OTHER))) == (9, 11)
    with pytest.raises(BadInput, match=r"no line of .* is a record"):  # of nothing there is no day
        load(0, 2, accept=True)
