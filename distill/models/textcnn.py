"""The student: a textCNN (Kim 2014) that reads a text as several kinds of token at once, such as words and characters.

Each channel has its own embeddings and convolutions. Its features are the maximum of each filter over all positions,
and the sum of the embeddings (as in fastText, Joulin 2016), scaled so that long texts do not drown short ones:

    x = E[ids]                                          (tokens, embedding)
    c_w,f(i) = sum_k x[i + k] . W_w[k, f]               every full window of w tokens, w in the channel's widths
    h_w,f = ReLU(b_w,f + max_i c_w,f(i))
    m = sum_i x_i / sqrt(tokens)
    s = sum_g sum_j a_g[j] / sqrt(n-grams)              each n-gram j of the wide channels g
    z = dropout([h, m]) U + u + [-s / 2, s / 2]         (2,) the logits: junk, valid complaint

A text with fewer tokens than w has one window, filled up with zeros. Everything before the maximum, and all of m, is
linear in the embeddings, so `distill.scoring.scorer` replaces it with look-ups.

The logits of the student are the mean of z and of those of `distill.models.averaging`. In training each text trains one
of the two, drawn at random: two that learn apart err apart, and their mean is better than either.

The wide part s (Cheng et al. 2016, Wide & Deep Learning) is a linear model of n-grams: it remembers phrases that the
convolutions, the deep part, blur into similar ones. One number an n-gram needs no matrix product even in training.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.models.architecture import EMBEDDING_STD, Architecture, Dropout
from distill.models.averaging import AveragingPart
from distill.text.vocabulary import PADDING, UNKNOWN, Encoded, Ids


class Tokens(NamedTuple):
    """A channel of a batch: text after text without padding, except that short texts are filled up with id 0.

    ids: int64 (tokens,). text: int64 (tokens,), the text that a token is of. position: int64 (tokens,), its place
    there. lengths: int64 (batch,), tokens of each text without what fills it up.
    """

    ids: Tensor
    text: Tensor
    position: Tensor
    lengths: Tensor


Batch = dict[str, Tokens]


class Encodings(NamedTuple):
    """A textCNN's view of encoded texts (see `distill.data.dataset.View`)."""

    encoded: Encoded
    architecture: Architecture

    def take(self, rows: Tensor) -> Batch:
        """The tokens of some texts, int64 (batch,)."""
        widest = {name: max(widths) for name, widths in self.architecture.widths.items()}
        widest |= dict.fromkeys(self.architecture.wide, 1)
        return {name: take(self.encoded.channels[name], rows, width) for name, width in widest.items()}


