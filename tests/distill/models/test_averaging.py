"""The averaging part: by its formula, its mean with the convolutions, and each text training one of the two."""

import torch
from torch import Tensor

from distill.models.architecture import EMBEDDING_STD, Architecture, Dropout
from distill.models.textcnn import Batch, TextCNN
from tests.distill.models.test_textcnn import NO_DROPOUT, ragged, take

ONE_PART = Dropout(0, 0, 0, part=True)
IDS = {"char": 9, "word": 12}
WIDTHS = {"char": (1,), "word": (1, 2)}
TEXTS = {"char": [[1, 2, 3, 4, 5], [6], []], "word": [[3, 9], [7], []]}


def network(dropout: Dropout, average: int = 3) -> TextCNN:
    torch.manual_seed(0)
    student = TextCNN(Architecture(IDS, WIDTHS, 6, 5, average=average), dropout)
    for parameter in student.average.parameters() if student.average else ():
        torch.nn.init.normal_(parameter)
    return student


def batch_of(rows: Tensor) -> Batch:
    return {name: take(ragged(texts), rows, max(WIDTHS[name])) for name, texts in TEXTS.items()}


def by_formula(student: TextCNN) -> Tensor:
    """The part's logits of the three texts."""
    part, rows = student.average, []
    assert part is not None
    for text in range(3):
        hidden = part.bias
        for name, texts in TEXTS.items():
            mean = sum((student.embeddings[name].weight[i] for i in texts[text]), torch.zeros(6)) / max(
                len(texts[text]), 1
            )
            hidden = hidden + part.layers[name].weight @ mean / EMBEDDING_STD
        rows.append(part.output.weight @ hidden.clamp(min=0) + part.output.bias)
    return torch.stack(rows)


def convolved(student: TextCNN) -> Tensor:
    """The logits of the three texts by the same weights without the part."""
    alone = network(NO_DROPOUT, average=0)
    alone.load_state_dict({name: t for name, t in student.state_dict().items() if not name.startswith("average.")})
    logits: Tensor = alone(batch_of(torch.arange(3)))
    return logits


def test_the_logits_are_the_mean_of_both_parts() -> None:
    student = network(ONE_PART).eval()
    expected = (convolved(student) + by_formula(student)) / 2
    torch.testing.assert_close(student(batch_of(torch.arange(3))), expected)


def test_in_training_each_text_trains_one_part_drawn_at_random() -> None:
    student = network(ONE_PART).train()
    rows = torch.arange(300) % 3
    logits = student(batch_of(rows))
    of_convolutions = (logits - convolved(student)[rows]).abs().amax(1) < 1e-5
    torch.testing.assert_close(logits[~of_convolutions], by_formula(student)[rows][~of_convolutions])
    assert 100 < of_convolutions.sum() < 200
    logits[of_convolutions].sum().backward()
    assert not student.average.output.weight.grad.any(), "the other part learns nothing from these texts"
    assert student.output.weight.grad.any()


def test_without_dropout_of_parts_each_text_trains_both() -> None:
    student = network(NO_DROPOUT).train()
    torch.testing.assert_close(student(batch_of(torch.arange(3))), (convolved(student) + by_formula(student)) / 2)
