"""The distance of a day from the model's training, by the population stability index of four histograms.

Scores, lengths of texts, shares of unknown tokens and sources. The bands are the customary ones: below 0.1 a day is
stable, from 0.25 on the change is significant (Siddiqi 2006, Credit Risk Scorecards). Two samples of one distribution
have an index too, about chi-squared times (1/n + 1/m) (Yurdakul and Naranjo 2020): an index within chance is stable.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

SCORE_BINS = 20  # equal ones, of scores from 0 to 1
# Bin i holds what is above edge i - 1 and not above edge i; one more bin holds what is above the last.
LENGTH_EDGES = np.array([8, 16, 24, 32, 48, 64, 96, 128, 192, 256])  # characters of a normalised text
UNKNOWN_EDGES = np.array([0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5])  # share of a text's tokens
SOURCES = 50  # the most frequent ones count by name, all others together

MODERATE, SIGNIFICANT = 0.1, 0.25
BANDS = ("stable", "moderate", "significant")
CHANCE = 0.999  # of indices of two equal distributions that are called stable

Bins = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Profile:
    """Rows counted by bin of score, length and share of unknown tokens, and by source."""

    rows: int
    scores: list[int]
    lengths: list[int]
    unknown: list[int]
    sources: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The section `profile` of a bundle's manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Drift:
    """The index of each histogram, None where the bundle has no profile, and the band of the largest."""

    scores: float | None
    lengths: float | None
    unknown: float | None
    sources: float | None
    band: str | None

    def summary(self) -> str:
        """The indices in one line."""
        indices = {name: index for name, index in asdict(self).items() if name != "band" and index is not None}
        return ", ".join(f"{name} {index:.3f}" for name, index in indices.items())


def profile(scores: npt.NDArray[np.float32], lengths: Bins, unknown: Bins, sources: Iterable[str]) -> Profile:
    """The profile of rows: scores float32, bins of lengths and unknown shares int8, sources, each (rows,).

    A row without a source counts as one of another source.
    """
    return Profile(
        len(scores),
        np.histogram(scores, SCORE_BINS, (0, 1))[0].tolist(),
        np.bincount(lengths, minlength=len(LENGTH_EDGES) + 1).tolist(),
        np.bincount(unknown, minlength=len(UNKNOWN_EDGES) + 1).tolist(),
        dict(Counter(str(source) for source in sources if source).most_common(SOURCES)),
    )


def expected_of(manifest: Mapping[str, Any]) -> Profile | None:
    """The profile in a bundle's manifest; None where it has none."""
    return Profile(**manifest["profile"]) if "profile" in manifest else None


def compare(expected: Profile | None, day: Profile) -> Drift:
    """The drift of a day; sources that `expected` does not name count together."""
    pairs: dict[str, tuple[list[int], list[int]]] = {}
    if expected:
        pairs = {name: (getattr(expected, name), getattr(day, name)) for name in ("scores", "lengths", "unknown")}
        if expected.sources:
            named = [day.sources.get(source, 0) for source in expected.sources]
            pairs["sources"] = (
                [*expected.sources.values(), expected.rows - sum(expected.sources.values())],
                [*named, day.rows - sum(named)],
            )
    indices = {name: stability_index(e, a) if sum(e) and sum(a) else None for name, (e, a) in pairs.items()}
    bands = [band(index, *pairs[name]) for name, index in indices.items() if index is not None]
    furthest = max(bands, key=BANDS.index) if bands else None
    return Drift(
        indices.get("scores"), indices.get("lengths"), indices.get("unknown"), indices.get("sources"), furthest
    )


def stability_index(expected: Sequence[int], actual: Sequence[int]) -> float:
    """Population stability index of two histograms of the same bins: sum (a - e) ln(a / e) over their shares.

    Bins that are empty in both do not count; one that is empty in either counts as half a row, so that the index stays
    finite.
    """
    e, a = (np.maximum(rows, 0.5) for rows in used(expected, actual))
    e, a = e / e.sum(), a / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def band(index: float, expected: Sequence[int], actual: Sequence[int]) -> str:
    """The band of an index of two histograms."""
    from scipy.stats import chi2  # late: it takes half a second, which the workers that only bin rows do not need

    e, a = used(expected, actual)
    by_chance = chi2.ppf(CHANCE, max(len(e) - 1, 1)) * (1 / e.sum() + 1 / a.sum())
    if index < max(MODERATE, by_chance):
        return BANDS[0]
    return BANDS[1] if index < SIGNIFICANT else BANDS[2]


def used(expected: Sequence[int], actual: Sequence[int]) -> npt.NDArray[np.int64]:
    """Both histograms without the bins that are empty in both, (2, bins)."""
    both = np.array([expected, actual])
    return both[:, both.any(axis=0)]


def length_bins(lengths: npt.NDArray[np.int64]) -> Bins:
    """The bins of lengths in characters, (texts,)."""
    return np.searchsorted(LENGTH_EDGES, lengths).astype(np.int8)


def unknown_bins(ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], unknown: int, edges: int) -> Bins:
    """The bins of the share of unknown tokens, (texts,); text i has ids[offsets[i]:offsets[i+1]], `edges` no tokens."""
    tokens = np.maximum(np.diff(offsets) - edges, 1)
    bins: Bins = np.searchsorted(UNKNOWN_EDGES, count_of(ids, offsets, unknown) / tokens).astype(np.int8)
    return bins


@numba.njit(cache=True)
def count_of(ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], wanted: int) -> npt.NDArray[np.int64]:
    """How often an id occurs in each text, (texts,)."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for text in range(len(counts)):
        for i in range(offsets[text], offsets[text + 1]):
            counts[text] += ids[i] == wanted
    return counts
