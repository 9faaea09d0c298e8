"""The epoch loop on one rank or many: batches through a scheme, averaged weights, early stopping on validation."""

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
from distill.dataset import share, shuffled
from distill.errors import OpinionError
from distill.plan import Plan
from distill.ranks import Ranks
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
    rows: int
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
    ranks: Ranks,
) -> tuple[TextCNN, list[Epoch]]:
    """Train the student; returns the averaged student of the epoch with the best validation AUC, and the curve.

    Every rank makes the same number of steps and ends with the same student. Without dropout the curve is that of a
    single process whose batch is the sum of the ranks' batches.
    """
    together = plan.batch * ranks.size
    steps = plan.epochs * math.ceil(len(train.labels) / together)
    ranks.broadcast(dict(student.state_dict()))
    optimizer = ranks.optimizer(
        torch.optim.AdamW(student.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True),
        [(f"student.{name}", parameter) for name, parameter in student.named_parameters()],
    )
    schedule = LambdaLR(optimizer, warm_up_then_cosine(steps, plan.warm_up))
    average = AveragedModel(student, multi_avg_fn=moving_average(plan.ema))
    scheme = scheme_of(optimizer)
    widest = widest_of(student)
    torch.manual_seed(plan.seed * 1009 + ranks.rank)  # dropout differs between ranks
    curve: list[Epoch] = []
    best: dict[str, Tensor] = {}
    for epoch in range(1, plan.epochs + 1):
        started, loss, seen = time.monotonic(), 0.0, 0
        student.train()
        batches = shuffled(len(train.labels), together, plan.seed, epoch)
        shown = tqdm(batches, f"epoch {epoch}/{plan.epochs}", leave=False, disable=None if ranks.rank == 0 else True)
        for step, batch in enumerate(shown):
            rows = share(batch, ranks.rank, ranks.size)
            loss += float(scheme.step(train.batch(rows, widest), train.labels[rows], len(batch))) * len(batch)
            seen += len(rows)
            schedule.step()
            if step % EMA_EVERY == 0:
                average.update_parameters(student)
        rows_seen = round(ranks.total(seen, "rows seen"))
        if rows_seen != len(train.labels):
            raise OpinionError(f"epoch {epoch} saw {rows_seen} of {len(train.labels)} rows")
        auc = validation_auc(average.module, valid, ranks)
        mean_loss = ranks.total(loss, "loss") / rows_seen
        curve.append(Epoch(epoch, mean_loss, auc, rows_seen, time.monotonic() - started))
        if ranks.rank == 0:
            print("  ".join(f"{name} {round(value, 4)}" for name, value in asdict(curve[-1]).items()), flush=True)
        best_epoch = max(curve, key=lambda e: e.valid_auc).epoch
        if best_epoch == epoch:
            best = {name: tensor.clone() for name, tensor in average.module.state_dict().items()}
        if epoch - best_epoch >= plan.patience:
            break
    student.load_state_dict(best)
    return student.eval(), curve


def validation_auc(student: torch.nn.Module, valid: Split, ranks: Ranks) -> float:
    """AUC over all rows of `valid`, each rank having scored its share; the same number on every rank."""
    mine = share(torch.arange(len(valid.labels)), ranks.rank, ranks.size)
    scores = ranks.gather(torch.from_numpy(margins(student, valid, mine)), "validation margins")
    order = ranks.gather(mine, "validation rows")
    return metrics.auc(valid.labels[order].numpy(), scores.numpy())


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
def margins(student: torch.nn.Module, split: Split, rows: Tensor) -> npt.NDArray[np.float32]:
    """Logit of class 1 less that of class 0 for the rows, float32 (rows,)."""
    student.eval()
    widest = widest_of(student)  # type: ignore[arg-type]
    parts = [student(split.batch(part, widest)) for part in torch.split(rows, EVALUATION_BATCH)]
    together = torch.cat(parts)
    margin: npt.NDArray[np.float32] = (together[:, 1] - together[:, 0]).numpy()
    return margin
