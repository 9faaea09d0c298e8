"""The student as most would write it: jieba, a dict, padded batches, torch's convolutions. Beside it the shipped scorer
is measured; its scores are the same to float tolerance."""

import math

import jieba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.models.architecture import Architecture
from distill.models.averaging import AveragingPart
from distill.models.bundle import VOCABULARY, Bundle
from distill.text.normalisation import normalise
from distill.text.vocabulary import EDGE, NGRAMS, PADDING, SPECIAL, UNKNOWN, Vocabulary

BATCH = 64  # of similar length, of the sizes tried (32 to 512) the fastest on one core


class PlainTextCNN(nn.Module):
    """The network over padded ids; the channels in the order of their names, as in `distill.models.textcnn`."""

    def __init__(self, bundle: Bundle):
        super().__init__()
        architecture = Architecture.from_json(bundle.manifest["architecture"])
        tensors = {name: torch.from_numpy(np.array(tensor)) for name, tensor in bundle.tensors.items()}
        self.widths = architecture.widths
        self.embeddings, self.convolutions = nn.ModuleDict(), nn.ModuleDict()
        for channel, widths in self.widths.items():
            self.embeddings[channel] = nn.Embedding.from_pretrained(tensors[f"embeddings.{channel}.weight"])
            for width in widths:
                convolution = nn.Conv1d(architecture.embedding, architecture.filters, width)
                weight = tensors[f"taps.{channel}_{width}"].permute(1, 2, 0)
                convolution.load_state_dict({"weight": weight, "bias": tensors[f"biases.{channel}_{width}"]})
                self.convolutions[f"{channel}_{width}"] = convolution
        self.wide = nn.ModuleDict(
            {name: nn.Embedding.from_pretrained(tensors[f"wide.{name}.weight"]) for name in architecture.wide}
        )
        self.average: AveragingPart | None = None
        if architecture.average:
            self.average = AveragingPart(self.widths, architecture.embedding, architecture.average)
            start = "average."
            self.average.load_state_dict({n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)})
        self.channels = sorted({**self.widths, **architecture.wide})
        self.output = nn.Linear(architecture.features, 2)
        self.output.load_state_dict({"weight": tensors["output.weight"], "bias": tensors["output.bias"]})

    def forward(self, *ids: Tensor) -> Tensor:
        """Logits (batch, 2) of int64 ids (batch, tokens) of each channel, padded with 0."""
        by_name, pooled, means = dict(zip(self.channels, ids, strict=True)), [], {}
        for channel in self.widths:
            padded = by_name[channel]
            x = self.embeddings[channel](padded).transpose(1, 2)
            lengths = (padded != PADDING).sum(1, keepdim=True)
            for width in self.widths[channel]:
                convolved = self.convolutions[f"{channel}_{width}"](x)
                windows = (lengths - width).clamp(min=0) + 1
                outside = torch.arange(convolved.shape[2], device=convolved.device) >= windows
                pooled.append(F.relu(convolved.masked_fill(outside[:, None], -math.inf).amax(2)))
            pooled.append(x.sum(2) / lengths.clamp(min=1).sqrt())
            means[channel] = x.sum(2) / lengths.clamp(min=1)
        logits: Tensor = self.output(torch.cat(pooled, 1))
        for channel, weights in self.wide.items():
            lengths = (by_name[channel] != PADDING).sum(1).clamp(min=1)
            half = weights(by_name[channel])[:, :, 0].sum(1) / lengths.sqrt() / 2
            logits = logits + torch.stack([-half, half], 1)
        return logits if self.average is None else (logits + self.average(means)) / 2


class Reader:
    """Texts to the ids of each channel, with jieba and dicts."""

    def __init__(self, bundle: Bundle):
        vocabulary = Vocabulary.from_bytes(bundle.files[VOCABULARY])
        self.limit = vocabulary.max_chars
        self.ids = {
            channel: {token: i + SPECIAL for i, token in enumerate(tokens)}
            for channel, tokens in sorted(vocabulary.channels.items())
        }
        self.widest = max(max(widths) for widths in bundle.manifest["architecture"]["widths"].values())
        jieba.setLogLevel("WARNING")

    def tokens(self, text: str, channel: str) -> list[str]:
        if channel == "word":
            return jieba.lcut(text, HMM=False)
        size = NGRAMS[channel]
        return [text[i : i + size] for i in range(len(text) - size + 1)]

    def encode(self, text: str) -> list[list[int]]:
        """The ids of a raw text, channel by channel."""
        text = normalise(text)[: self.limit]
        return [
            [EDGE, *(ids.get(token, UNKNOWN) for token in self.tokens(text, channel)), EDGE]
            for channel, ids in self.ids.items()
        ]

    def batches(self, texts: list[str]) -> list[tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]]:
        """Row numbers and padded ids of batches of similar length."""
        encoded = [self.encode(text) for text in texts]
        order = np.argsort([len(channels[0]) for channels in encoded], kind="stable")
        in_batches = []
        for rows in np.split(order, range(BATCH, len(order), BATCH)):
            padded = []
            for c in range(len(self.ids)):
                longest = max(self.widest, *(len(encoded[row][c]) for row in rows))
                block = np.full((len(rows), longest), PADDING, np.int64)
                for i, row in enumerate(rows):
                    block[i, : len(encoded[row][c])] = encoded[row][c]
                padded.append(block)
            in_batches.append((rows, padded))
        return in_batches
