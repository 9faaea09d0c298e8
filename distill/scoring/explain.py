"""Why a text has its score: the exact contribution of each n-gram to the margin.

The score is 1 / (1 + exp(-margin)), the margin being the logit of a valid complaint less that of junk. One window of
tokens wins each filter's maximum, so that window alone adds feature * (output of 1 - output of 0); each token adds its
own share of the embeddings' sum, each n-gram of the wide part its own weight. Of the averaging part each token adds its
share of the hidden units that are not 0. These shares and a base that belongs to no character (the biases, the edges of
the text) sum to the margin: nothing is estimated.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distill.errors import BadInput
from distill.scoring.channel import Channel
from distill.scoring.scorer import Scorer, probability
from distill.text.normalisation import normalise, unscorable_reason
from distill.text.vocabulary import Encoded

Span = tuple[int, int]  # characters [start, end) of the normalised text


class Part(NamedTuple):
    """The part of the margin that the characters [start, end) of the normalised text add as one n-gram."""

    start: int
    end: int
    margin: float


@dataclass(frozen=True)
class Explanation:
    """A score and its parts; margin = base + the sum over parts, except for rounding.

    text: the normalised text as far as it was read. base: the part that belongs to no character. parts: one a span, the
    largest in absolute value first.
    """

    text: str
    score: float
    margin: float
    base: float
    parts: Sequence[Part]

    def characters(self) -> npt.NDArray[np.float64]:
        """The part of each character, (characters,): each n-gram's part spread evenly over its characters."""
        weights = np.zeros(len(self.text))
        for start, end, margin in self.parts:
            weights[start:end] += margin / (end - start)
        return weights


def explain(scorer: Scorer, text: str) -> Explanation:
    """Split the score of a raw text into parts; raises BadInput when the text cannot be scored."""
    normalised = normalise(text)
    if reason := unscorable_reason(normalised):
        raise BadInput(f"the text has no score: {reason}")
    read = normalised[: scorer.vocabulary.max_chars]
    encoded = scorer.vocabulary.encode_batch([read])
    logits = scorer.logits(encoded)
    shares: dict[Span, float] = defaultdict(float)
    for name, channel in scorer.channels.items():
        starts, ends = scorer.vocabulary.spans(name, read)
        add_shares(encoded.channels[name].ids, starts, ends, channel, shares)
    for name, halves in scorer.wide.items():
        starts, ends = scorer.vocabulary.spans(name, read)
        ids = encoded.channels[name].ids
        add_each(2 * halves[ids].astype(np.float64) / math.sqrt(len(ids)), starts, ends, shares)
    biases = float(scorer.bias[1] - scorer.bias[0])
    if scorer.average:
        biases += add_average_shares(scorer, read, encoded, shares)
    base = biases + sum(share for (start, end), share in shares.items() if start >= end)
    parts = [Part(*span, share) for span, share in shares.items() if span[0] < span[1] and share]
    parts.sort(key=lambda part: (-abs(part.margin), part.start, part.end))
    margin = float(logits[0, 1].astype(np.float64) - logits[0, 0])
    return Explanation(read, float(probability(logits)[0]), margin, base, parts)


def add_shares(
    ids: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    channel: Channel,
    shares: dict[Span, float],
) -> None:
    """Add the contribution of each window and token to the share of its span, as `channel.add_channel` scores.

    ids, starts, ends: (tokens,), the edges among them as empty spans.
    """
    filters = len(channel.biases) // len(channel.widths)
    rows = channel.table[ids].reshape(len(ids), -1, filters)
    worth = channel.output[1].astype(np.float64) - channel.output[0]
    tap = 0
    for w, width in enumerate(channel.widths):
        count = min(int(width), len(ids))  # a short text has one window
        windows = len(ids) - count + 1
        sums = sum(rows[k : k + windows, tap + k].astype(np.int64) for k in range(count))
        at = slice(w * filters, (w + 1) * filters)
        winner = np.argmax(sums, axis=0)
        best = np.max(sums, axis=0).astype(np.float32)
        gains = np.maximum(best * channel.steps[at] + channel.biases[at], 0) * worth[at]
        for i, gain in enumerate(np.bincount(winner, gains, windows)):
            shares[int(starts[i]), int(ends[i + count - 1])] += float(gain)
        tap += width
    bag = (channel.bag[ids, 1].astype(np.float64) - channel.bag[ids, 0]) / math.sqrt(len(ids))
    add_each(bag, starts, ends, shares)


def add_average_shares(scorer: Scorer, text: str, encoded: Encoded, shares: dict[Span, float]) -> float:
    """Add each token's contribution through the averaging part to the share of its span; returns that of the biases."""
    head = scorer.head
    active = scorer.hidden(encoded)[0] + head.bias > 0
    worth = np.where(active, head.output[1].astype(np.float64) - head.output[0], 0)
    for name, (table, steps) in scorer.average.items():
        ids = encoded.channels[name].ids
        add_each(table[ids] @ (worth * steps) / len(ids), *scorer.vocabulary.spans(name, text), shares)
    return float(worth @ head.bias)


def add_each(
    worth: npt.NDArray[np.float64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    shares: dict[Span, float],
) -> None:
    """Add what each token is worth, (tokens,), to the share of its span."""
    for start, end, share in zip(starts.tolist(), ends.tolist(), worth.tolist(), strict=True):
        shares[start, end] += share


def largest(explanations: Iterable[Explanation], count: int) -> list[Span]:
    """The spans with the largest parts in any of several explanations of one text, the strongest first."""
    strength: dict[Span, float] = defaultdict(float)
    for explanation in explanations:
        for start, end, margin in explanation.parts:
            strength[start, end] = max(strength[start, end], abs(margin))
    return sorted(strength, key=lambda span: (-strength[span], span))[:count]
