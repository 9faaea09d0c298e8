"""Ids of tokens by their characters, against a dictionary."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.text.normalisation import code_points
from distill.text.token_table import look_up, token_table

tokens = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
FIRST, UNKNOWN, EDGE = 3, 1, 2


@settings(deadline=None)  # the first compiles
@given(st.lists(tokens, unique=True, max_size=60), st.lists(st.lists(tokens, max_size=40), max_size=5))
def test_known_tokens_have_their_ids_and_others_none(known: list[str], texts: list[list[str]]) -> None:
    texts.append(known)  # more tokens than are fetched ahead, most of them known
    ids = {token: FIRST + i for i, token in enumerate(known)}
    codes, bounds = code_points([token for text in texts for token in text])
    offsets = np.cumsum([0, *map(len, texts)])
    starts, ends = bounds[:-1].astype(np.int32), bounds[1:].astype(np.int32)
    looked_up, with_edges = look_up(codes, starts, ends, offsets, token_table(known, FIRST, UNKNOWN), EDGE)
    expected = [[EDGE, *(ids.get(token, UNKNOWN) for token in text), EDGE] for text in texts]
    assert [looked_up[a:b].tolist() for a, b in pairwise(with_edges)] == expected


def test_a_token_that_is_named_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="names a token twice"):
        token_table(["投诉", "物业", "投诉"], FIRST, UNKNOWN)


def test_more_tokens_than_ids_are_refused() -> None:
    with pytest.raises(BadInput, match=f"at most {(1 << 20) - FIRST} can have ids"):
        token_table(["x"] * ((1 << 20) - FIRST + 1), FIRST, UNKNOWN)
