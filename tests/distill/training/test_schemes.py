"""One step of each scheme on a student of two parameters, its gradients worked out by hand.

The student's logits are (0, m) with the margin m = weight x + bias; both parameters begin at 0, so m = 0 and the
probability of either label is 1/2. Then, of the loss of one row, the derivative by m is

    of L_hard: 1/2 - y    of T^2 L_soft: T (1/2 - p), with p the teacher's probability at the temperature T

and that by the bias is the same, by the weight x times as much.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.data.dataset import Batch
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.losses import NO_LABEL
from distill.training.ranks import SingleProcess
from distill.training.schemes import HardLabel, Offline, Scheme

T = 2
CONFIG = TrainingConfig(learning_rate=0.5, weight_decay=0, temperature=T, alpha_soft=(3.0,), beta_hard=10)
THREE_QUARTERS = (0.0, T * math.log(3))  # logits of a teacher: p = 3/4 at T
NONE = (math.nan, math.nan)


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        margin = self.weight * x + self.bias
        return torch.stack([torch.zeros_like(margin), margin], dim=1)

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": learning_rate, "weight_decay": weight_decay}]


def line(config: TrainingConfig = CONFIG) -> Learner:
    return Learner("student", Line(), config, SingleProcess())


def batch(*rows: tuple[float, int, tuple[float, ...]], teachers: int = 1) -> Batch:
    """Rows of x, label and the stored logits, teacher after teacher."""
    xs, labels, logits = zip(*rows, strict=True) if rows else ((), (), ())
    stored = torch.tensor(logits).reshape(len(rows), teachers, 2)
    return Batch(torch.tensor(labels, dtype=torch.int64), {"student": torch.tensor(xs)}, stored)


def gradient(learner: Learner) -> list[float]:
    """By weight and bias; the optimizer leaves it there after the step."""
    return [parameter.grad.item() for parameter in learner.model.parameters()]


def parameters(learner: Learner) -> list[float]:
    return [parameter.item() for parameter in learner.model.parameters()]


def test_hard_label_takes_the_gradient_of_the_labels() -> None:
    learner = line()
    loss = HardLabel(learner, CONFIG).step([batch((4, 1, NONE), (2, 0, NONE), (8, 1, NONE))], rows=3)
    assert loss.item() == pytest.approx(math.log(2)) and not loss.requires_grad
    assert gradient(learner) == pytest.approx([(-4 / 2 + 2 / 2 - 8 / 2) / 3, (-1 / 2 + 1 / 2 - 1 / 2) / 3])


def test_an_update_goes_against_the_gradient() -> None:
    learner = line()
    HardLabel(learner, CONFIG).step([batch((-4, 1, NONE))], rows=1)
    assert gradient(learner) == pytest.approx([2, -1 / 2])
    assert parameters(learner) == pytest.approx([-0.5, 0.5]), "AdamW's first step is the learning rate, by sign"


def test_hard_label_weighs_the_labels() -> None:
    learner = line()
    loss = HardLabel(learner, CONFIG, torch.tensor([3.0, 5.0])).step([batch((1, 1, NONE), (1, 0, NONE))], rows=2)
    assert loss.item() == pytest.approx((5 + 3) / 2 * math.log(2))
    assert gradient(learner) == pytest.approx([(-5 / 2 + 3 / 2) / 2] * 2)


def test_offline_adds_the_soft_and_the_hard_gradient_with_their_weights() -> None:
    learner = line()
    loss = Offline(learner, CONFIG).step([batch((5, 0, THREE_QUARTERS))], rows=1)
    soft, hard = T * (1 / 2 - 3 / 4), 1 / 2
    assert gradient(learner) == pytest.approx([5 * (3 * soft + 10 * hard), 3 * soft + 10 * hard])
    assert loss.item() == pytest.approx((3 * T**2 + 10) * math.log(2)) and not loss.requires_grad


def test_a_row_of_the_transfer_set_has_the_soft_gradient_alone() -> None:
    learner = line()
    loss = Offline(learner, CONFIG).step([batch((5, NO_LABEL, THREE_QUARTERS))], rows=1)
    assert gradient(learner) == pytest.approx([5 * 3 * T * (1 / 2 - 3 / 4), 3 * T * (1 / 2 - 3 / 4)])
    assert loss.item() == pytest.approx(3 * T**2 * math.log(2))


def test_a_row_without_stored_logits_has_the_hard_gradient_alone() -> None:
    learner = line()
    loss = Offline(learner, CONFIG).step([batch((5, 1, NONE))], rows=1)
    assert gradient(learner) == pytest.approx([5 * 10 * -1 / 2, 10 * -1 / 2])
    assert loss.item() == pytest.approx(10 * math.log(2))


def test_each_of_several_teachers_pulls_with_its_weight_where_it_has_spoken() -> None:
    config = TrainingConfig(temperature=T, alpha_soft=(3.0, 7.0), beta_hard=0)
    learner = line(config)
    quarter = (T * math.log(3), 0.0)
    rows = [(5.0, 1, THREE_QUARTERS + quarter), (1.0, 1, NONE + quarter)]
    Offline(learner, config).step([batch(*rows, teachers=2)], rows=2)
    first, second = T * (1 / 2 - 3 / 4), T * (1 / 2 - 1 / 4)
    one, other = 3 * first + 7 * second, 7 * second
    assert gradient(learner) == pytest.approx([(5 * one + other) / 2, (one + other) / 2])


def test_the_mean_is_over_all_rows_also_those_of_other_ranks() -> None:
    learner = line()
    rows = [(5.0, NO_LABEL, THREE_QUARTERS), (1.0, 1, NONE)]
    Offline(learner, CONFIG).step([batch(*rows)], rows=8)
    assert gradient(learner) == pytest.approx([(5 * 3 * -1 / 2 + 10 * -1 / 2) / 8, (3 * -1 / 2 + 10 * -1 / 2) / 8])


def hard(learner: Learner, config: TrainingConfig) -> Scheme:
    return HardLabel(learner, config, torch.tensor([3.0, 5.0]))


@pytest.mark.parametrize("scheme", [hard, Offline])
def test_a_batch_in_micro_batches_makes_the_update_of_the_whole(scheme: Any) -> None:
    rows = [(4.0, 1, THREE_QUARTERS), (-2.0, NO_LABEL, (1.0, 0.0)), (0.5, 0, NONE), (3.0, 1, (0.0, 2.0))]
    whole, parts = line(), line()
    for _ in range(2):
        one = scheme(whole, CONFIG).step([batch(*rows)], rows=4)
        three = scheme(parts, CONFIG).step([batch(*rows[:3]), batch(), batch(*rows[3:])], rows=4)
        assert three.item() == pytest.approx(one.item())
        assert gradient(parts) == pytest.approx(gradient(whole))
        assert parameters(parts) == pytest.approx(parameters(whole))


@pytest.mark.parametrize("scheme", [hard, Offline])
def test_a_step_forgets_the_gradients_of_the_one_before(scheme: Any) -> None:
    still = TrainingConfig(learning_rate=0, weight_decay=0)
    learner = line(still)
    gradients = []
    for _ in range(2):
        scheme(learner, still).step([batch((4, 1, THREE_QUARTERS))], rows=1)
        gradients.append(gradient(learner))
    assert gradients[0] == gradients[1] != [0, 0]


@pytest.mark.parametrize("scheme", [hard, Offline])
def test_a_rank_without_rows_steps_all_the_same(scheme: Any) -> None:
    learner = line()
    assert scheme(learner, CONFIG).step([batch()], rows=4).item() == 0
    assert gradient(learner) == [0, 0]


@pytest.mark.parametrize(("grad_clip", "scale"), [(0.0, 1.0), (0.125, 0.2), (0.7, 1.0)])
def test_a_gradient_is_clipped_to_the_norm_as_a_whole(grad_clip: float, scale: float) -> None:
    """(-3/8, -1/2) has the norm 5/8."""
    learner = line(TrainingConfig(grad_clip=grad_clip))
    HardLabel(learner, TrainingConfig(grad_clip=grad_clip)).step([batch((0.75, 1, NONE))], rows=1)
    assert gradient(learner) == pytest.approx([-3 / 8 * scale, -1 / 2 * scale], rel=1e-4)
