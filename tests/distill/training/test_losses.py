"""The losses by hand: logits are logarithms of small numbers, so that every probability is a fraction."""

import math

import pytest
import torch
from torch import Tensor

from distill.training.config import TeacherSoftLoss
from distill.training.losses import NO_LABEL, hard_loss, hint_loss, soft_loss, teacher_soft_loss


def logs(*rows: tuple[float, float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


# p = (1/4, 3/4), q = (4/5, 1/5): -(1/4 ln 4/5 + 3/4 ln 1/5) = ln 5 - 1/4 ln 4
TEACHER, STUDENT, CROSS_ENTROPY = (1, 3), (4, 1), math.log(5) - math.log(4) / 4


def test_the_soft_loss_is_the_cross_entropy_with_the_teacher() -> None:
    assert soft_loss(logs(STUDENT), logs(TEACHER), 1).item() == pytest.approx(CROSS_ENTROPY)


def test_the_temperature_divides_the_logits_of_both() -> None:
    squared = [tuple(n**2 for n in row) for row in (STUDENT, TEACHER)]
    assert soft_loss(logs(squared[0]), logs(squared[1]), 2).item() == pytest.approx(CROSS_ENTROPY)


def test_a_very_high_temperature_makes_both_labels_equally_likely() -> None:
    assert soft_loss(logs(STUDENT), logs(TEACHER), 1e9).item() == pytest.approx(math.log(2))


def test_the_soft_loss_is_least_where_the_student_is_the_teacher() -> None:
    student = logs(TEACHER).requires_grad_()
    soft_loss(student, logs(TEACHER), 3).backward()
    torch.testing.assert_close(student.grad, torch.zeros(1, 2, dtype=torch.float64))


def test_the_gradient_of_the_soft_loss_is_the_difference_of_probabilities_over_the_temperature() -> None:
    student = logs((16, 1)).requires_grad_()  # at T = 2 as (4, 1)
    soft_loss(student, logs((1, 9)), 2).backward()
    torch.testing.assert_close(student.grad, torch.tensor([[(4 / 5 - 1 / 4) / 2, (1 / 5 - 3 / 4) / 2]]).double())


def test_squared_temperature_times_the_gradient_tends_to_a_quarter_of_the_difference_of_margins() -> None:
    """q_j = 1/2 + (z_j - z_i) / 4T + O(1/T^3) for the two labels j and i, and p of v likewise.

    So T^2 (q_j - p_j) / T tends to ((z_j - z_i) - (v_j - v_i)) / 4: with margins of 3 and -5, to 2.
    """
    student, teacher = torch.tensor([[3.0, 0.0]]).double().requires_grad_(), torch.tensor([[0.0, 5.0]]).double()
    (1e4**2 * soft_loss(student, teacher, 1e4)).backward()
    torch.testing.assert_close(student.grad, torch.tensor([[2.0, -2.0]]).double(), rtol=0, atol=1e-6)


def test_the_soft_loss_is_summed_over_rows_and_rows_without_a_teacher_add_nothing() -> None:
    student = logs(STUDENT, STUDENT, STUDENT).requires_grad_()
    teacher = torch.cat([logs(TEACHER), torch.full((1, 2), torch.nan), logs(TEACHER)])
    loss = soft_loss(student, teacher, 1)
    loss.backward()
    assert loss.item() == pytest.approx(2 * CROSS_ENTROPY)
    assert student.grad is not None and student.grad[1].tolist() == [0, 0]
    torch.testing.assert_close(student.grad[[0, 2]], torch.tensor([[0.55, -0.55], [0.55, -0.55]]).double())


@pytest.mark.parametrize("rows", [0, 2])
def test_a_part_without_any_teacher_has_a_loss_and_gradient_of_zero(rows: int) -> None:
    student = torch.ones(rows, 2, requires_grad=True)
    loss = soft_loss(student, torch.full((rows, 2), torch.nan), 2)
    loss.backward()
    assert loss.item() == 0 and student.grad is not None and not student.grad.any()


def test_the_hard_loss_is_summed_over_rows_and_rows_without_a_label_add_nothing() -> None:
    logits = logs(STUDENT, STUDENT, STUDENT).requires_grad_()
    loss = hard_loss(logits, torch.tensor([0, NO_LABEL, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(4 / 5) - math.log(1 / 5))
    torch.testing.assert_close(logits.grad, torch.tensor([[-0.2, 0.2], [0, 0], [0.8, -0.8]]).double())


@pytest.mark.parametrize("rows", [0, 2])
def test_a_part_without_any_label_has_a_loss_and_gradient_of_zero(rows: int) -> None:
    logits = torch.ones(rows, 2, requires_grad=True)
    loss = hard_loss(logits, torch.full((rows,), NO_LABEL), torch.tensor([1.0, 2.0]))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_class_weights_multiply_and_are_not_divided_by_again() -> None:
    weight = torch.tensor([3.0, 10.0]).double()
    loss = hard_loss(logs(STUDENT, STUDENT), torch.tensor([0, 1]), weight)
    assert loss.item() == pytest.approx(-3 * math.log(4 / 5) - 10 * math.log(1 / 5))


def sigma(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


def by_hand(form: TeacherSoftLoss, a: float, b: float) -> tuple[float, float]:
    """Value of the loss of one row, and its derivative by a; p = s(a) and q = s(b) of the second label.

    cross-entropy: -p ln q - (1 - p) ln (1 - q), and dp/da = s'(a) = p (1 - p), so the derivative is
        -s'(a) (ln q - ln (1 - q)) = -s'(a) b.
    kl: that less the entropy of p, whose derivative is -s'(a) (ln p - ln (1 - p)) = -s'(a) a: in all s'(a) (a - b).
    reverse-kl: q ln (q / p) + (1 - q) ln ((1 - q) / (1 - p)); d ln p / da = 1 - p and d ln (1 - p) / da = -p, so the
        derivative is -q (1 - p) + (1 - q) p = p - q.
    """
    p, q = sigma(a), sigma(b)
    cross_entropy = -p * math.log(q) - (1 - p) * math.log(1 - q)
    if form == "cross-entropy":
        return cross_entropy, -p * (1 - p) * b
    if form == "kl":
        return cross_entropy + p * math.log(p) + (1 - p) * math.log(1 - p), p * (1 - p) * (a - b)
    return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p)), p - q


FORMS: list[TeacherSoftLoss] = ["cross-entropy", "kl", "reverse-kl"]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(("a", "b"), [(2.0, 2.0), (2.0, -1.0), (-0.5, 3.0), (6.0, 0.25), (0.0, 0.0)])
@pytest.mark.parametrize("form", FORMS)
def test_a_teachers_soft_loss_and_gradient_are_those_by_hand(
    form: TeacherSoftLoss, a: float, b: float, temperature: float
) -> None:
    """a, b: margins at the temperature, so the logits are T times as far apart and the derivative by them a T-th."""
    teacher = torch.tensor([[1.0, 1.0 + a * temperature]]).double().requires_grad_()
    student = torch.tensor([[-b * temperature, 0.0]]).double().requires_grad_()
    loss = teacher_soft_loss(student, teacher, temperature, form)
    loss.backward()
    value, slope = by_hand(form, a, b)
    assert loss.item() == pytest.approx(value)
    torch.testing.assert_close(teacher.grad, torch.tensor([[-slope, slope]]).double() / temperature)
    assert student.grad is None, "the student follows its own soft loss"


def test_where_both_agree_only_the_cross_entropy_moves_the_teacher() -> None:
    """At margins of 2 it pushes towards more confidence by s'(2) 2 = 0.21."""
    slopes = [by_hand(form, 2, 2)[1] for form in FORMS]
    assert slopes == pytest.approx([-0.2100, 0, 0], abs=5e-5)


def test_an_unsure_student_hardly_moves_a_sure_teacher_unless_by_the_reverse_kl() -> None:
    assert by_hand("kl", 6, 0)[1] == pytest.approx(0.0148, abs=5e-5)
    assert by_hand("reverse-kl", 6, 0)[1] == pytest.approx(0.4975, abs=5e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_teachers_soft_loss_is_summed_over_rows_and_finite_where_it_is_certain(form: TeacherSoftLoss) -> None:
    teacher = torch.tensor([[0.0, 2.0], [0.0, 900.0]], requires_grad=True)
    student = torch.tensor([[0.0, -1.0], [0.0, 1.0]])
    both = teacher_soft_loss(student, teacher, 1, form)
    both.backward()
    each = [teacher_soft_loss(student[i : i + 1], teacher[i : i + 1], 1, form) for i in (0, 1)]
    assert both.item() == pytest.approx(sum(one.item() for one in each))
    assert teacher.grad is not None and teacher.grad.isfinite().all()


def test_the_hint_loss_is_half_the_squared_distance_summed_over_rows() -> None:
    regressed = torch.tensor([[1.0, 2.0], [0.0, 1.0]], requires_grad=True)
    loss = hint_loss(regressed, torch.tensor([[4.0, 6.0], [0.0, -1.0]]))
    loss.backward()
    assert loss.item() == (3**2 + 4**2 + 2**2) / 2
    assert regressed.grad is not None and regressed.grad.tolist() == [[-3, -4], [0, 2]]


def test_a_row_of_weight_three_counts_as_three_and_rows_without_a_label_add_nothing() -> None:
    logits = logs((1, 3), (4, 1), (2, 5)).requires_grad_()
    labels, weights = torch.tensor([1, 1, NO_LABEL]), torch.tensor([1.0, 3.0, 9.0]).double()
    loss = hard_loss(logits, labels, weights=weights)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(4 / 3) + 3 * math.log(5))
    expected = [[1 / 4, 3 / 4 - 1], [3 * 4 / 5, 3 * (1 / 5 - 1)], [0, 0]]
    torch.testing.assert_close(logits.grad, torch.tensor(expected).double())
