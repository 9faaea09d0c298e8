"""The losses by hand: logits are logarithms of small numbers, so that every probability is a fraction."""

import math

import pytest
import torch
from torch import Tensor

from distill.training.losses import NO_LABEL, hard_loss, hint_loss, soft_loss


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
