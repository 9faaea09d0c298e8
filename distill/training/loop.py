"""The epoch loop on one rank or many: batches through a scheme, averaged weights, early stopping on validation."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from distill.data.dataset import BATCH_TOKENS, Examples, length_buckets, passes, shard, shuffled, to_device
from distill.errors import OpinionError
from distill.evaluation import metrics
from distill.models.padding import padded
from distill.training.checkpoint import Checkpoints, Progress
from distill.training.config import NO_OUTPUTS, Outputs, TrainingConfig
from distill.training.learner import Learner
from distill.training.progress import progress_bar
from distill.training.ranks import ProcessGroup
from distill.training.schemes import Scheme
from distill.training.tensorboard import TensorBoardWriter

EVALUATION_ROWS = 1024  # of a batch without padding


@dataclass(frozen=True)
class Epoch:
    """One point of the training curve; valid: the AUC, or the value of `judge`."""

    epoch: int
    loss: float
    valid: float
    rows: int
    seconds: float
    cpu_seconds: float  # of all ranks


def fit(
    scheme: Scheme,
    learners: Sequence[Learner],
    train: Examples,
    valid: Examples,
    config: TrainingConfig,
    ranks: ProcessGroup,
    outputs: Outputs = NO_OUTPUTS,
    judge: Callable[[Learner, Examples, ProcessGroup], float] | None = None,
) -> list[Epoch]:
    """Train; returns the curve. Each learner's model ends with its average of the best epoch.

    The best epoch has the highest validation AUC of the first learner, or the highest value of `judge`. Every rank
    makes the same number of steps and ends with the same models. Without dropout the curve equals that of a single
    process whose batch is the sum of the ranks' batches. A training continues from a checkpoint in its folder.
    """
    torch.manual_seed(config.seed * 1009 + ranks.rank)  # dropout differs between ranks
    store = Checkpoints(outputs.checkpoints, config, ranks)
    progress, best = store.load(learners, scheme)
    if ranks.rank == 0:
        print(f"training on {len(train.labels)} texts, validating on {len(valid.labels)}", flush=True)
    scalars = TensorBoardWriter(outputs.board if ranks.rank == 0 else None)
    global_batch = config.batch * ranks.size
    anchors = {round(at * config.epochs * math.ceil(len(train.labels) / global_batch)) for at in config.route}
    while progress.epoch <= config.epochs and not stalled(progress, config):
        started, cpu, seen_before = time.monotonic(), time.process_time(), progress.seen
        for learner in learners:
            learner.model.train()
        for loss, rows, done in steps(scheme, learners, train, progress, config, ranks):
            progress.step, progress.seen, progress.loss = progress.step + 1, progress.seen + rows, progress.loss + loss
            scalars.step(done, {"loss on rank 0": loss / max(rows, 1)})
            if done in anchors:
                store.save_anchor(learners[0], done)
            if progress.step % config.checkpoint_every == 0:
                if ranks.rank == 0:
                    speed = (progress.seen - seen_before) / (time.monotonic() - started)
                    print(so_far(progress, speed, len(train.labels), ranks.size), flush=True)
                store.save(progress, learners, scheme, best)
        seen = round(ranks.total(progress.seen, "rows seen"))
        if seen != len(train.labels):
            raise OpinionError(f"epoch {progress.epoch} saw {seen} of {len(train.labels)} rows")
        mean_loss = ranks.total(progress.loss, "loss") / seen
        judged = (judge or validation_auc)(learners[0], valid, ranks)
        cpu = ranks.total(time.process_time() - cpu, "CPU seconds")
        point = Epoch(progress.epoch, mean_loss, judged, seen, time.monotonic() - started, cpu)
        if ranks.rank == 0:
            print("  ".join(f"{name} {round(value, 4)}" for name, value in asdict(point).items()), flush=True)
        scalars.epoch(point.epoch, {"loss": mean_loss, "valid": judged})
        progress = Progress(progress.epoch + 1, curve=[*progress.curve, asdict(point)])
        if best_epoch(progress) == point.epoch:
            best = averages(learners)
        store.save(progress, learners, scheme, best)
    for learner in learners:
        prefix = f"{learner.name}."
        learner.model.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in best.items() if name.startswith(prefix)}
        )
        learner.model.eval()
    return [Epoch(**point) for point in progress.curve]


def steps(
    scheme: Scheme,
    learners: Sequence[Learner],
    train: Examples,
    progress: Progress,
    config: TrainingConfig,
    ranks: ProcessGroup,
) -> Iterator[tuple[float, int, int]]:
    """Make the remaining steps of the epoch.

    Yields after each step the loss, summed over this rank's rows, their number, and the steps of all epochs so far.
    """
    batches = shuffled(len(train.labels), config.batch * ranks.size, config.seed, progress.epoch, train.lengths)
    before = (progress.epoch - 1) * len(batches)
    teachers = config.schedule[progress.epoch - 1] if config.schedule else None
    factor = warm_up_then_cosine(config.epochs * len(batches), config.warm_up)
    left, title = range(progress.step, len(batches)), f"epoch {progress.epoch}/{config.epochs}"
    for step in progress_bar(left, title, progress.step, len(batches), shown=ranks.rank == 0):
        for learner in learners:
            learner.rate(factor(before + step))
        rows = shard(batches[step], ranks.rank, ranks.size)
        count = max(config.gradient_accumulation_steps, passes(batches[step], ranks.size, ranks.device, train.lengths))
        for learner in learners:
            learner.passes(count)
        micro_batches = [train.batch(micro_batch, ranks.device, teachers) for micro_batch in rows.tensor_split(count)]
        loss = scheme.step(micro_batches, len(batches[step]))
        for learner in learners:
            learner.update_ema(step)
        yield float(loss) * len(batches[step]), len(rows), before + step + 1


def so_far(progress: Progress, speed: float, rows: int, ranks: int) -> str:
    """A log line of a long epoch; speed, in rows per second, and loss are this rank's."""
    return (
        f"epoch {progress.epoch}: {progress.seen * ranks / rows:.0%}, step {progress.step}, "
        f"loss {progress.loss / max(progress.seen, 1):.4f}, {speed * ranks:.1f} rows/s"
    )


