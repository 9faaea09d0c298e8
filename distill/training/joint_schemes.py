"""The schemes of a teacher and a student that train together: one class per scheme, with its formula.

z are the logits of the student, v those of the teacher, T the temperature; L_soft, L_teacher and L_hard are those of
`distill.training.losses`, w is `teacher_soft_weight`. u are logits of the teacher's average in evaluation mode, stored:
no gradient goes through them, so nothing is lost, and they are what a finished teacher would store.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from distill.data.dataset import Batch, Examples, length_pools, shard, shuffled
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.losses import hard_loss, soft_loss, teacher_soft_loss
from distill.training.prediction import predict
from distill.training.ranks import ProcessGroup
from distill.training.schemes import HardLabel, Offline, Scheme, Turn, by_name, soft_ramp


class Joint(Scheme):
    """Epochs of both, then the cool-down, in which the student alone goes on as in `offline`.

    In the cool-down, student <- alpha_soft T^2 L_soft(u, z) + beta_hard L_hard(z), with u of the final teacher.
    """

    def __init__(self, teacher: Learner, student: Learner, config: TrainingConfig):
        self.teacher, self.student = teacher, student
        self.config = config
        self.offline = Offline(student, config)
        self.logits = torch.empty(0, 1, 2)  # u of each row, NaN before there is one

    def prepare(self, train: Examples) -> Examples:
        """The rows, with place for u."""
        self.logits = torch.full((len(train.labels), 1, 2), torch.nan)
        return replace(train, logits=self.logits)

    def turns(self, train: Examples, batch: int, seed: int, epoch: int) -> list[Turn]:
        """The steps of an epoch of both or of the cool-down, which begins with u of all rows."""
        rows, both = len(train.labels), self.config.epochs - self.config.cool_down
        if epoch <= both:
            return self.together(train, batch, seed, epoch)
        return self.alone(shuffled(rows, batch, seed, epoch), torch.arange(rows) if epoch == both + 1 else None)

    @abstractmethod
    def together(self, train: Examples, batch: int, seed: int, epoch: int) -> list[Turn]:
        """The steps of an epoch of both."""

    def alone(self, batches: Sequence[Tensor], label: Tensor | None) -> list[Turn]:
        """Steps of the student from stored logits; those of the rows `label` are stored anew first."""
        labels = [label] + [None] * len(batches)
        return [
            Turn(rows, self.offline.step, self.student.name, first, padded=False)
            for rows, first in zip(batches, labels, strict=False)
        ]

    def label(self, train: Examples, rows: Tensor, ranks: ProcessGroup) -> None:
        """Store u of the rows, on every rank alike; each rank computes its shard."""
        mine = shard(rows, ranks.rank, ranks.size)
        logits = predict(self.teacher.average, self.teacher.name, train, mine, ranks.device)
        self.logits[ranks.gather(mine, "rows with logits"), 0] = ranks.gather(logits, "logits of the teacher")

    def state(self) -> dict[str, Tensor]:
        """u, from which a resumed pool or cool-down goes on."""
        return {"logits": self.logits}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore the tensors of `state`."""
        self.logits.copy_(state["logits"])


class JointIsolated(Joint):
    """`joint-isolated`, scheme 2: the teacher trains along and learns nothing from the student.

    For each pool of rows, teacher <- L_hard(v) in batches of similar length; then u of the pool; then
    student <- alpha_soft T^2 L_soft(u, z) + beta_hard L_hard(z) in random batches of the pool, `student_passes` times.
    """

    def together(self, train: Examples, batch: int, seed: int, epoch: int) -> list[Turn]:
        """Pool after pool, the teacher's steps and then the student's."""
        hard, passes = HardLabel(self.teacher, self.config), self.config.student_passes
        turns = []
        for pool in length_pools(len(train.labels), batch, seed, epoch, train.lengths, passes):
            turns += [Turn(rows, hard.step, self.teacher.name) for rows in pool.by_length]
            turns += self.alone(pool.mixed, pool.rows)
        return turns


