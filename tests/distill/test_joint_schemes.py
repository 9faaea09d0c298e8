"""Who gets which gradient when teacher and student train together, against values worked out by hand.

Both are v = (0, a x + c). With p = sigma(v_1/T), q = sigma(z_1/T), y the label and B rows, the gradients of one row are
    L_hard:   d/da = x (sigma(v_1) - y)
    T^2 L_soft: d/da of the student = T x (q - p)
    T^2 L_teacher: d/da of the teacher = T x times -p (1 - p) z_1 / T, p (1 - p) (v_1 - z_1) / T or p - q
and d/dc the same without the x; test_losses.py derives the last line.
"""

from dataclasses import replace
from math import exp
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.data.dataset import Batch
from distill.training.config import TeacherSoftLoss, TrainingConfig
from distill.training.learner import Learner
from distill.training.ranks import SingleProcess
from distill.training.schemes import JOINT, JointCoupled, JointIsolated, JointSum, Scheme

X, Y = [0.5, -1.0, 2.0], [1, 0, 1]
T, ALPHA, BETA, WEIGHT = 3.0, 0.7, 0.4, 0.6
CONFIG = TrainingConfig(
    temperature=T, alpha_soft=(ALPHA,), beta_hard=BETA, learning_rate=0.1, teacher_soft_weight=WEIGHT
)
FORMS: list[TeacherSoftLoss] = ["cross-entropy", "kl", "reverse-kl"]


class Line(nn.Module):
    """Two parameters."""

    def __init__(self, a: float, c: float):
        super().__init__()
        self.a, self.c = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(c))

    def forward(self, x: Tensor) -> Tensor:
        score = self.a * x + self.c
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": learning_rate, "weight_decay": weight_decay}]


def pair(name: str, form: TeacherSoftLoss = "kl") -> tuple[Scheme, Line, Line]:
    teacher, student = Line(0.8, -0.3), Line(-0.2, 0.6)
    learners = [Learner(n, m, CONFIG, SingleProcess()) for n, m in (("teacher", teacher), ("student", student))]
    return JOINT[name](*learners, replace(CONFIG, teacher_soft_loss=form)), teacher, student


def batch(rows: slice = slice(None)) -> Batch:
    x = torch.tensor(X)[rows]
    return Batch(torch.tensor(Y)[rows], {"teacher": x, "student": x}, torch.empty(len(x), 0, 2))


def sigma(score: float) -> float:
    return 1 / (1 + exp(-score))


def hard(line: tuple[float, float]) -> tuple[float, float]:
    """Of L_hard, mean over the batch."""
    slopes = [sigma(line[0] * x + line[1]) - y for x, y in zip(X, Y, strict=True)]
    return sum(s * x for s, x in zip(slopes, X, strict=True)) / 3, sum(slopes) / 3


def soft(
    teacher: tuple[float, float], student: tuple[float, float], form: TeacherSoftLoss = "kl"
) -> tuple[tuple[float, float], ...]:
    """Of w alpha T^2 L_teacher for the teacher, of alpha T^2 L_soft for the student, mean over the batch."""
    of_teacher, of_student = [], []
    for x in X:
        v, z = teacher[0] * x + teacher[1], student[0] * x + student[1]
        p, q = sigma(v / T), sigma(z / T)
        slopes = {"cross-entropy": -p * (1 - p) * z / T, "kl": p * (1 - p) * (v - z) / T, "reverse-kl": p - q}
        of_teacher.append(WEIGHT * ALPHA * T * slopes[form] / 3)
        of_student.append(ALPHA * T * (q - p) / 3)
    return tuple((sum(s * x for s, x in zip(g, X, strict=True)), sum(g)) for g in (of_teacher, of_student))


def now(line: Line) -> tuple[float, float]:
    return line.a.item(), line.c.item()


def gradient(line: Line) -> tuple[float, float]:
    """Of the last update."""
    return line.a.grad.item(), line.c.grad.item()


def plus(*pairs: tuple[float, float], weights: tuple[float, ...] | None = None) -> Any:
    sums = [sum(w * g[i] for w, g in zip(weights or [1] * len(pairs), pairs, strict=True)) for i in (0, 1)]
    return pytest.approx(sums, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", ["joint-isolated", "joint-coupled"])
def test_the_student_learns_from_the_logits_of_before_the_teachers_step(name: str) -> None:
    scheme, teacher, student = pair(name)
    _, of_student = soft(now(teacher), now(student))
    expected = plus(of_student, hard(now(student)), weights=(1, BETA))
    scheme.step([batch()], 3)
    assert gradient(student) == expected


def test_isolated_gives_the_teacher_nothing_of_the_student() -> None:
    scheme, teacher, _ = pair("joint-isolated")
    for _ in range(3):
        expected = plus(hard(now(teacher)))
        scheme.step([batch()], 3)
        assert gradient(teacher) == expected


@pytest.mark.parametrize("form", FORMS)
def test_coupled_gives_the_teacher_the_soft_gradient_one_step_later(form: TeacherSoftLoss) -> None:
    scheme, teacher, student = pair("joint-coupled", form)
    kept = (0.0, 0.0)
    for _ in range(3):
        expected = plus(hard(now(teacher)), kept)
        kept = soft(now(teacher), now(student), form)[0]
        assert abs(kept[0]) > 1e-3, "so that its absence would show"
        scheme.step([batch()], 3)
        assert gradient(teacher) == expected


@pytest.mark.parametrize("form", FORMS)
def test_sum_moves_both_from_one_loss(form: TeacherSoftLoss) -> None:
    scheme, teacher, student = pair("joint-sum", form)
    of_teacher, of_student = soft(now(teacher), now(student), form)
    expected = plus(hard(now(teacher)), of_teacher), plus(of_student, hard(now(student)), weights=(1, BETA))
    before = now(teacher), now(student)
    scheme.step([batch()], 3)
    assert (gradient(teacher), gradient(student)) == expected
    assert now(teacher) != before[0] and now(student) != before[1]


@pytest.mark.parametrize("name", JOINT)
def test_a_batch_in_micro_batches_is_the_batch_in_one(name: str) -> None:
    """One of the micro-batches is empty, as those of a rank can be at the end of an epoch."""
    whole, *lines = pair(name)
    divided, *same = pair(name)
    for _ in range(3):
        losses = [
            float(whole.step([batch()], 3)),
            float(divided.step([batch(slice(0, 1)), batch(slice(1, 3)), batch(slice(3, 3))], 3)),
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(lines, same, strict=True):
        assert now(one) == pytest.approx(now(other), rel=1e-5)


@pytest.mark.parametrize("name", JOINT)
def test_what_a_scheme_keeps_survives_a_checkpoint(name: str) -> None:
    going, *lines = pair(name)
    going.step([batch()], 3)
    stopped, *others = pair(name)
    stopped.step([batch()], 3)
    state = {key: tensor.clone() for key, tensor in stopped.state().items()}
    fresh = type(stopped)(stopped.teacher, stopped.student, CONFIG)  # type: ignore[attr-defined]
    fresh.load_state(state)
    going.step([batch()], 3)
    fresh.step([batch()], 3)
    assert [now(line) for line in lines] == [now(line) for line in others]
    assert bool(state) is (name == "joint-coupled")


def test_each_name_is_its_scheme() -> None:
    assert {"joint-isolated": JointIsolated, "joint-coupled": JointCoupled, "joint-sum": JointSum} == JOINT
