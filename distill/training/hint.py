"""Stage 1 of a hint (FitNets, Romero et al. 2015): the student's features learn to predict a layer of the teacher.

Stage 2 is any other scheme; the regressor is dropped.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from distill.data.dataset import Batch, Examples, shard
from distill.models.textcnn import Batch as StudentBatch
from distill.models.textcnn import TextCNN
from distill.training.learner import Learner
from distill.training.losses import hint_loss
from distill.training.ranks import ProcessGroup
from distill.training.schemes import Scheme, optimizer_step

VIEW = "hint"


class HintRegressor(nn.Module):
    """The student and the linear regressor r from its features to the width of the teacher's layer."""

    def __init__(self, student: TextCNN, width: int):
        super().__init__()
        self.student = student
        self.regressor = nn.Linear(student.architecture.features, width)

    def forward(self, batch: StudentBatch) -> Tensor:
        """r(v_g(x)), float32 (batch, width)."""
        regressed: Tensor = self.regressor(self.student.features(batch))
        return regressed

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """The student's parameters but those that only its logits use, and the regressor's."""
        inner = [
            p for name, p in self.student.named_parameters() if not name.startswith(("output.", "wide.", "average."))
        ]
        both = [*inner, *self.regressor.parameters()]
        return [{"params": both, "lr": learning_rate, "weight_decay": weight_decay}]


class Hint(Scheme):
    """Stage 1: student, r <- 1/2 ||u_h(x) - r(v_g(x))||^2, mean over the batch."""

    def __init__(self, regressed: Learner):
        self.regressed = regressed

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """One update."""

        def loss(micro_batch: Batch) -> Tensor:
            return hint_loss(self.regressed.logits(micro_batch), micro_batch.inputs[VIEW]) / rows

        return optimizer_step(self.regressed, micro_batches, loss)


@torch.no_grad()
def judge(regressed: Learner, valid: Examples, ranks: ProcessGroup) -> float:
    """Minus the loss on `valid`, over all ranks."""
    mine = shard(torch.arange(len(valid.labels)), ranks.rank, ranks.size)
    model = regressed.average.eval()
    total = 0.0
    for rows in torch.split(mine, 1024):
        batch = valid.batch(rows, ranks.device)
        total += float(hint_loss(model(batch.inputs[regressed.name]), batch.inputs[VIEW]))
    return -ranks.total(total, "hint loss") / len(valid.labels)
