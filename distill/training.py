"""The epoch loop on one rank or many: batches through a scheme, averaged weights, early stopping on validation."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from distill import metrics
from distill.checkpoint import Checkpoints, Progress
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
    scheme_of: Callable[[Optimizer], Scheme],
    train: Split,
    valid: Split,
    plan: Plan,
    ranks: Ranks,
    checkpoints: str | None = None,
) -> tuple[TextCNN, list[Epoch]]:
    """Train the student; returns the averaged student of the epoch with the best validation AUC, and the curve.

    Every rank makes the same number of steps and ends with the same student. Without dropout the curve is that of a
    single process whose batch is the sum of the ranks' batches. A training that finds a checkpoint in its folder goes
    on from there.
    """
    ranks.broadcast(dict(student.state_dict()))
    optimizer = ranks.optimizer(
        torch.optim.AdamW(student.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True),
        [(f"student.{name}", parameter) for name, parameter in student.named_parameters()],
    )
    average = AveragedModel(student, multi_avg_fn=moving_average(plan.ema))
    scheme = scheme_of(optimizer)
    torch.manual_seed(plan.seed * 1009 + ranks.rank)  # dropout differs between ranks
    store = Checkpoints(checkpoints, plan, ranks)
    progress, best = store.load({"student": student, "average": average}, optimizer)

    def save() -> None:
        store.save(progress, {"student": student, "average": average}, optimizer, best)

    while progress.epoch <= plan.epochs and not stalled(progress, plan):
        started = time.monotonic()
        student.train()
        for loss, rows in steps(scheme, optimizer, train, widest_of(student), progress, plan, ranks):
            if progress.step % EMA_EVERY == 0:
                average.update_parameters(student)
            progress.step, progress.seen, progress.loss = progress.step + 1, progress.seen + rows, progress.loss + loss
            if progress.step % plan.checkpoint_every == 0:
                save()
        seen = round(ranks.total(progress.seen, "rows seen"))
        if seen != len(train.labels):
            raise OpinionError(f"epoch {progress.epoch} saw {seen} of {len(train.labels)} rows")
        mean_loss = ranks.total(progress.loss, "loss") / seen
        auc = validation_auc(average.module, valid, ranks)
        point = Epoch(progress.epoch, mean_loss, auc, seen, time.monotonic() - started)
        if ranks.rank == 0:
            print("  ".join(f"{name} {round(value, 4)}" for name, value in asdict(point).items()), flush=True)
        progress = Progress(progress.epoch + 1, curve=[*progress.curve, asdict(point)])
        if best_epoch(progress) == point.epoch:
            best = {name: tensor.clone() for name, tensor in average.module.state_dict().items()}
        save()
    student.load_state_dict(best)
    return student.eval(), [Epoch(**point) for point in progress.curve]


def steps(
    scheme: Scheme,
    optimizer: Optimizer,
    train: Split,
    widest: dict[str, int],
    progress: Progress,
    plan: Plan,
    ranks: Ranks,
) -> Iterator[tuple[float, int]]:
    """Make the steps left of the epoch; gives after each the loss, summed over the batch, and this rank's rows."""
    together = plan.batch * ranks.size
    batches = shuffled(len(train.labels), together, plan.seed, progress.epoch)
    rate = warm_up_then_cosine(plan.epochs * len(batches), plan.warm_up)
    shown = tqdm(
        range(progress.step, len(batches)),
        f"epoch {progress.epoch}/{plan.epochs}",
        leave=False,
        disable=None if ranks.rank == 0 else True,
        initial=progress.step,
        total=len(batches),
    )
    for step in shown:
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * rate((progress.epoch - 1) * len(batches) + step)
        batch = batches[step]
        rows = share(batch, ranks.rank, ranks.size)
        loss = scheme.step(train.batch(rows, widest), train.labels[rows], len(batch))
        yield float(loss) * len(batch), len(rows)


def best_epoch(progress: Progress) -> int:
    """The first epoch with the highest validation AUC; 0 before there is one."""
    return int(max(progress.curve, key=lambda point: point["valid_auc"])["epoch"]) if progress.curve else 0


def stalled(progress: Progress, plan: Plan) -> bool:
    """Whether validation has not become better for as many epochs as the plan is patient."""
    return len(progress.curve) - best_epoch(progress) >= plan.patience


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