class TextCNN(nn.Module):
    """The network; `forward` returns logits, `features` the input of the output layer."""

    def __init__(self, architecture: Architecture, dropout: Dropout) -> None:
        super().__init__()
        self.architecture = architecture
        self.dropout = dropout
        dim, filters = architecture.embedding, architecture.filters
        self.embeddings = nn.ModuleDict()
        self.taps = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for channel, widths in architecture.widths.items():
            embedding = nn.Embedding(architecture.ids[channel], dim, padding_idx=PADDING)
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
            nn.init.zeros_(embedding.weight[PADDING])
            self.embeddings[channel] = embedding
            for width in widths:
                bound = (width * dim) ** -0.5
                self.taps[f"{channel}_{width}"] = nn.Parameter(torch.empty(width, filters, dim).uniform_(-bound, bound))
                self.biases[f"{channel}_{width}"] = nn.Parameter(torch.zeros(filters))
        self.output = nn.Linear(architecture.features, 2)
        self.wide = nn.ModuleDict()
        for channel, ids in architecture.wide.items():
            weights = nn.Embedding(ids, 1, padding_idx=PADDING)
            nn.init.zeros_(weights.weight)
            self.wide[channel] = weights
        self.average = AveragingPart(architecture.widths, dim, architecture.average) if architecture.average else None

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (batch, 2)."""
        features, means = self._read(batch)
        logits = self._convolved(features, batch)
        if self.average is None:
            return logits
        averaged: Tensor = self.average(means)
        if self.training and self.dropout.part:
            return logits.where(torch.rand(len(logits), 1, device=logits.device) < 0.5, averaged)
        return (logits + averaged) / 2

    def _convolved(self, features: Tensor, batch: Batch) -> Tensor:
        """The logits z of the convolutions and the wide part, (batch, 2)."""
        logits: Tensor = self.output(F.dropout(features, self.dropout.feature, self.training))
        for channel, weights in self.wide.items():
            tokens = batch[channel]
            total = logits.new_zeros(len(logits)).index_add(0, tokens.text, weights(tokens.ids)[:, 0])
            half = total / tokens.lengths.clamp(min=1).sqrt() / 2
            logits = logits + torch.stack([-half, half], dim=1)
        return logits

    def features(self, batch: Batch) -> Tensor:
        """The input of the output layer, (batch, features), in the order of `Architecture.features`."""
        return self._read(batch)[0]

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """All parameters alike, for an optimizer."""
        return [{"params": list(self.parameters()), "lr": learning_rate, "weight_decay": weight_decay}]

    def _read(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The features, and by channel the mean embedding of each text, (batch, embedding)."""
        read = {channel: self._pooled(channel, batch[channel]) for channel in self.architecture.widths}
        features = torch.cat([pooled for pooled, _ in read.values()], dim=1)
        return features, {channel: mean for channel, (_, mean) in read.items()}

    def _pooled(self, channel: str, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """A channel's features, and the mean of its embeddings."""
        ids = tokens.ids
        if self.training and self.dropout.token:
            lost = (torch.rand(ids.shape, device=ids.device) < self.dropout.token) & (ids != PADDING)
            ids = ids.masked_fill(lost, UNKNOWN)
        # A batch repeats few distinct tokens, so each is multiplied once and its products are gathered.
        types, places = torch.unique(ids, return_inverse=True)
        x = F.dropout(self.embeddings[channel](types), self.dropout.embedding, self.training)
        spans = tokens.lengths.clamp(min=max(self.architecture.widths[channel]))
        starts = spans.cumsum(0) - spans
        pooled = []
        for width in self.architecture.widths[channel]:
            products = torch.einsum("td,kfd->ktf", x, self.taps[f"{channel}_{width}"])
            windows = (tokens.lengths - width).clamp(min=0) + 1
            with torch.no_grad():
                best = best_windows(products, places, starts, windows)
            # Only a filter's best window has a gradient, so only its products are gathered.
            at = sum(products[k].gather(0, places[best + k]) for k in range(width))
            pooled.append(F.relu(at + self.biases[f"{channel}_{width}"]))
        total = x.new_zeros(len(spans), x.shape[1]).index_add(0, tokens.text, x[places])
        lengths = tokens.lengths.clamp(min=1)[:, None]
        pooled.append(total / lengths.sqrt())
        return torch.cat(pooled, dim=1), total / lengths


def best_windows(products: Tensor, places: Tensor, starts: Tensor, windows: Tensor) -> Tensor:
    """First token of the best window (the greatest sum over the taps) by text and filter, int64 (batch, filters).

    products (taps, types, filters): what a token type adds at a tap. places (tokens,): the type of each token. starts,
    windows (batch,): a text's first token and its number of windows.
    """
    if products.device.type != "cpu":
        return best_windows_by_tensors(products, places, starts, windows)
    best = np.empty((len(starts), products.shape[2]), np.int64)
    _best_windows(products.numpy(), places.numpy(), starts.numpy(), windows.numpy(), best)
    return torch.from_numpy(best)


def best_windows_by_tensors(products: Tensor, places: Tensor, starts: Tensor, windows: Tensor) -> Tensor:
    """As `best_windows`, in torch, for a GPU; it holds every window of the batch at once."""
    offset = torch.arange(int(windows.max()), device=places.device)
    at = (starts[:, None] + offset).where(offset < windows[:, None], starts[:, None])  # (batch, windows)
    sums = sum(products[k][places[at + k]] for k in range(len(products)))
    return starts[:, None] + torch.as_tensor(sums).argmax(dim=1)


@numba.njit(cache=True)
def _best_windows(products, places, starts, windows, best):  # type: ignore[no-untyped-def]
    taps, _, filters = products.shape
    window = np.empty(filters, np.float32)
    highest = np.empty(filters, np.float32)
    for text in range(len(starts)):
        highest[:] = -np.inf
        for i in range(starts[text], starts[text] + windows[text]):
            window[:] = products[0, places[i]]
            for k in range(1, taps):
                row = products[k, places[i + k]]
                for f in range(filters):
                    window[f] += row[f]
            for f in range(filters):
                better = window[f] > highest[f]
                highest[f] = window[f] if better else highest[f]
                best[text, f] = i if better else best[text, f]


def take(channel: Ids, rows: Tensor, widest: int) -> Tokens:
    """The tokens of some texts (int64 (batch,)) of an encoded set, each filled up to the widest filter."""
    offsets = torch.from_numpy(channel.offsets)
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    spans = lengths.clamp(min=widest)
    ends = spans.cumsum(0)
    text = torch.repeat_interleave(torch.arange(len(rows)), spans)
    position = torch.arange(len(text)) - (ends - spans)[text]
    inside = position < lengths[text]
    flat = torch.from_numpy(channel.ids)
    ids = torch.full((len(text),), PADDING)
    ids[inside] = flat[(starts[text] + position)[inside]].long()
    return Tokens(ids, text, position, lengths)
