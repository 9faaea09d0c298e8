"""Many texts at once are normalised as each would be alone, from whatever bytes a column holds."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.text.normalisation import RAW_LIMIT, normalise, unscorable_reason
from distill.text.text_batch import REASONS, Normalised, column_of, normalise_batch, normalise_column
from tests.distill.text.test_normalisation import texts

unhurried = settings(deadline=None)  # the first call compiles
# Bytes that begin, continue and end characters, in any order.
dirty = st.lists(
    st.sampled_from([*b"aZ &!\x00", 0x80, 0xBF, 0xC0, 0xC2, 0xE4, 0xBD, 0xED, 0xA0, 0xF0, 0xFF]), max_size=12
)


def texts_of(batch: Normalised) -> list[str]:
    return [batch.codes[a:b].tobytes().decode("utf-32-le") for a, b in pairwise(batch.offsets.tolist())]


@unhurried
@given(st.lists(texts, max_size=8))
def test_a_batch_is_its_texts_one_by_one(batch: list[str]) -> None:
    assert normalise_batch(batch) == [normalise(text) for text in batch]


def test_the_batch_knows_what_every_character_of_the_basic_plane_becomes() -> None:
    characters = [f"a{chr(code)}b" for code in range(0x10000)]
    assert normalise_batch(characters) == [normalise(text) for text in characters]


@unhurried
@given(st.lists(st.one_of(st.none(), texts), max_size=8), st.integers(0, 8))
def test_a_column_has_texts_and_reasons_and_may_be_a_slice(batch: list[str | None], start: int) -> None:
    normalised = normalise_column(column_of(batch).slice(min(start, len(batch))))
    batch = batch[start:]
    assert texts_of(normalised) == [normalise(text or "") for text in batch]
    expected = [unscorable_reason(None if text is None else normalise(text)) for text in batch]
    assert [REASONS[i] for i in normalised.reasons] == expected


@unhurried
@given(st.lists(dirty.map(bytes), max_size=4))
def test_bytes_that_are_no_text_become_replacement_characters(batch: list[bytes]) -> None:
    def decoded(raw: bytes) -> str:
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return raw.decode("utf-8", "replace")

    expected = [normalise(decoded(raw)) for raw in batch]
    assert texts_of(normalise_column(pa.array(batch, pa.binary()))) == expected


@pytest.mark.parametrize("fill", ["钱", "…", "a", "😀", "&amp;", "\ud83d", " x"])
@pytest.mark.parametrize("characters", [RAW_LIMIT - 1, RAW_LIMIT, RAW_LIMIT + 1, 100_000])
def test_a_long_text_is_cut_where_it_would_be_alone(fill: str, characters: int) -> None:
    text = (fill * characters)[:characters]
    normalised = normalise_column(column_of(["好", text, None]))
    assert texts_of(normalised) == ["好", normalise(text), ""]
    assert normalised.cut.tolist() == [False, characters > RAW_LIMIT, False]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_every_kind_of_column(kind: pa.DataType) -> None:
    normalised = normalise_column(pa.array(["投诉！", None, "", "、。"], pa.string()).cast(kind))
    assert texts_of(normalised) == ["投诉!", "", "", "、。"]
    assert [REASONS[i] for i in normalised.reasons] == [None, "null_text", "blank_text", "no_word_character"]
    assert texts_of(normalise_column(pa.array([], kind))) == []
