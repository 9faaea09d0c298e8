"""The averaging part of a student: a deep averaging network (Iyyer et al. 2015, ACL, "Deep Unordered Composition").

    d = ReLU(e + sum_g A_g mean_i x_i / 0.1)     over the tokens i of each channel g
    z = V d + v                                  (2,) the logits

It reads what a text is about; no single phrase can decide. So it errs elsewhere than the convolutions do, most of all
on texts of sources that nobody labelled.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.models.architecture import EMBEDDING_STD


class AveragingPart(nn.Module):
    """The network over the mean embeddings of a text's channels."""

    def __init__(self, channels: Iterable[str], embedding: int, units: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({channel: nn.Linear(embedding, units, bias=False) for channel in channels})
        self.bias = nn.Parameter(torch.zeros(units))
        self.output = nn.Linear(units, 2)

    def forward(self, means: dict[str, Tensor]) -> Tensor:
        """Logits, (batch, 2), of the mean embeddings by channel, (batch, embedding)."""
        layers = [layer(means[channel] / EMBEDDING_STD) for channel, layer in self.layers.items()]
        logits: Tensor = self.output(F.relu(sum(layers, start=self.bias)))
        return logits
