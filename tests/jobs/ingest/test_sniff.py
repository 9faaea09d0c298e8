"""Files are recognised by their bytes: GBK beside UTF-8, whatever the share of lines that are both."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.ingest.sniff import Encoding, header_fault, is_gbk, kind_of

# Characters of GB2312, as a feed has them; the rare ones of GBK and GB18030 with them.
HANZI = "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多"
RARE = "镕囧喆㐀\U0001f600"


def text(draw: random.Random) -> str:
    return "".join(draw.choices(HANZI, k=draw.randint(1, 12))) + draw.choice(["", "", "ok 666", draw.choice(RARE)])


@pytest.mark.parametrize("seed", range(20))
def test_the_encoding_of_a_file(seed):
    draw = random.Random(seed)
    lines = [text(draw) for _ in range(50)]
    gbk, utf8, mixed = Encoding(), Encoding(), Encoding()
    for line in [*lines, "学习", "good", "ok,666"]:
        gbk.add(f"{line},weibo".encode("gb18030"))
        utf8.add(f"{line},weibo".encode())
        mixed.add(f"{line},weibo".encode())
    assert gbk.fault() and not utf8.fault()
    for damaged in (b"cut \xe5\x9d", b"caf\xe9,", b"\xff\xfe", "坏了".encode("gbk")):
        mixed.add(damaged)
    assert not mixed.fault()


def test_latin_1_is_no_chinese():
    for word in ("café", "naïve", "señor", "Zürich", "é", "façade"):
        assert not is_gbk(word.encode("latin-1"))
    assert not is_gbk(b"\xff\xfe") and is_gbk("退款".encode("gbk"))


@given(st.lists(st.binary()))
def test_no_bytes_raise(lines):
    encoding = Encoding()
    for line in lines:
        encoding.add(line)
        kind_of(line)
        header_fault(line, ("opinion_id", "text"))
    assert encoding.fault() is None or encoding.gbk > encoding.wide


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("opinion_id;text", "separated by semicolons"),
        ("\ufeffopinion_id\ttext\tsource", "separated by tabs"),
        ("text | opinion_id", r"separated by |"),
        ("opinion_id\x01text", "separated by Ctrl-A"),
        ('{"opinion_id": "a"}', "it is JSON"),
        ("[", "it is JSON"),
        ("PAR1", "--format parquet"),
        ("id,content", None),
        ("opinion_id", None),
    ],
)
def test_why_a_header_is_none(line, cause):
    fault = header_fault(line.encode(), ("opinion_id", "text"))
    assert (cause in fault) if fault and cause else fault is cause
    assert header_fault(line.encode("utf-16"), ("opinion_id", "text")) == "it is UTF-16; save it as UTF-8"
