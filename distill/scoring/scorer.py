"""The scorer: a textCNN without matrix products, equal to the trained network except for rounding.

A convolution over embeddings is linear, so what a token adds to each filter at each of its taps can be computed once:

    table[token, tap of width w, f] = E[token] . W_w[tap, f]

The convolution at position i is then a sum of w rows of the table. The maximum, bias, ReLU and output layer follow as
in `distill.models.textcnn`. The output layer reduces the sum of embeddings to two numbers a token, computed once too.
The wide part is a look-up as it is, and the hidden layer of the averaging part another table. Where a student has that
part, its logits are the mean of two, so the weights behind all tables are halved.

`distill.scoring.channel` and `distill.scoring.averaging` have the tables and the sums. Every sum is made in one fixed
order, text by text. A score therefore depends on the text and the bundle alone: not on the batch, the threads or the
machine's matrix library. The scorer needs no torch.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from distill.errors import BadModel
from distill.models.architecture import EMBEDDING_STD, Architecture
from distill.models.bundle import VOCABULARY, Bundle
from distill.models.fitness import threshold_of
from distill.scoring.averaging import AverageHead, AverageTable, add_average, add_hidden
from distill.scoring.channel import (
    Channel,
    Floats,
    add_channel,
    add_wide,
    float_table,
    rounded_table,
)
from distill.scoring.drift import Bins, length_bins, unknown_bins
from distill.text.text_batch import REASONS, SCORABLE, column_of, normalise_column
from distill.text.vocabulary import EDGES, UNKNOWN, Encoded, Vocabulary

Margins = npt.NDArray[np.float64]

# The largest weight: far above any that is learned, and small enough that no sum overflows.
LARGEST = 1e6


class Scored(NamedTuple):
    """Scores of a batch: float32 (texts,), the probability of a valid complaint, NaN where a reason stands.

    reasons: string (texts,), why a text has no score, null where it has one. cut: bool (texts,), the text was read to
    its limit only. lengths, unknown: int8 (texts,), the text's bins of length and of unknown tokens
    (`distill.scoring.drift`). margins: float64 (texts,), the student's. student_scores: float32 (texts,), before a
    second reader changed some; reader_scores: the same of the second reader, NaN where it read nothing; both None
    without one.
    """

    scores: Floats
    reasons: pa.StringArray
    cut: npt.NDArray[np.bool_]
    lengths: Bins
    unknown: Bins
    margins: Margins
    student_scores: Floats | None = None
    reader_scores: Floats | None = None


class Scorer:
    """A student, ready to score; `threshold` is the lowest score of a valid complaint."""

    def __init__(self, bundle: Bundle, operating: Mapping[str, Any] | None = None):
        """Build the tables; `operating`, as `Switch.operating`, takes the place of the bundle's threshold.

        Raises BadModel when the bundle is not a student, or would give other ids than in training.
        """
        self.architecture = Architecture.from_json(section(bundle, "architecture"))
        self.vocabulary = Vocabulary.from_bytes(bundle.files[VOCABULARY])
        self.threshold = threshold_of(operating or section(bundle, "threshold"))
        self._check(bundle)
        self.channels: dict[str, Channel] = {}
        self.average: dict[str, AverageTable] = {}
        share = np.float32(0.5 if self.architecture.average else 1)
        column = 0
        for name, widths in self.architecture.widths.items():
            pooled = len(widths) * self.architecture.filters
            columns = share * bundle.tensors["output.weight"][:, column : column + pooled + self.architecture.embedding]
            self.channels[name] = self._channel(bundle, name, columns[:, :pooled], columns[:, pooled:])
            column += columns.shape[1]
            if self.architecture.average:
                self.average[name] = self._average_table(bundle, name)
        self.bias = share * bundle.tensors["output.bias"].astype(np.float64)
        self.wide = {
            name: np.ascontiguousarray(share * bundle.tensors[f"wide.{name}.weight"][:, 0] / 2, np.float32)
            for name in self.architecture.wide
        }
        if self.architecture.average:
            self.bias += share * bundle.tensors["average.output.bias"]
            output = share * bundle.tensors["average.output.weight"]
            self.head = AverageHead(bundle.tensors["average.bias"], np.ascontiguousarray(output, np.float32))

    def _check(self, bundle: Bundle) -> None:
        shapes = {name: tensor.shape for name, tensor in bundle.tensors.items()}
        wrong = {name for name, shape in self.architecture.shapes().items() if shapes.get(name) != shape}
        if wrong:
            raise BadModel(
                f"tensor {min(wrong)} does not have the shape of the manifest's architecture; save the model again"
            )
        if large := {name for name, tensor in bundle.tensors.items() if not within(tensor, LARGEST)}:
            raise BadModel(
                f"tensor {min(large)} holds numbers beyond {LARGEST:g}, as no training gives; train it again"
            )
        for channel, ids in {**self.architecture.ids, **self.architecture.wide}.items():
            if self.vocabulary.sizes.get(channel) != ids:
                raise BadModel(
                    f"the vocabulary of channel {channel} does not have the {ids} ids of the architecture; "
                    "save the model again"
                )
        trained = section(bundle, "text")
        if trained.get("fingerprint") != self.vocabulary.fingerprint():
            segmenter = self.vocabulary.segmenter
            raise BadModel(
                "the model was trained with another text pipeline and would be given other ids here "
                f"(segmenter {trained.get('segmenter')} with dictionary {str(trained.get('dictionary_sha256'))[:12]}, "
                f"here {segmenter.name} with {segmenter.dictionary_sha256[:12]}); "
                "install the versions in its lineage, or train it again"
            )

    def _channel(self, bundle: Bundle, name: str, pooled: Floats, summed: Floats) -> Channel:
        """The channel's tables; pooled (2, widths * filters) and summed (2, embedding) are its output weights."""
        widths = self.architecture.widths[name]
        # (taps, embedding, filters): the filters last, so that compiled code adds them side by side.
        taps = np.concatenate([bundle.tensors[f"taps.{name}_{width}"] for width in widths]).transpose(0, 2, 1)
        embeddings = np.ascontiguousarray(bundle.tensors[f"embeddings.{name}.weight"], np.float32)
        biases = np.concatenate([bundle.tensors[f"biases.{name}_{width}"] for width in widths])
        taps = np.ascontiguousarray(taps, np.float32)
        return Channel(
            *rounded_table(embeddings, taps, widths),
            np.array(widths, np.int64),
            biases.astype(np.float32),
            np.ascontiguousarray(pooled, np.float32),
            float_table(embeddings, np.ascontiguousarray(summed.T[None], np.float32)),
        )

    def _average_table(self, bundle: Bundle, name: str) -> AverageTable:
        """The channel's table of the averaging part."""
        embeddings = np.ascontiguousarray(bundle.tensors[f"embeddings.{name}.weight"], np.float32)
        layer = bundle.tensors[f"average.layers.{name}.weight"].T[None] / np.float32(EMBEDDING_STD)
        return AverageTable(*rounded_table(embeddings, np.ascontiguousarray(layer, np.float32), (1,)))

    def score(self, texts: Sequence[str | None] | pa.Array) -> Scored:
        """Score raw texts, fastest as an Arrow column; a text that cannot be scored has a reason instead."""
        column = texts if isinstance(texts, pa.Array) else column_of(texts)
        normalised = normalise_column(column)
        encoded = self.vocabulary.encode_codes(normalised.codes, normalised.offsets)
        scorable = normalised.reasons == SCORABLE
        margins = np.where(scorable, margins_of(self.logits(encoded)), np.nan)
        reasons = pa.array(REASONS, pa.string()).take(pa.array(normalised.reasons))
        cut = (encoded.cut & scorable) | normalised.cut
        lengths = length_bins(np.diff(normalised.offsets))
        return Scored(probability_of(margins), reasons, cut, lengths, self.unknown(encoded), margins)

    def unknown(self, encoded: Encoded) -> Bins:
        """The bins of the share of unknown tokens of the network's first channel, (texts,)."""
        ids, offsets = encoded.channels[next(iter(self.architecture.widths))]
        return unknown_bins(ids, offsets, UNKNOWN, EDGES)

    def rounding(self) -> Floats:
        """The most that a logit can be off by the table's steps, float32 (2,)."""
        off = np.zeros(2, np.float32)
        for channel in self.channels.values():
            taps = np.repeat(channel.widths, len(channel.steps) // len(channel.widths))
            off += np.abs(channel.output) @ (channel.steps * taps / 2).astype(np.float32)
        for table in self.average.values():
            off += np.abs(self.head.output) @ (table.steps / 2)
        return off

    def score_normalised(self, texts: list[str]) -> Floats:
        """Scores of texts that are normalised and scorable, float32 (texts,)."""
        return probability_of(self.margins_normalised(texts))

    def margins_normalised(self, texts: list[str]) -> Margins:
        """Margins of texts that are normalised and scorable, float64 (texts,)."""
        return margins_of(self.logits(self.vocabulary.encode_batch(texts)))

    def logits(self, encoded: Encoded) -> Floats:
        """Logits of encoded texts, float32 (texts, 2)."""
        logits = np.tile(self.bias, (len(encoded.cut), 1))
        for name, channel in self.channels.items():
            add_channel(*encoded.channels[name], channel, logits)
        for name, halves in self.wide.items():
            add_wide(*encoded.channels[name], halves, logits)
        if self.average:
            add_hidden(self.hidden(encoded), self.head, logits)
        return logits.astype(np.float32)

    def hidden(self, encoded: Encoded) -> Floats:
        """The hidden layer of the averaging part before its bias, float32 (texts, units)."""
        hidden = np.zeros((len(encoded.cut), self.architecture.average), np.float32)
        for name, table in self.average.items():
            add_average(*encoded.channels[name], table, hidden)
        return hidden


def section(bundle: Bundle, name: str) -> dict[str, Any]:
    """A section of the manifest; raises BadModel when it is missing."""
    content = bundle.manifest.get(name)
    if not isinstance(content, dict):
        raise BadModel(f"the manifest has no section {name!r}; train the model again")
    return content


def within(tensor: npt.NDArray[Any], bound: float) -> bool:
    """Whether no number of the tensor is beyond the bound, without a copy in memory."""
    return bool(tensor.max(initial=0) <= bound and tensor.min(initial=0) >= -bound)


def margins_of(logits: Floats) -> Margins:
    """The logit of a valid complaint less that of junk, float64 (texts,)."""
    margins: Margins = logits[:, 1].astype(np.float64) - logits[:, 0]
    return margins


def probability_of(margins: Margins) -> Floats:
    """The probability of a valid complaint, float32 (texts,): the sigmoid of the margin, NaN for NaN."""
    return (1 / (1 + np.exp(-margins))).astype(np.float32)


def probability(logits: Floats) -> Floats:
    """Softmax probability of class 1, float32 (texts,)."""
    return probability_of(margins_of(logits))


def margin_of(score: float) -> float:
    """The difference of the logits, valid less junk, that gives a score; finite for every score."""
    score = min(max(score, 1e-12), 1 - 1e-12)
    return math.log(score / (1 - score))
