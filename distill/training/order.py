"""The turns of a training, epoch by epoch, and how far each learner is in them."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from distill.data.dataset import Examples
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.ranks import ProcessGroup
from distill.training.schemes import Scheme, Turn


class Order:
    """The turns of each epoch, the same on every rank; only one epoch's are in memory at a time."""

    def __init__(
        self,
        scheme: Scheme,
        learners: Sequence[Learner],
        train: Examples,
        config: TrainingConfig,
        ranks: ProcessGroup,
    ):
        self.learners = learners
        self._turns = partial(scheme.turns, train, config.batch * ranks.size, config.seed)
        epochs = [self._turns(epoch) for epoch in range(1, config.epochs + 1)]
        self._lengths = [len(turns) for turns in epochs]
        self._updates = [self.updates(turns) for turns in epochs]

    def turns(self, epoch: int) -> list[Turn]:
        """The turns of an epoch, counted from 1."""
        return self._turns(epoch)

    def updated(self, turn: Turn) -> list[Learner]:
        """The learners that a turn updates."""
        return [learner for learner in self.learners if turn.only in (None, learner.name)]

    def updates(self, turns: Sequence[Turn]) -> Counter[str]:
        """The number of updates of each learner, by name."""
        return Counter(learner.name for turn in turns for learner in self.updated(turn))

    def length(self, epoch: int) -> int:
        """The number of turns of an epoch."""
        return self._lengths[epoch - 1]

    def turns_before(self, epoch: int) -> int:
        """The number of turns of all earlier epochs."""
        return sum(self._lengths[: epoch - 1])

    def updates_before(self, epoch: int) -> Counter[str]:
        """The updates of each learner in all earlier epochs."""
        return sum(self._updates[: epoch - 1], Counter())

    def all_updates(self) -> Counter[str]:
        """The updates of each learner in the whole training."""
        return sum(self._updates, Counter())
