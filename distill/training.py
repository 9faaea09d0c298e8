"""The epoch loop: batches through a scheme, a moving average of the weights, early stopping on validation."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from distill import metrics
from distill.dataset import shuffled
from distill.plan import Plan
from distill.schemes import Scheme
from distill.textcnn import Batch, TextCNN, take
from distill.vocabulary import Encoded

# The average moves every few steps by the matching power of its decay: the same curve for a fraction of the time.
EMA_EVERY = 8
EVALUATION_BATCH = 1024

Tensors = list[Tensor] | tuple[Tensor, ...]


@dataclass(frozen=True)
class Epoch:
    """One point of the training curve."""

    epoch: int
    loss: float
    valid_auc: float
    seconds: float


@dataclass(frozen=True)
class Split:
    """One encoded split: ids of its channels, and labels int64 (rows,)."""

    encoded: Encoded
    labels: Tensor

    def batch(self, rows: Tensor, widest: dict[str, int]) -> Batch:
        """Some rows as what the student reads."""
        return {name: take(self.encoded.channels[name], rows, width) for name, width in widest.items()}


def fit(
    student: TextCNN,
    scheme_of: Callable[[torch.optim.Optimizer], Scheme],
    train: Split,
    valid: Split,
    plan: Plan,
) -> tuple[TextCNN, list[Epoch]]:
    """Train the student; returns the averaged student of the epoch with the best validation AUC, and the curve."""
    steps = plan.epochs * math.ceil(len(train.labels) / plan.batch)
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
    schedule = LambdaLR(optimizer, warm_up_then_cosine(steps, plan.warm_up))
    average = AveragedModel(student, multi_avg_fn=moving_average(plan.ema))
    scheme = scheme_of(optimizer)
    widest = widest_of(student)
    curve: list[Epoch] = []
    best: dict[str, Tensor] = {}
    for epoch in range(1, plan.epochs + 1):
        started, losses = time.monotonic(), 0.0
        student.train()
        batches = list(shuffled(len(train.labels), plan.batch, plan.seed, epoch))
        for step, rows in enumerate(tqdm(batches, f"epoch {epoch}/{plan.epochs}", leave=False, disable=None)):
            losses += float(scheme.step(train.batch(rows, widest), train.labels[rows])) * len(rows)
            schedule.step()
            if step % EMA_EVERY == 0:
                average.update_parameters(student)
        auc = metrics.auc(valid.labels.numpy(), margins(average.module, valid))
        curve.append(Epoch(epoch, losses / len(train.labels), auc, time.monotonic() - started))
        print("  ".join(f"{name} {round(value, 4)}" for name, value in asdict(curve[-1]).items()), flush=True)
        best_epoch = max(curve, key=lambda e: e.valid_auc).epoch
        if best_epoch == epoch:
            best = {name: tensor.clone() for name, tensor in average.module.state_dict().items()}
        if epoch - best_epoch >= plan.patience:
            break
    student.load_state_dict(best)
    return student.eval(), curve


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average that forgets the initial weights soon: its decay rises from 0.1 to `decay`."""

    def update(averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        steps = int(updates) * EMA_EVERY
        kept = min(decay, (1 + steps) / (10 + steps)) ** EMA_EVERY
        torch._foreach_lerp_(averaged, current, 1 - kept)

    return update


def warm_up_then_cosine(steps: int, warm_up: float) -> Callable[[int], float]:
    """Factor of the learning rate by step: linear to 1 over the share `warm_up`, then half a cosine to 0."""
    rising = max(1, round(steps * warm_up))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2

    return factor


def widest_of(student: TextCNN) -> dict[str, int]:
    """The widest filter of each channel."""
    return {channel: max(widths) for channel, widths in student.architecture.widths.items()}


@torch.no_grad()
def margins(student: torch.nn.Module, split: Split) -> npt.NDArray[np.float32]:
    """Logit of class 1 less that of class 0 for every row, float32 (rows,)."""
    student.eval()
    widest = widest_of(student)  # type: ignore[arg-type]
    logits = [
        student(split.batch(rows, widest)) for rows in torch.split(torch.arange(len(split.labels)), EVALUATION_BATCH)
    ]
    together = torch.cat(logits)
    margin: npt.NDArray[np.float32] = (together[:, 1] - together[:, 0]).numpy()
    return margin
