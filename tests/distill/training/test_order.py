"""Turns are counted by learner: its place among its own updates steers its rate, whoever else had a turn."""

import torch

from distill.data.dataset import Examples
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.order import Order
from distill.training.ranks import SingleProcess
from distill.training.schemes import Scheme, Turn
from tests.distill.training.test_schemes import Line


class Alternating(Scheme):
    """In the first epoch two turns of the teacher and one of the student, then one of both."""

    def turns(self, train: Examples, batch: int, seed: int, epoch: int) -> list[Turn]:
        rows = torch.arange(batch)
        only = ["teacher", "teacher", "student"] if epoch == 1 else [None]
        return [Turn(rows, self.step, name) for name in only]


def order() -> Order:
    config = TrainingConfig(epochs=3, batch=4)
    learners = [Learner(name, Line(), config, SingleProcess()) for name in ("student", "teacher")]
    rows = Examples(torch.zeros(4, dtype=torch.int64), {}, torch.empty(4, 0, 2))
    return Order(Alternating(), learners, rows, config, SingleProcess())


def test_updates_are_counted_by_learner_and_turns_together() -> None:
    found = order()
    assert found.all_updates() == {"teacher": 4, "student": 3}
    assert [found.updates_before(epoch) for epoch in (1, 2, 3)] == [
        {},
        {"teacher": 2, "student": 1},
        {"teacher": 3, "student": 2},
    ]
    assert [found.turns_before(epoch) for epoch in (1, 2, 3)] == [0, 3, 4]
    assert [found.length(epoch) for epoch in (1, 2, 3)] == [3, 1, 1]


def test_a_turn_updates_one_learner_or_all() -> None:
    found = order()
    names = [[one.name for one in found.updated(turn)] for turn in (*found.turns(1), *found.turns(2))]
    assert names == [["teacher"], ["teacher"], ["student"], ["student", "teacher"]]
    assert found.updates(found.turns(1)[:2]) == {"teacher": 2}, "of an epoch that was cut off after two turns"
