"""Losses, each summed over the rows of a micro-batch: the caller divides by the rows of the batch."""

from torch import Tensor
from torch.nn import functional as F

from distill.data.labelled import NO_LABEL
from distill.training.config import TeacherSoftLoss


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """L_soft = - sum_j p_j^T log q_j^T, with p^T = softmax(teacher / T) and q^T = softmax(student / T); a scalar.

    student, teacher: logits, float32 (batch, 2). A row whose teacher logits are NaN, not stored, adds nothing. The
    gradient shrinks as 1/T^2, so callers multiply by T^2 (Hinton et al. 2015, section 2.1).
    """
    stored = ~teacher.isnan().any(dim=1)
    p = (teacher[stored] / temperature).softmax(dim=1)
    q = (student[stored] / temperature).log_softmax(dim=1)
    return -(p * q).sum()


def teacher_soft_loss(student: Tensor, teacher: Tensor, temperature: float, form: TeacherSoftLoss) -> Tensor:
    """The soft loss of a teacher that follows its student, whose logits get no gradient; a scalar.

    student, teacher: logits, float32 (batch, 2). With p and q of the teacher and the student at the temperature:

        cross-entropy: - sum_j p_j log q_j    kl: sum_j p_j log(p_j / q_j)    reverse-kl: sum_j q_j log(q_j / p_j)

    Of tempered margins a of the teacher and b of the student, the derivatives by a are -s'(a) b, s'(a) (a - b) and
    s(a) - s(b), where s is the sigmoid. The cross-entropy lacks the entropy of p, so it pushes the teacher away from
    1/2 even where both agree. As with the student's, callers multiply by T^2.
    """
    log_p = (teacher / temperature).log_softmax(dim=1)
    log_q = (student.detach() / temperature).log_softmax(dim=1)
    if form == "cross-entropy":
        return -(log_p.exp() * log_q).sum()
    if form == "kl":
        return (log_p.exp() * (log_p - log_q)).sum()
    return (log_q.exp() * (log_q - log_p)).sum()


def hard_loss(
    logits: Tensor, labels: Tensor, class_weight: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """L_hard, the cross-entropy with the labels, int64 (batch,); rows of NO_LABEL add nothing. A scalar.

    weights: of each row, float32 (batch,), beside those of the classes; None: each row weighs 1.
    """
    if weights is None:
        return F.cross_entropy(logits, labels, class_weight, ignore_index=NO_LABEL, reduction="sum")
    return (F.cross_entropy(logits, labels, class_weight, ignore_index=NO_LABEL, reduction="none") * weights).sum()


def hint_loss(regressed: Tensor, hint: Tensor) -> Tensor:
    """1/2 ||u_h - r||^2 of a teacher's layer u_h and what the regressor makes of the student's, (batch, width) each.

    Romero et al. 2015 (FitNets), equation 3. A scalar, summed over the rows.
    """
    return (regressed - hint).square().sum() / 2
