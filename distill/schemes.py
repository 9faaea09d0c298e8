"""How one training step updates whom: one class a scheme, its formula beside it."""

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from distill.textcnn import Batch, TextCNN


class Scheme(Protocol):
    """What the training loop needs of a scheme."""

    def step(self, batch: Batch, labels: Tensor, rows: int) -> Tensor:
        """Update the models on this rank's part of a batch that has so many rows over all ranks.

        Returns this rank's part of the student's loss, a scalar without gradient: the parts of all ranks add up to the
        mean over the batch.
        """
        ...


class HardLabel:
    """`textcnn`, the baseline without a teacher: student <- L_hard, the cross-entropy with the label."""

    def __init__(self, student: TextCNN, optimizer: Optimizer):
        self.student = student
        self.optimizer = optimizer

    def step(self, batch: Batch, labels: Tensor, rows: int) -> Tensor:
        """One update; labels int64 (batch,)."""
        loss = F.cross_entropy(self.student(batch), labels, reduction="sum") / rows
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()
