"""Who gets which gradient when teacher and student train together, against values worked out by hand.

Both are v = (0, a x + c). With p = sigma(v_1/T), q = sigma(z_1/T), y the label and B rows, the gradients of one row are
    L_hard:   d/da = x (sigma(v_1) - y)
    T^2 L_soft: d/da of the student = T x (q - p)
    T^2 L_teacher: d/da of the teacher = T x times -p (1 - p) z_1 / T, p (1 - p) (v_1 - z_1) / T or p - q
and d/dc the same without the x; test_losses.py derives the last line.
"""

from dataclasses import replace
from math import exp
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from distill.data import dataset
from distill.data.dataset import Batch, Examples
from distill.training.config import TeacherSoftLoss, TrainingConfig
from distill.training.joint_schemes import JOINT, Joint, JointCoupled, JointIsolated, JointSum
from distill.training.learner import Learner
from distill.training.ranks import SingleProcess
from distill.training.schemes import Turn

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


def pair(name: str, form: TeacherSoftLoss = "kl") -> tuple[Any, Line, Line]:
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


class View(NamedTuple):
    x: Tensor

    def take(self, rows: Tensor) -> Tensor:
        return self.x[rows]


def rows_of(count: int = 3, lengths: Tensor | None = None) -> Examples:
    x = torch.tensor(X).repeat(count)[:count]
    view = View(x)
    labels = torch.tensor(Y).repeat(count)[:count]
    return Examples(labels, {"teacher": view, "student": view}, torch.empty(count, 0, 2), lengths)


def take(scheme: Joint, train: Examples, turn: Turn) -> None:
    """A turn as the loop takes it."""
    if turn.label is not None:
        scheme.label(train, turn.label, SingleProcess())
    turn.step([train.batch(turn.rows, torch.device("cpu"))], len(turn.rows))


def test_isolated_gives_the_teacher_nothing_of_the_student_and_the_student_the_teachers_average() -> None:
    """The average stays where it was, since only the loop moves it: so it is not the teacher that has just stepped."""
    scheme, teacher, student = pair("joint-isolated")
    train, average = scheme.prepare(rows_of()), now(teacher)
    for epoch in (1, 2):
        first, second = scheme.turns(train, batch=3, seed=0, epoch=epoch)
        assert (first.only, second.only) == ("teacher", "student")
        expected = plus(hard(now(teacher)))
        take(scheme, train, first)
        assert gradient(teacher) == expected
        moved, expected = now(teacher), plus(soft(average, now(student))[1], hard(now(student)), weights=(1, BETA))
        assert moved != average
        take(scheme, train, second)
        assert gradient(student) == expected and now(teacher) == moved


def test_the_student_of_coupled_learns_from_the_logits_of_before_the_teachers_step() -> None:
    scheme, teacher, student = pair("joint-coupled")
    _, of_student = soft(now(teacher), now(student))
    expected = plus(of_student, hard(now(student)), weights=(1, BETA))
    scheme.step([batch()], 3)
    assert gradient(student) == expected


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


@pytest.mark.parametrize("name", ["joint-coupled", "joint-sum"])
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


def test_what_coupled_keeps_survives_a_checkpoint() -> None:
    going, *lines = pair("joint-coupled")
    going.step([batch()], 3)
    stopped, *others = pair("joint-coupled")
    stopped.step([batch()], 3)
    state = {key: tensor.clone() for key, tensor in stopped.state().items()}
    fresh = JointCoupled(stopped.teacher, stopped.student, CONFIG)
    fresh.load_state(state)
    going.step([batch()], 3)
    fresh.step([batch()], 3)
    assert [now(line) for line in lines] == [now(line) for line in others]


