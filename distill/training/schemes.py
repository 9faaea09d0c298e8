"""One training step of each scheme: one class per scheme, with its formula.

z are the logits of the student, v those of a teacher, T the temperature; L_soft and L_hard are those of
`distill.training.losses`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distill.data.dataset import Batch
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.losses import hard_loss, soft_loss, teacher_soft_loss
from distill.training.scheme_table import SCHEMES


class Scheme(ABC):
    """A scheme as the training loop calls it."""

    @abstractmethod
    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """Update the models on this rank's micro-batches of a batch that has `rows` rows over all ranks.

        Returns this rank's share of the loss, a scalar without gradient: the shares of all ranks add up to the mean
        over the batch.
        """

    def state(self) -> dict[str, Tensor]:
        """Tensors that a rank carries from step to step, for a checkpoint."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
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
        config = self.config

        def loss(micro_batch: Batch) -> Tensor:
            z = self.student.logits(micro_batch)
            soft = [
                alpha * config.temperature**2 * soft_loss(z, micro_batch.logits[:, k], config.temperature)
                for k, alpha in enumerate(config.alpha_soft)
            ]
            return (sum(soft) + config.beta_hard * hard_loss(z, micro_batch.labels, weights=micro_batch.weights)) / rows

        return optimizer_step(self.student, micro_batches, loss)


class JointIsolated(Scheme):
    """`joint-isolated`, scheme 2: the teacher trains along and learns nothing from the student.

    teacher <- L_hard(v); student <- alpha_soft T^2 L_soft(v detached, z) + beta_hard L_hard(z).
    """

    def __init__(self, teacher: Learner, student: Learner, config: TrainingConfig):
        self.teacher, self.student = teacher, student
        self.config = config

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """The teacher's update, then the student's with the logits that the teacher had before its own."""
        teacher_logits: list[Tensor] = []

        def hard(micro_batch: Batch) -> Tensor:
            v = self.teacher.logits(micro_batch)
            teacher_logits.append(v.detach())
            return hard_loss(v, micro_batch.labels, weights=micro_batch.weights) / rows

        optimizer_step(self.teacher, micro_batches, hard)
        before_update = iter(teacher_logits)

        def loss(micro_batch: Batch) -> Tensor:
            z = self.student.logits(micro_batch)
            return student_loss(next(before_update), z, micro_batch, self.config) / rows

        return optimizer_step(self.student, micro_batches, loss)


class JointCoupled(Scheme):
    """`joint-coupled`, scheme 3: the teacher gets the gradient of the soft loss in its next update.

    At step t: teacher <- L_hard(v) with the gradient g_{t-1} added; student as in scheme 2; then
    g_t = d w alpha_soft T^2 L_teacher(v, z) / d teacher, of this batch, with v and z as they were in both forward
    passes. L_teacher is `teacher_soft_loss`, w its weight.
    """

    def __init__(self, teacher: Learner, student: Learner, config: TrainingConfig):
        self.teacher, self.student = teacher, student
        self.config = config
        self.parameters = [p for p in teacher.model.parameters() if p.requires_grad]
        self.pending_gradients = [torch.zeros_like(p) for p in self.parameters]

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """Both updates; the teacher's gradients start from the pending ones."""
        config, next_gradients = self.config, [torch.zeros_like(p) for p in self.parameters]
        self.teacher.zero_grad()
        self.student.zero_grad()
        losses = []
        for p, pending in zip(self.parameters, self.pending_gradients, strict=True):
            p.grad = pending
        for micro_batch in micro_batches:
            v, z = self.teacher.logits(micro_batch), self.student.logits(micro_batch)
            soft = teacher_loss(v, z, config) / rows
            # Before any backward pass: not through .grad, which belongs to this step's update.
            for total, g in zip(
                next_gradients, torch.autograd.grad(soft, self.parameters, retain_graph=True), strict=True
            ):
                total += g
            (hard_loss(v, micro_batch.labels, weights=micro_batch.weights) / rows).backward()  # type: ignore[no-untyped-call]
            loss = student_loss(v.detach(), z, micro_batch, config) / rows
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        self.teacher.update()
        self.student.update()
        self.pending_gradients = next_gradients
        return sum(losses[1:], start=losses[0])

    def state(self) -> dict[str, Tensor]:
        """The pending gradients of this rank."""
        return {f"pending_gradients.{i}": tensor for i, tensor in enumerate(self.pending_gradients)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore the tensors of `state`."""
        self.pending_gradients = [state[f"pending_gradients.{i}"].to(p.device) for i, p in enumerate(self.parameters)]


class JointSum(Scheme):
    """`joint-sum`, scheme 4: one loss for both, one backward pass.

    teacher <- L_hard(v) + w alpha_soft T^2 L_teacher(v, z); student <- alpha_soft T^2 L_soft(v, z) + beta_hard
    L_hard(z). L_teacher is `teacher_soft_loss`, w its weight. With the cross-entropy or the KL of p and q, and w = 1,
    both follow one objective, since the entropy of p has no gradient for the student.
    """

    def __init__(self, teacher: Learner, student: Learner, config: TrainingConfig):
        self.teacher, self.student = teacher, student
        self.config = config

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """Both updates from the one loss; returns the student's share of it, as the other schemes do."""
        self.teacher.zero_grad()
        self.student.zero_grad()
        losses = []
        for micro_batch in micro_batches:
            v, z = self.teacher.logits(micro_batch), self.student.logits(micro_batch)
            loss = student_loss(v.detach(), z, micro_batch, self.config) / rows
            hard = hard_loss(v, micro_batch.labels, weights=micro_batch.weights)
            (loss + (hard + teacher_loss(v, z, self.config)) / rows).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        self.teacher.update()
        self.student.update()
        return sum(losses[1:], start=losses[0])


def student_loss(v: Tensor, z: Tensor, micro_batch: Batch, config: TrainingConfig) -> Tensor:
    """The student's loss with one teacher, alpha_soft T^2 L_soft(v, z) + beta_hard L_hard(z), summed over the rows."""
    soft = config.temperature**2 * soft_loss(z, v, config.temperature)
    return config.alpha_soft[0] * soft + config.beta_hard * hard_loss(
        z, micro_batch.labels, weights=micro_batch.weights
    )


def teacher_loss(v: Tensor, z: Tensor, config: TrainingConfig) -> Tensor:
    """What a teacher learns from its student, w alpha_soft T^2 L_teacher(v, z), summed over the rows."""
    soft = config.temperature**2 * teacher_soft_loss(z, v, config.temperature, config.teacher_soft_loss)
    return config.teacher_soft_weight * config.alpha_soft[0] * soft


BUILDERS: dict[str, Callable[..., Scheme]] = {
    builder.__name__: builder for builder in (HardLabel, Offline, JointIsolated, JointCoupled, JointSum)
}

STORED: dict[str, Callable[[Learner, TrainingConfig], Scheme]] = {
    entry.name: BUILDERS[entry.builder] for entry in SCHEMES.values() if not entry.joint
}
"""Schemes of a student alone, whose teachers, if any, have stored their logits."""

JOINT: dict[str, Callable[[Learner, Learner, TrainingConfig], Scheme]] = {
    entry.name: BUILDERS[entry.builder] for entry in SCHEMES.values() if entry.joint
}
"""Schemes of a teacher and a student that train together."""
