"""How one training step updates whom: one class a scheme, its formula beside it.

z are the logits of the student, v those of a teacher, T the temperature; L_soft and L_hard are those of
`distill.losses`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from distill.dataset import Batch
from distill.learner import Learner
from distill.losses import hard_loss, soft_loss
from distill.plan import Plan


class Scheme(Protocol):
    """What the training loop needs of a scheme."""

    def step(self, parts: Sequence[Batch], rows: int) -> Tensor:
        """Update the models on this rank's parts of a batch that has so many rows over all ranks.

        Returns this rank's share of the loss, a scalar without gradient: the shares of all ranks add up to the mean
        over the batch.
        """
        ...


def minimise(learner: Learner, parts: Sequence[Batch], loss: Callable[[Batch], Tensor]) -> Tensor:
    """One update of one learner: the gradients of all parts are added up, then it steps; returns the whole loss."""
    learner.zero_grad()
    losses = []
    for part in parts:
        share = loss(part)
        share.backward()  # type: ignore[no-untyped-call]
        losses.append(share.detach())
    learner.update()
    return sum(losses[1:], start=losses[0])


class HardLabel:
    """`textcnn` and `bert`, the baselines without a teacher: model <- L_hard."""

    def __init__(self, learner: Learner, plan: Plan, class_weight: Tensor | None = None):
        self.learner = learner
        self.class_weight = class_weight  # (2,)

    def step(self, parts: Sequence[Batch], rows: int) -> Tensor:
        """One update."""
        return minimise(
            self.learner,
            parts,
            lambda part: hard_loss(self.learner.logits(part), part.labels, self.class_weight) / rows,
        )


class Offline:
    """`offline`, scheme 1: the teacher is fixed and its logits v are stored.

    student <- alpha_soft T^2 L_soft(v, z) + beta_hard L_hard(z), of which rows of the transfer set have the first.
    """

    def __init__(self, student: Learner, plan: Plan):
        self.student = student
        self.plan = plan

    def step(self, parts: Sequence[Batch], rows: int) -> Tensor:
        """One update."""
        plan = self.plan

        def loss(part: Batch) -> Tensor:
            z, v = self.student.logits(part), part.logits[:, 0]
            soft = plan.temperature**2 * soft_loss(z, v, plan.temperature)
            return (plan.alpha_soft * soft + plan.beta_hard * hard_loss(z, part.labels)) / rows

        return minimise(self.student, parts, loss)


SCHEMES: dict[str, Callable[[Learner, Plan], Scheme]] = {"textcnn": HardLabel, "offline": Offline}
"""Of students, by the name that the command line gives."""
