"""One training step of each scheme that trains a network alone: one class per scheme, with its formula.

z are the logits of the student, v those of a teacher, T the temperature; L_soft and L_hard are those of
`distill.training.losses`. `distill.training.joint_schemes` has the schemes of two networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from distill.data.dataset import Batch, Examples, shuffled
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.losses import hard_loss, soft_loss
from distill.training.ranks import ProcessGroup
from distill.training.scheme_table import SCHEMES


@dataclass(frozen=True)
class Turn:
    """One step of an epoch, the same on every rank.

    rows: of all ranks, int64 (batch,). step: as `Scheme.step`. only: the name of the one learner that it updates; None
    for all. label: rows that the scheme labels first, int64 (rows,). padded: whether a text is padded to the longest
    of its micro-batch, so that long ones need more backward passes.
    """

    rows: Tensor
    step: Callable[[Sequence[Batch], int], Tensor]
    only: str | None = None
    label: Tensor | None = None
    padded: bool = True


class Scheme:
    """A scheme as the training loop calls it."""

    def prepare(self, train: Examples) -> Examples:
        """The rows of the training as the steps read them."""
        return train

    def turns(self, train: Examples, batch: int, seed: int, epoch: int) -> list[Turn]:
        """The steps of an epoch; batch: rows of a step over all ranks. Each learner sees every row equally often."""
        return [Turn(rows, self.step) for rows in shuffled(len(train.labels), batch, seed, epoch, train.lengths)]

    def label(self, train: Examples, rows: Tensor, ranks: ProcessGroup) -> None:
        """Store a teacher's logits of the rows of `train`, for `Turn.label`."""
        raise NotImplementedError

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """Update the models on this rank's micro-batches of a batch that has `rows` rows over all ranks.

        Returns this rank's share of the loss, a scalar without gradient: the shares of all ranks add up to the mean
        over the batch.
        """
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """Tensors that a rank carries from step to step, for a checkpoint."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore the tensors of `state`."""


def optimizer_step(learner: Learner, micro_batches: Sequence[Batch], loss: Callable[[Batch], Tensor]) -> Tensor:
    """Add up the gradients of all micro-batches, then update the learner once; returns the whole loss."""
    learner.zero_grad()
    losses = []
    for micro_batch in micro_batches:
        partial_loss = loss(micro_batch)
        partial_loss.backward()  # type: ignore[no-untyped-call]
        losses.append(partial_loss.detach())
    learner.update()
    return sum(losses[1:], start=losses[0])


class HardLabel(Scheme):
    """`textcnn` and `bert`, the baselines without a teacher: model <- L_hard."""

    def __init__(self, learner: Learner, config: TrainingConfig, class_weight: Tensor | None = None):
        self.learner = learner
        self.class_weight = class_weight  # (2,)

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """One update."""
        return optimizer_step(
            self.learner,
            micro_batches,
            lambda micro_batch: (
                hard_loss(self.learner.logits(micro_batch), micro_batch.labels, self.class_weight, micro_batch.weights)
                / rows
            ),
        )


class Offline(Scheme):
    """`offline`, scheme 1, and `multi-teacher`, scheme 5: the teachers are fixed and their logits v_k are stored.

    student <- sum_k alpha_k T^2 L_soft(v_k, z) + beta_hard L_hard(z), of which rows of the transfer set have the first.
    """

    def __init__(self, student: Learner, config: TrainingConfig):
        self.student = student
        self.config = config

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """One update."""
        config, ramp = self.config, soft_ramp(self.student, self.config)

        def loss(micro_batch: Batch) -> Tensor:
            z = self.student.logits(micro_batch)
            soft = [
                ramp * alpha * config.temperature**2 * soft_loss(z, micro_batch.logits[:, k], config.temperature)
                for k, alpha in enumerate(config.alpha_soft)
            ]
            return (sum(soft) + config.beta_hard * hard_loss(z, micro_batch.labels, weights=micro_batch.weights)) / rows

        return optimizer_step(self.student, micro_batches, loss)


def soft_ramp(student: Learner, config: TrainingConfig) -> float:
    """The factor of alpha_soft: from 0 to 1 over the first `soft_ramp` of the student's steps."""
    return min(1.0, student.done / config.soft_ramp) if config.soft_ramp else 1.0


def by_name(builders: Sequence[type[Scheme]], joint: bool) -> dict[str, type[Scheme]]:
    """The classes of the schemes of the table that train a network alone, or two."""
    classes = {builder.__name__: builder for builder in builders}
    return {entry.name: classes[entry.builder] for entry in SCHEMES.values() if entry.joint is joint}


STORED: dict[str, Callable[[Learner, TrainingConfig], Scheme]] = {**by_name((HardLabel, Offline), joint=False)}
"""Schemes of a student alone, whose teachers, if any, have stored their logits."""