@pytest.mark.parametrize("name", ["joint-coupled", "joint-sum"])
def test_the_soft_weight_of_both_rises_over_the_ramp(name: str) -> None:
    """At the third of four steps of a ramp over half of them it is whole; before, a half and nothing."""
    for done, ramp in ((0, 0), (0.25, 0.5), (0.5, 1), (0.75, 1)):
        scheme, teacher, student = pair(name)
        scheme.config, scheme.student.done = replace(scheme.config, soft_ramp=0.5), done
        of_teacher, of_student = soft(now(teacher), now(student))
        expected = [plus(of_student, hard(now(student)), weights=(ramp, BETA))]
        expected.append(plus(hard(now(teacher)), of_teacher, weights=(int(name == "joint-sum"), ramp)))
        scheme.step([batch()], 3)
        found = [gradient(student), gradient(teacher)]
        if name == "joint-coupled":  # the pending gradients follow in the next update
            found[1] = tuple(g.item() for g in scheme.pending_gradients)
        assert found == expected


def test_the_average_labels_in_evaluation_mode() -> None:
    scheme, *_ = pair("joint-isolated")
    scheme.teacher.average.train()
    scheme.teacher.average.register_forward_hook(lambda module, _, out: out * torch.nan if module.training else out)
    train = scheme.prepare(rows_of())
    scheme.label(train, torch.tensor([2, 0]), SingleProcess())
    margins = [[0.8 * x - 0.3] for x in X]
    torch.testing.assert_close(train.logits[[0, 2], :, 1], torch.tensor(margins)[[0, 2]])
    assert train.logits[1].isnan().all(), "it was not asked for"


@pytest.mark.parametrize("name", JOINT)
def test_in_the_cool_down_the_student_learns_alone_from_the_final_teacher(name: str) -> None:
    scheme, teacher, student = pair(name)
    scheme.config = replace(scheme.config, epochs=4, cool_down=2)
    train, average = scheme.prepare(rows_of()), now(teacher)
    turns = [scheme.turns(train, batch=2, seed=0, epoch=epoch) for epoch in (3, 4)]
    assert [len(epoch) for epoch in turns] == [2, 2] and {turn.only for epoch in turns for turn in epoch} == {"student"}
    assert [None if turn.label is None else turn.label.tolist() for epoch in turns for turn in epoch] == [
        [0, 1, 2],
        *[None] * 3,
    ]
    for epoch in turns:
        assert sorted(torch.cat([turn.rows for turn in epoch]).tolist()) == [0, 1, 2]
    whole = Turn(torch.arange(3), turns[0][0].step, label=turns[0][0].label)
    expected = plus(soft(average, now(student))[1], hard(now(student)), weights=(1, BETA))
    take(scheme, train, whole)
    assert gradient(student) == expected and now(teacher) == average


@pytest.mark.parametrize("name", ["joint-coupled", "joint-sum"])
def test_batches_of_a_shared_pass_are_random_and_sorted_within(name: str) -> None:
    lengths = torch.arange(100).flip(0) % 17
    turns = pair(name)[0].turns(rows_of(100, lengths), batch=10, seed=1, epoch=1)
    assert sorted(torch.cat([turn.rows for turn in turns]).tolist()) == list(range(100))
    for turn in turns:
        inside = lengths[turn.rows]
        assert turn.only is None and inside.tolist() == sorted(inside.tolist())
        assert inside.max() - inside.min() > 5, "of all lengths"


def test_a_pool_is_learned_by_the_teacher_then_by_the_student_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "POOL", 2)
    scheme, *_ = pair("joint-isolated")
    scheme.config = replace(scheme.config, student_passes=2)
    turns = scheme.turns(rows_of(50, torch.arange(50) % 7), batch=10, seed=1, epoch=1)
    assert [turn.only for turn in turns] == [*["teacher"] * 2, *["student"] * 4] * 2 + ["teacher", "student", "student"]
    pools = [(turns[at : at + 2], turns[at + 2 : at + 6]) for at in (0, 6)] + [(turns[12:13], turns[13:])]
    for of_teacher, of_student in pools:
        taught = sorted(torch.cat([turn.rows for turn in of_teacher]).tolist())
        assert of_student[0].label is not None and sorted(of_student[0].label.tolist()) == taught
        assert all(turn.label is None for turn in (*of_teacher, *of_student[1:]))
        assert sorted(torch.cat([turn.rows for turn in of_student]).tolist()) == sorted([*taught, *taught])


def test_each_name_is_its_scheme() -> None:
    assert {"joint-isolated": JointIsolated, "joint-coupled": JointCoupled, "joint-sum": JointSum} == JOINT
