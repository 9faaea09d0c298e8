"""The compiled segmenter against jieba itself, over texts of every kind."""

import csv
import gzip
import importlib.util
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.text.normalisation import code_points
from distill.text.segmenter import Segmenter, default_segmenter, segment_all
from distill.text.text_batch import normalise_batch

SHARED_DATA = Path(__file__).parents[4] / "shared" / "data"
Cut = Callable[[str], list[str]]

PIECES = [
    *(
        "投诉",
        "物业",
        "公司",
        "南京市",
        "长江大桥",
        "市长",
        "结婚",
        "和尚",
        "尚未",
        "北京",
        "大学",
        "不",
        "了",
        "的",
    ),
    *(
        "γ射线",
        "ｘ",
        "at&t",
        "AT&T",
        "t恤",
        "T恤",
        "c++",
        "c#",
        "b超",
        "4s店",
        "4s",
        "江南style",
        "abc",
        "ABC",
        "x",
    ),
    *(
        "1",
        "007",
        "12.5%",
        "a-b",
        "foo_bar",
        "http://t.cn/r",
        "+",
        "#",
        "&",
        ".",
        "%",
        "-",
        "_",
        ",",
        "!",
        "。",
        "：",
    ),
    *("一", "龥", "鿕", "鿖", "㐀", "〇", "𠮷", "😀", "é", "й", "한", "\ud800", "\x00"),
    *(" ", "  ", "\t", "\r\n", "\x0b", "\x1c", "\x85", "\xa0", "\u2028", "\u3000"),
]
unhurried = settings(deadline=None)  # the first call compiles
texts = st.one_of(
    st.text(st.characters(), max_size=40),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.text(
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里",
        max_size=60,
    ),
    st.text("aZ9+#&._%- 超股恤盘店语言", max_size=30),
)


def jieba_of(dictionary: Path, scratch: Path) -> Cut:
    """jieba.lcut(text, HMM=False) of a dictionary file, without the white space."""
    import jieba

    tokenizer = jieba.Tokenizer(dictionary=str(dictionary))
    tokenizer.tmp_dir = str(scratch)  # or jieba writes a cache to the temporary folder
    return lambda text: [word for word in tokenizer.lcut(text, HMM=False) if not word.isspace()]


@pytest.fixture(scope="module")
def folded_jieba(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """jieba over its own dictionary in lower case."""
    scratch = tmp_path_factory.mktemp("jieba")
    spec = importlib.util.find_spec("jieba")
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).with_name("dict.txt").read_text(encoding="utf-8")
    folded = scratch / "folded.txt"
    folded.write_text(text.lower(), encoding="utf-8")
    return jieba_of(folded, scratch)


def segment_batch(batch: list[str], segmenter: Segmenter) -> list[list[str]]:
    codes, offsets = code_points(batch)
    starts, ends, words = segment_all(codes, offsets, segmenter.trie)
    joined = "".join(batch)
    tokens = [joined[start:end] for start, end in zip(starts, ends, strict=True)]
    return [tokens[words[i] : words[i + 1]] for i in range(len(batch))]


def test_a_sign_beyond_the_basic_plane_is_never_taken_for_one_of_it(folded_jieba: Cut) -> None:
    """An edge's key has 16 bits of a code point. With one more it would be the key of the neighbouring node's child."""
    trie = default_segmenter().trie
    keys = {int(edge) >> 27: slot for slot, edge in enumerate(trie.edges.tolist()) if edge}  # parent and code point
    node = {slot: key for key, slot in keys.items()}

    def prefix(slot: int) -> str:
        key = node[slot]
        return ("" if key >> 16 == 1 << 20 else prefix(key >> 16)) + chr(key & 0xFFFF)

    texts = [
        prefix((key >> 16) - 1) + chr(0x10000 | key & 0xFFFF)
        for key in sorted(keys)
        if key >> 16 & 1 and (key >> 16) - 1 in node
    ][:5000]
    assert len(texts) == 5000
    assert segment_batch(texts, default_segmenter()) == [folded_jieba(text) for text in texts]


@unhurried
@given(text=texts)
def test_any_text_is_cut_as_jieba_cuts_it(text: str, folded_jieba: Cut) -> None:
    assert default_segmenter().segment(text) == folded_jieba(text)


@unhurried
@given(batch=st.lists(texts, max_size=6))
def test_a_batch_is_its_texts_one_by_one(batch: list[str]) -> None:
    segmenter = default_segmenter()
    assert segment_batch(batch, segmenter) == [segmenter.segment(text) for text in batch]


def test_random_runs_of_dictionary_words_are_cut_as_jieba_cuts_them(folded_jieba: Cut) -> None:
    spec = importlib.util.find_spec("jieba")
    assert spec is not None and spec.origin is not None
    words = Path(spec.origin).with_name("dict.txt").read_text(encoding="utf-8").lower().split()[0::3]
    rng = random.Random(0)
    runs = ["".join(rng.choices(words, k=12)) for _ in range(3000)]
    assert segment_batch(runs, default_segmenter()) == [folded_jieba(run) for run in runs]


def real_texts() -> Iterator[str]:
    for path in sorted((SHARED_DATA / "labelled").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            yield from (row["text"] for row in csv.DictReader(lines))
    with gzip.open(min((SHARED_DATA / "stream").glob("*.jsonl.gz"))) as lines:
        for line in lines:
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError):
                continue
            if isinstance(text, str):
                yield text


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the real texts of ../shared/data are not here")
def test_real_texts_are_cut_as_jieba_cuts_them(folded_jieba: Cut) -> None:
    sample = normalise_batch(random.Random(0).sample(list(real_texts()), 10_000))
    assert segment_batch(sample, default_segmenter()) == [folded_jieba(text) for text in sample]


def test_white_space_is_dropped_and_single_letters_and_digits_are_joined() -> None:
    assert default_segmenter().segment(" zq 8 我zq8x，ｚ ") == ["zq", "8", "我", "zq8x", "，", "ｚ"]
    assert default_segmenter().segment("") == default_segmenter().segment(" \t") == []


def test_words_of_the_dictionary_match_in_lower_case() -> None:
    assert default_segmenter().segment("at&t的t恤") == ["at&t", "的", "t恤"]


@pytest.mark.parametrize("text", ["甲乙丙", "乙丙甲乙", "甲甲", "丁丁", "甲丁乙b超", "b超B超"])
@pytest.mark.parametrize(
    "lines",
    [
        "甲 1 n\n乙 1 n\n甲乙 1 n\n",
        "甲 4 n\n乙 4 n\n甲乙 1 n\n丁 7 n\n",  # 4/16 × 4/16 = 1/16: of equal routes the longer word wins
        "甲 3 n\n乙 0 n\n甲乙 0 n\n甲乙丙 9 n\n",  # frequency 0 is no word
        "b超 5 n\nB超 1 n\nb 7 n\n超 7 n\n",  # folds to a repeated word: the last frequency counts
        "甲 1 n\n甲·乙 5 n\n甲丁乙 5 n\n",  # never met within a block, but counted in the total
    ],
)
def test_the_corners_of_a_dictionary(lines: str, text: str, tmp_path: Path) -> None:
    dictionary, folded = tmp_path / "dictionary.txt", tmp_path / "folded.txt"
    dictionary.write_text(lines, encoding="utf-8")
    folded.write_text(lines.lower(), encoding="utf-8")
    text = text.lower()
    assert Segmenter(dictionary).segment(text) == jieba_of(folded, tmp_path)(text)


def test_a_dictionary_without_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dictionary.txt"
    path.write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match=r"dictionary\.txt"):
        Segmenter(path)
