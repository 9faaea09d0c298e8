"""Drift: the index by hand, its bands, what chance gives, and what is compared with what."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr

from distill.scoring import drift
from distill.scoring.drift import (
    Profile,
    compare,
    count_of,
    expected_of,
    length_bins,
    profile,
    stability_index,
    unknown_bins,
)


def test_the_index_by_hand() -> None:
    assert stability_index([5, 5, 0], [5, 5, 0]) == 0
    # Shares 1/2 and 1/2 against 3/4 and 1/4: 1/4 ln(3/2) - 1/4 ln(1/2) = 1/4 ln 3.
    assert stability_index([2, 2], [3, 1]) == pytest.approx(0.25 * 1.0986122887)
    assert stability_index([2, 0, 2], [3, 0, 1]) == stability_index([2, 2], [3, 1])
    assert 0 < stability_index([9, 0], [0, 9]) < 10


counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12).filter(
    lambda bins: any(e for e, _ in bins) and any(a for _, a in bins)
)


@given(counts)
def test_the_index_is_the_relative_entropy_both_ways_round(bins: list[tuple[int, int]]) -> None:
    e, a = (np.maximum(rows, 0.5) for rows in zip(*[pair for pair in bins if any(pair)], strict=True))
    e, a = e / e.sum(), a / a.sum()
    there, back = rel_entr(a, e).sum(), rel_entr(e, a).sum()
    expected, actual = zip(*bins, strict=True)
    assert stability_index(expected, actual) == pytest.approx(there + back)
    assert stability_index(actual, expected) == pytest.approx(there + back)


def test_bands_are_the_customary_ones_where_there_are_rows_enough() -> None:
    e = [5000, 5000]
    shares = {0.55: "stable", 0.7: "moderate", 0.8: "significant"}
    for share, named in shares.items():
        a = [int(10_000 * share), int(10_000 * (1 - share))]
        assert drift.band(stability_index(e, a), e, a) == named


def test_few_rows_of_the_same_distribution_are_stable() -> None:
    """Twenty bins of sixty rows have an index above 0.25 more often than not, and that says nothing."""
    random, e = np.random.default_rng(0), [500] * 20
    indices, bands = [], []
    for _ in range(300):
        a = random.multinomial(60, [1 / 20] * 20).tolist()
        indices.append(stability_index(e, a))
        bands.append(drift.band(indices[-1], e, a))
    assert np.mean(np.array(indices) > drift.SIGNIFICANT) > 0.5
    assert bands.count("stable") / len(bands) > 0.97


def test_bins_hold_their_right_edge() -> None:
    assert length_bins(np.array([0, 1, 8, 9, 256, 257])).tolist() == [0, 0, 0, 1, 9, 10]
    # Edge tokens 2; 1 is unknown. No token, 0 of 2, 1 of 2, 2 of 2, and 1 of 20, which is the edge 0.05.
    texts = [[2, 2], [2, 5, 6, 2], [2, 1, 6, 2], [2, 1, 1, 2], [2, 1, *[7] * 19, 2]]
    ids = np.array([token for text in texts for token in text], np.int32)
    offsets = np.cumsum([0, *map(len, texts)])
    assert count_of(ids, offsets, 1).tolist() == [0, 0, 1, 2, 1]
    assert unknown_bins(ids, offsets, 1, 2).tolist() == [0, 0, 6, 7, 1]


def some_profile(rows: int, seed: int, source: str = "web") -> Profile:
    random = np.random.default_rng(seed)
    sources = [source] * (rows // 2) + ["app"] * (rows - rows // 2)
    bins = [random.integers(0, 5, rows).astype(np.int8) for _ in range(2)]
    return profile(random.random(rows).astype(np.float32), *bins, sources)


def test_a_day_like_the_training_is_stable_and_each_kind_of_change_is_found() -> None:
    expected, day = some_profile(4000, 0), some_profile(3000, 1)
    same = compare(expected, day)
    assert same.band == "stable" and all(index is not None for index in (same.scores, same.sources))
    changes = {
        "scores": replace(day, scores=[3000, *[0] * 19]),
        "lengths": replace(day, lengths=[0] * 10 + [3000]),
        "unknown": replace(day, unknown=[0] * 7 + [3000]),
        "sources": replace(day, sources={"web": 10, "": 2990}),
    }
    for name, changed in changes.items():
        distances = compare(expected, changed)
        far = [kind for kind in changes if getattr(distances, kind) > drift.SIGNIFICANT]
        assert far == [name] and distances.band == "significant"
        assert f"{name} {getattr(distances, name):.3f}" in distances.summary()


def test_sources_beyond_the_most_frequent_and_none_count_as_others() -> None:
    many = profile(
        np.zeros(130, np.float32),
        np.zeros(130, np.int8),
        np.zeros(130, np.int8),
        ["a"] * 60 + [str(i) for i in range(60)] + [""] * 10,
    )
    assert len(many.sources) == drift.SOURCES and many.sources["a"] == 60 and "" not in many.sources
    others = 130 - sum(many.sources.values())
    day = replace(many, sources={**many.sources, "": others})
    assert compare(many, day).sources == 0


def test_a_profile_survives_its_manifest_and_a_bundle_may_have_none() -> None:
    expected, day = some_profile(100, 0), some_profile(100, 1)
    assert expected_of(json.loads(json.dumps({"profile": expected.to_json()}))) == expected
    scores_alone = compare(replace(expected, lengths=[], unknown=[], sources={}), day)
    assert scores_alone.scores == stability_index(expected.scores, day.scores)
    assert (scores_alone.lengths, scores_alone.unknown, scores_alone.sources) == (None, None, None)
    none = compare(expected_of({}), day)
    assert none.scores is None and none.band is None and none.summary() == ""
