"""How one training step updates whom: one class a scheme, its formula beside it."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from distill.dataset import Batch
from distill.learner import Learner


class Scheme(Protocol):
    """What the training loop needs of a scheme."""

    def step(self, parts: Sequence[Batch], rows: int) -> Tensor:
        """Update the models on this rank's parts of a batch that has so many rows over all ranks.

        Returns this rank's share of the loss, a scalar without gradient: the shares of all ranks add up to the mean
        over the batch.
        """
        ...


class HardLabel:
    """`textcnn` and `bert`, the baselines without a teacher: model <- L_hard, the cross-entropy with the label."""

    def __init__(self, learner: Learner, class_weight: Tensor | None = None):
        self.learner = learner
        self.class_weight = class_weight  # (2,)

    def step(self, parts: Sequence[Batch], rows: int) -> Tensor:
        """One update."""
        self.learner.zero_grad()
        losses = []
        for part in parts:
            logits = self.learner.logits(part)
            loss = F.cross_entropy(logits, part.labels, self.class_weight, reduction="sum") / rows
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        self.learner.update()
        return sum(losses[1:], start=losses[0])
