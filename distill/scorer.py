"""The scorer: a textCNN without a matrix product, equal to the network it was made from.

A convolution over embeddings is linear, so what a token adds to each filter at each of its taps can be computed once:

    table[token, tap of width w, f] = E[token] . W_w[tap, f]

The convolution at position i is then a sum of w rows of the table, and the maximum, bias, ReLU and output layer
follow as in `distill.textcnn`. Of the embeddings' sum the output layer leaves two numbers a token, computed once too.
Every sum is made in one fixed order, text by text, so that a score depends on the text and the bundle alone: not on
the batch, the threads or the machine's matrix library. It needs no torch.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from distill.architecture import Architecture
from distill.bundle import VOCABULARY, Bundle
from distill.errors import BadModel
from distill.text import RAW_LIMIT, normalise_batch, unscorable_reason
from distill.vocabulary import Encoded, Vocabulary

Floats = npt.NDArray[np.float32]

# Of scores from 0 to 1; a day's histogram is compared with the one in the bundle, so both have these.
HISTOGRAM_BINS = 20


class Scored(NamedTuple):
    """Scores of a batch: float32 (texts,), the probability of a valid complaint, NaN where there is a reason why not.

    reasons: why a text has no score, None where it has one. cut: bool (texts,), the text was read to its limit only.
    """

    scores: Floats
    reasons: list[str | None]
    cut: npt.NDArray[np.bool_]


class Channel(NamedTuple):
    """One channel's part of the network.

    table float32 (ids, taps * filters); widths int64 (widths,); biases float32 (widths * filters,); output float32
    (2, widths * filters), the output layer's part for them; bag float32 (ids, 2), what a token's embedding adds to the
    logits through the embeddings' sum.
    """

    table: Floats
    widths: npt.NDArray[np.int64]
    biases: Floats
    output: Floats
    bag: Floats


class Scorer:
    """A student, ready to score; `threshold` is the lowest score of a valid complaint."""

    def __init__(self, bundle: Bundle):
        """Build the tables; raises BadModel when the bundle is no student, or would give other ids than in training."""
        self.architecture = Architecture.from_json(section(bundle, "architecture"))
        self.vocabulary = Vocabulary.from_bytes(bundle.files[VOCABULARY])
        self.threshold = np.float32(section(bundle, "threshold").get("value", math.nan))
        if not 0 <= self.threshold <= 1:
            raise BadModel("the manifest has no threshold between 0 and 1; train the model again")
        self._check(bundle)
        self._channels: dict[str, Channel] = {}
        column = 0
        for name, widths in self.architecture.widths.items():
            pooled = len(widths) * self.architecture.filters
            columns = bundle.tensors["output.weight"][:, column : column + pooled + self.architecture.embedding]
            self._channels[name] = self._channel(bundle, name, columns[:, :pooled], columns[:, pooled:])
            column += columns.shape[1]
        self._bias = bundle.tensors["output.bias"].astype(np.float64)

    def _check(self, bundle: Bundle) -> None:
        shapes = {name: tensor.shape for name, tensor in bundle.tensors.items()}
        wrong = {name for name, shape in self.architecture.shapes().items() if shapes.get(name) != shape}
        if wrong:
            raise BadModel(f"tensor {min(wrong)} has not the shape that the manifest's architecture says")
        for channel, ids in self.architecture.ids.items():
            if channel not in self.vocabulary.channels or self.vocabulary.size(channel) != ids:
                raise BadModel(f"the vocabulary of channel {channel} has not the {ids} ids of the architecture")
        told = section(bundle, "text")
        if told.get("fingerprint") != self.vocabulary.fingerprint():
            segmenter = self.vocabulary.segmenter
            raise BadModel(
                "the model was trained with another text pipeline and would be given other ids here "
                f"(segmenter {told.get('segmenter')} with dictionary {str(told.get('dictionary_sha256'))[:12]}, "
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
        return Channel(
            build_table(embeddings, np.ascontiguousarray(taps, np.float32)),
            np.array(widths, np.int64),
            biases.astype(np.float32),
            np.ascontiguousarray(pooled, np.float32),
            build_table(embeddings, np.ascontiguousarray(summed.T[None], np.float32)),
        )

    def score(self, texts: Sequence[str | None]) -> Scored:
        """Score raw texts; a text that cannot be scored has a reason instead (see `distill.text.unscorable_reason`)."""
        there = [i for i, text in enumerate(texts) if text is not None]
        normalised: list[str | None] = [None] * len(texts)
        for i, text in zip(there, normalise_batch([texts[i] or "" for i in there]), strict=True):
            normalised[i] = text
        reasons = [unscorable_reason(text) for text in normalised]
        rows = [i for i, reason in enumerate(reasons) if reason is None]
        encoded = self.vocabulary.encode_batch([normalised[i] or "" for i in rows])
        scores = np.full(len(texts), np.nan, np.float32)
        scores[rows] = probability(self.logits(encoded))
        cut = np.zeros(len(texts), np.bool_)
        cut[rows] = encoded.cut
        cut |= np.fromiter((len(text or "") > RAW_LIMIT for text in texts), np.bool_, len(texts))
        return Scored(scores, reasons, cut)

    def logits(self, encoded: Encoded) -> Floats:
        """Logits of encoded texts, float32 (texts, 2)."""
        logits = np.tile(self._bias, (len(encoded.cut), 1))
        for name, channel in self._channels.items():
            add_channel(*encoded.channels[name], channel, logits)
        return logits.astype(np.float32)


def section(bundle: Bundle, name: str) -> dict[str, Any]:
    """A section of the manifest; raises BadModel when it is not there."""
    found = bundle.manifest.get(name)
    if not isinstance(found, dict):
        raise BadModel(f"the manifest has no section {name!r}; train the model again")
    return found


def probability(logits: Floats) -> Floats:
    """Softmax probability of class 1, float32 (texts,)."""
    margin = logits[:, 1].astype(np.float64) - logits[:, 0]
    return (1 / (1 + np.exp(-margin))).astype(np.float32)


@numba.njit(cache=True)
def build_table(embeddings: Floats, taps: Floats) -> Floats:
    """The look-up table of a channel: embeddings (ids, d) and taps (t, d, f) -> (ids, t * f)."""
    ids, dim = embeddings.shape
    count, _, filters = taps.shape
    table = np.zeros((ids, count * filters), np.float32)
    for i in range(ids):
        for t in range(count):
            row = table[i, t * filters : (t + 1) * filters]
            for d in range(dim):
                e = embeddings[i, d]
                for f in range(filters):
                    row[f] += e * taps[t, d, f]
    return table


@numba.njit(cache=True)
def add_channel(
    ids: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    channel: Channel,
    logits: npt.NDArray[np.float64],
) -> None:
    """Add what a channel says of every text to its logits, (texts, 2)."""
    filters = len(channel.biases) // len(channel.widths)
    window = np.empty(filters, np.float32)
    best = np.empty(filters, np.float32)
    for text in range(len(offsets) - 1):
        tokens = ids[offsets[text] : offsets[text + 1]]
        tap = 0
        for w in range(len(channel.widths)):
            width = channel.widths[w]
            best[:] = -np.inf
            for i in range(max(len(tokens) - width, 0) + 1):
                window[:] = np.float32(0)
                # What fills up a short text has the embedding zero, and so adds nothing.
                for k in range(min(width, len(tokens))):
                    row = channel.table[tokens[i + k], (tap + k) * filters : (tap + k + 1) * filters]
                    for f in range(filters):
                        window[f] += row[f]
                for f in range(filters):
                    best[f] = max(best[f], window[f])
            for f in range(filters):
                feature = max(best[f] + channel.biases[w * filters + f], np.float32(0))
                for label in range(2):
                    logits[text, label] += np.float64(feature) * np.float64(channel.output[label, w * filters + f])
            tap += width
        for label in range(2):
            total = 0.0
            for token in tokens:
                total += channel.bag[token, label]
            logits[text, label] += total / math.sqrt(max(len(tokens), 1))
