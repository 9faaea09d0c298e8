"""The epoch loop on one rank or many: batches through a scheme, averaged weights, early stopping on validation."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from distill.data.dataset import Examples, passes, shard
from distill.errors import OpinionError
from distill.evaluation import metrics
from distill.training.checkpoint import Checkpoints, Progress
from distill.training.config import NO_OUTPUTS, Outputs, TrainingConfig
from distill.training.learner import Learner
from distill.training.order import Order
from distill.training.prediction import predict
from distill.training.progress import progress_bar
from distill.training.ranks import ProcessGroup
from distill.training.schemes import Scheme
from distill.training.tensorboard import TensorBoardWriter


@dataclass(frozen=True)
class Epoch:
    """One point of the training curve; valid: the AUC, or the value of `judge`; rows: as the first learner saw them."""

    epoch: int
    loss: float
    valid: float
    rows: int
    seconds: float
    cpu_seconds: float  # of all ranks
    validation_cpu_seconds: float  # of these, those of `valid`


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
    train = scheme.prepare(train)
    store = Checkpoints(outputs.checkpoints, config, ranks)
    progress, best = store.load(learners, scheme)
    if ranks.rank == 0:
        print(f"training on {len(train.labels)} texts, validating on {len(valid.labels)}", flush=True)
    scalars = TensorBoardWriter(outputs.board if ranks.rank == 0 else None)
    order = Order(scheme, learners, train, config, ranks)
    global_batch = config.batch * ranks.size
    anchors = {round(at * config.epochs * math.ceil(len(train.labels) / global_batch)) for at in config.route}
    while progress.epoch <= config.epochs and not stalled(progress, config):
        started, cpu, seen_before = time.monotonic(), time.process_time(), progress.total_seen
        for learner in learners:
            learner.model.train()
        for updated, loss, rows, done in steps(scheme, order, train, progress, config, ranks):
            progress.step += 1
            for learner in updated:
                progress.seen[learner.name] = progress.seen.get(learner.name, 0) + rows
            if learners[0] in updated:
                progress.loss += loss
                scalars.step(done, {"loss on rank 0": loss / max(rows, 1)})
            if done in anchors:
                store.save_anchor(learners[0], done)
            if progress.step % config.checkpoint_every == 0:
                if ranks.rank == 0:
                    speed = (progress.total_seen - seen_before) * ranks.size / (time.monotonic() - started)
                    print(so_far(progress, order.length(progress.epoch), speed, learners[0].name), flush=True)
                store.save(progress, learners, scheme, best)
        seen = [round(ranks.total(progress.seen.get(one.name, 0), "rows seen")) for one in learners]
        for learner, count in zip(learners, seen, strict=True):
            if count % len(train.labels) or not seen[0]:
                raise OpinionError(
                    f"epoch {progress.epoch}: the {learner.name} saw {count} rows, and of {len(train.labels)} rows it "
                    "must see each equally often"
                )
        mean_loss = ranks.total(progress.loss, "loss") / seen[0]
        validation_cpu = time.process_time()
        judged = (judge or validation_auc)(learners[0], valid, ranks)
        validation_cpu = ranks.total(time.process_time() - validation_cpu, "CPU seconds of validation")
        cpu = ranks.total(time.process_time() - cpu, "CPU seconds")
        point = Epoch(progress.epoch, mean_loss, judged, seen[0], time.monotonic() - started, cpu, validation_cpu)
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
    scheme: Scheme, order: Order, train: Examples, progress: Progress, config: TrainingConfig, ranks: ProcessGroup
) -> Iterator[tuple[list[Learner], float, int, int]]:
    """Make the remaining steps of the epoch.

    Yields after each step the updated learners, the loss, summed over this rank's rows, their number, and the steps of
    all epochs so far.
    """
    turns, steps_before = order.turns(progress.epoch), order.turns_before(progress.epoch)
    before, made = order.updates_before(progress.epoch), order.updates(turns[: progress.step])
    totals = order.all_updates()
    factors = {name: warm_up_then_cosine(total, config.warm_up) for name, total in totals.items()}
    teachers = config.schedule[progress.epoch - 1] if config.schedule else None
    left, title = range(progress.step, len(turns)), f"epoch {progress.epoch}/{config.epochs}"
    for step in progress_bar(left, title, progress.step, len(turns), shown=ranks.rank == 0):
        turn, updated = turns[step], order.updated(turns[step])
        if turn.label is not None:
            scheme.label(train, turn.label, ranks)
        lengths = train.lengths if turn.padded else None
        count = max(config.gradient_accumulation_steps, passes(turn.rows, ranks.size, ranks.device, lengths))
        for learner in updated:
            at = before[learner.name] + made[learner.name]
            learner.place(at / totals[learner.name], factors[learner.name](at))
            learner.passes(count)
        rows = shard(turn.rows, ranks.rank, ranks.size)
        micro_batches = [train.batch(micro_batch, ranks.device, teachers) for micro_batch in rows.tensor_split(count)]
        loss = turn.step(micro_batches, len(turn.rows))
        for learner in updated:
            learner.update_ema(made[learner.name])
            made[learner.name] += 1
        yield updated, float(loss) * len(turn.rows), len(rows), steps_before + step + 1


def so_far(progress: Progress, steps: int, speed: float, name: str) -> str:
    """A log line of a long epoch of so many steps.

    speed: rows per second over all ranks. name: of the learner whose loss it is, on this rank.
    """
    place = f"epoch {progress.epoch}: {progress.step / steps:.0%}, step {progress.step}"
    return f"{place}, loss {progress.loss / max(progress.seen.get(name, 0), 1):.4f}, {speed:.1f} rows/s"


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


def warm_up_then_cosine(steps: int, warm_up: float) -> Callable[[int], float]:
    """Factor of the learning rate by step: linear to 1 over the share `warm_up`, then half a cosine to 0."""
    rising = max(1, round(steps * warm_up))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2

    return factor