class SharedPass(Joint):
    """Both learn from one forward pass of each, and the teacher from its student: v has to have its gradient.

    Rows of a batch are drawn at random and sorted, so that a micro-batch needs little padding: a batch of one length
    would be nearly a batch of one source and label, for the student too.
    """

    def together(self, train: Examples, batch: int, seed: int, epoch: int) -> list[Turn]:
        """Steps of both."""
        batches = shuffled(len(train.labels), batch, seed, epoch)
        if train.lengths is not None:
            batches = [rows[train.lengths[rows].argsort(stable=True)] for rows in batches]
        return [Turn(rows, self.step) for rows in batches]

    def student_loss(self, v: Tensor, z: Tensor, micro_batch: Batch) -> Tensor:
        """alpha_soft T^2 L_soft(v, z) + beta_hard L_hard(z), summed over the rows."""
        hard = hard_loss(z, micro_batch.labels, weights=micro_batch.weights)
        return self.soft_weight() * soft_loss(z, v, self.config.temperature) + self.config.beta_hard * hard

    def teacher_loss(self, v: Tensor, z: Tensor) -> Tensor:
        """w alpha_soft T^2 L_teacher(v, z), summed over the rows."""
        soft = teacher_soft_loss(z, v, self.config.temperature, self.config.teacher_soft_loss)
        return self.config.teacher_soft_weight * self.soft_weight() * soft

    def soft_weight(self) -> float:
        """alpha_soft T^2, at its place of the ramp."""
        return soft_ramp(self.student, self.config) * self.config.alpha_soft[0] * self.config.temperature**2


class JointCoupled(SharedPass):
    """`joint-coupled`, scheme 3: the teacher gets the gradient of the soft loss in its next update.

    At step t: teacher <- L_hard(v) with the gradient g_{t-1} added;
    student <- alpha_soft T^2 L_soft(v detached, z) + beta_hard L_hard(z);
    then g_t = d w alpha_soft T^2 L_teacher(v, z) / d teacher, of this batch, with v and z of both forward passes.
    """

    def __init__(self, teacher: Learner, student: Learner, config: TrainingConfig):
        super().__init__(teacher, student, config)
        self.parameters = [p for p in teacher.model.parameters() if p.requires_grad]
        self.pending_gradients = [torch.zeros_like(p) for p in self.parameters]

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """Both updates; the teacher's gradients start from the pending ones."""
        next_gradients = [torch.zeros_like(p) for p in self.parameters]
        self.teacher.zero_grad()
        self.student.zero_grad()
        losses = []
        for p, pending in zip(self.parameters, self.pending_gradients, strict=True):
            p.grad = pending
        for micro_batch in micro_batches:
            v, z = self.teacher.logits(micro_batch), self.student.logits(micro_batch)
            # Before any backward pass: not through .grad, which belongs to this step's update.
            soft = torch.autograd.grad(self.teacher_loss(v, z) / rows, self.parameters, retain_graph=True)
            for total, g in zip(next_gradients, soft, strict=True):
                total += g
            (hard_loss(v, micro_batch.labels, weights=micro_batch.weights) / rows).backward()  # type: ignore[no-untyped-call]
            loss = self.student_loss(v.detach(), z, micro_batch) / rows
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        self.teacher.update()
        self.student.update()
        self.pending_gradients = next_gradients
        return sum(losses[1:], start=losses[0])

    def state(self) -> dict[str, Tensor]:
        """The pending gradients of this rank, and u."""
        return super().state() | {f"pending_gradients.{i}": tensor for i, tensor in enumerate(self.pending_gradients)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore the tensors of `state`."""
        super().load_state(state)
        self.pending_gradients = [state[f"pending_gradients.{i}"].to(p.device) for i, p in enumerate(self.parameters)]


class JointSum(SharedPass):
    """`joint-sum`, scheme 4: one loss for both, one backward pass.

    teacher <- L_hard(v) + w alpha_soft T^2 L_teacher(v, z); student <- alpha_soft T^2 L_soft(v, z) + beta_hard
    L_hard(z). With the cross-entropy or the KL of p and q, and w = 1, both follow one objective, since the entropy of p
    has no gradient for the student.
    """

    def step(self, micro_batches: Sequence[Batch], rows: int) -> Tensor:
        """Both updates from the one loss; returns the student's share of it, as the other schemes do."""
        self.teacher.zero_grad()
        self.student.zero_grad()
        losses = []
        for micro_batch in micro_batches:
            v, z = self.teacher.logits(micro_batch), self.student.logits(micro_batch)
            loss = self.student_loss(v.detach(), z, micro_batch) / rows
            hard = hard_loss(v, micro_batch.labels, weights=micro_batch.weights)
            (loss + (hard + self.teacher_loss(v, z)) / rows).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        self.teacher.update()
        self.student.update()
        return sum(losses[1:], start=losses[0])


JOINT: dict[str, Callable[[Learner, Learner, TrainingConfig], Scheme]] = {
    **by_name((JointIsolated, JointCoupled, JointSum), joint=True)
}
"""Schemes of a teacher and a student that train together."""