def averages(learners: Sequence[Learner]) -> dict[str, Tensor]:
    """Copies of the averaged tensors of all learners, by learner and name."""
    return {
        f"{one.name}.{name}": tensor.clone() for one in learners for name, tensor in one.average.state_dict().items()
    }


def best_epoch(progress: Progress) -> int:
    """The first epoch with the highest validation AUC; 0 before there is one."""
    return int(max(progress.curve, key=lambda point: point["valid"])["epoch"]) if progress.curve else 0


def stalled(progress: Progress, config: TrainingConfig) -> bool:
    """Whether validation has not improved for `patience` epochs."""
    return len(progress.curve) - best_epoch(progress) >= config.patience


def validation_auc(learner: Learner, valid: Examples, ranks: ProcessGroup) -> float:
    """AUC of the averaged network on all rows of `valid`; each rank scores its shard and gets the same value."""
    mine = shard(torch.arange(len(valid.labels)), ranks.rank, ranks.size)
    logits = predict(learner.average, learner.name, valid, mine, ranks.device)
    margins = ranks.gather(logits[:, 1] - logits[:, 0], "validation margins")
    order = ranks.gather(mine, "validation rows")
    return metrics.auc(valid.labels[order].numpy(), margins.numpy())


@torch.no_grad()
def predict(model: torch.nn.Module, name: str, split: Examples, rows: Tensor, device: torch.device) -> Tensor:
    """Logits of the rows, float32 (rows, 2) on the CPU, in the order of the rows."""
    model.eval()
    lengths = torch.ones(len(rows), dtype=torch.int64) if split.lengths is None else padded(split.lengths[rows])
    logits = torch.empty(len(rows), 2)
    for part in length_buckets(lengths, EVALUATION_ROWS if split.lengths is None else BATCH_TOKENS[device.type]):
        logits[part] = model(to_device(split.views[name].take(rows[part]), device)).float().cpu()
    return logits


def warm_up_then_cosine(steps: int, warm_up: float) -> Callable[[int], float]:
    """Factor of the learning rate by step: linear to 1 over the share `warm_up`, then half a cosine to 0."""
    rising = max(1, round(steps * warm_up))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2

    return factor
