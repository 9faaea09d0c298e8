"""An explanation is exact: its parts sum to the margin, and each is what its characters are worth to the network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadInput
from distill.models.textcnn import TextCNN
from distill.scoring.explain import explain, largest
from distill.scoring.scorer import Scorer
from distill.text.normalisation import normalise, unscorable_reason
from tests.distill.scoring.random_students import TEXTS, any_widths, bundle_of, random_student, texts

WIDTHS = {"word": (1, 2), "char": (1, 4), "bigram": (1, 3)}


def summed(scorer: Scorer, text: str) -> None:
    """Assert that the parts of a text sum to its margin, and its score to the stored one."""
    explanation = explain(scorer, text)
    shares = [part.margin for part in explanation.parts]
    size = abs(explanation.base) + sum(map(abs, shares)) + 1
    assert explanation.base + sum(shares) == pytest.approx(explanation.margin, abs=1e-6 * size)
    assert np.float32(explanation.score) == scorer.score([text]).scores[0]
    assert explanation.score == pytest.approx(1 / (1 + np.exp(-explanation.margin)), abs=1e-6)
    assert explanation.characters().sum() == pytest.approx(sum(shares), abs=1e-6 * size)
    spans = [(part.start, part.end) for part in explanation.parts]
    assert len(set(spans)) == len(spans) and all(0 <= start < end <= len(explanation.text) for start, end in spans)
    assert explanation.text == normalise(text)[: scorer.vocabulary.max_chars]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31 - 1),
    any_widths,
    texts.filter(lambda text: unscorable_reason(normalise(text)) is None),
)
def test_the_parts_sum_to_the_margin(seed: int, widths: dict[str, tuple[int, ...]], text: str) -> None:
    summed(Scorer(bundle_of(random_student(seed, widths))), text)


@pytest.mark.parametrize("text", ["坏", "退款", "1", "龘龘龘", "物业乱收费" * 200, " a　b\x00c "])
def test_short_unknown_and_cut_texts(text: str) -> None:
    summed(Scorer(bundle_of(random_student(3, WIDTHS))), text)


def silent(seed: int, widths: dict[str, tuple[int, ...]], average: int = 0) -> TextCNN:
    """A network that gives 0 whatever it reads, to be taught one thing by hand."""
    student = random_student(seed, widths, average=average)
    for parameter in student.parameters():
        parameter.data.zero_()
    return student


def test_a_filter_is_credited_to_the_ngram_that_wins_it() -> None:
    """One filter of width 2 that fires on 收费 alone, and is worth 3 for a complaint and 1 for junk."""
    student = silent(0, {"char": (2,)})
    vocabulary = Scorer(bundle_of(student)).vocabulary
    ids = vocabulary.encode_batch(["收费"]).channels["char"].ids[1:3]
    student.embeddings["char"].weight.data[ids[0], 0] = 1.0
    student.embeddings["char"].weight.data[ids[1], 1] = 1.0
    taps = student.state_dict()["taps.char_2"]  # (width, filters, embedding)
    taps[0, 0, 0], taps[1, 0, 1] = 2.0, 5.0
    student.state_dict()["output.weight"][:, 0] = torch.tensor([1.0, 3.0])
    student.state_dict()["output.bias"][:] = torch.tensor([0.25, 0.0])
    explanation = explain(Scorer(bundle_of(student)), "物业乱收费，收费")
    [part] = explanation.parts
    assert explanation.text[part.start : part.end] == "收费" and part.start == 3, "the first of two equal windows"
    assert part.margin == pytest.approx(7 * (3 - 1), rel=1e-3)  # of the table's 16 bits
    assert explanation.base == -0.25
    assert explanation.margin == pytest.approx(14 - 0.25, rel=1e-3)


def test_an_ngram_of_the_wide_part_is_credited_with_its_weight() -> None:
    student = silent(0, {"char": (1,)})
    ids = Scorer(bundle_of(student)).vocabulary.encode_batch(["转发微博"]).channels["trigram"].ids
    student.wide["trigram"].weight.data[ids[1], 0] = 3.0  # 转发微, between the edge and 发微博
    explanation = explain(Scorer(bundle_of(student)), "转发微博")
    assert [(part.start, part.end) for part in explanation.parts] == [(0, 3)]
    assert explanation.parts[0].margin == pytest.approx(3.0 / len(ids) ** 0.5) == explanation.margin


def test_the_embeddings_sum_is_credited_token_by_token_and_the_edges_to_the_base() -> None:
    student = silent(0, {"char": (1,)})
    vocabulary = Scorer(bundle_of(student)).vocabulary
    ids = vocabulary.encode_batch(["退菜"]).channels["char"].ids  # edge, 退, 菜, edge
    for token, value in zip(ids[:3], (0.5, 4.0, -2.0), strict=True):
        student.embeddings["char"].weight.data[token, 0] = value
    student.state_dict()["output.weight"][:, 3] = torch.tensor([0.0, 1.0])  # the first column behind three filters
    explanation = explain(Scorer(bundle_of(student)), "退菜")
    assert [(explanation.text[p.start : p.end], p.margin) for p in explanation.parts] == [("退", 4 / 2), ("菜", -2 / 2)]
    assert explanation.base == pytest.approx(2 * 0.5 / 2)
    assert explanation.characters().tolist() == [2.0, -1.0]


def test_the_averaging_part_is_credited_token_by_token_where_its_units_are_above_zero() -> None:
    """Two units read the first two numbers of an embedding; the second stays at 0, whatever it is worth."""
    student = silent(0, {"char": (1,)}, average=2)
    ids = Scorer(bundle_of(student)).vocabulary.encode_batch(["退菜"]).channels["char"].ids  # edge, 退, 菜, edge
    embeddings = student.embeddings["char"].weight.data
    embeddings[ids[1], :2], embeddings[ids[2], :2] = torch.tensor([0.8, -0.4]), torch.tensor([-0.2, -0.4])
    tensors = student.state_dict()
    tensors["average.layers.char.weight"][:, :2] = torch.eye(2)
    tensors["average.bias"][:] = torch.tensor([0.5, 1.0])
    tensors["average.output.weight"][1] = torch.tensor([2.0, 8.0])
    explanation = explain(Scorer(bundle_of(student)), "退菜")
    # The mean of four embeddings, divided by 0.1, is 1.5 and -2; the margin is half of 2 times (1.5 + 0.5).
    assert explanation.margin == pytest.approx(2, rel=1e-3) and explanation.base == pytest.approx(0.5)
    found = {explanation.text[part.start : part.end]: part.margin for part in explanation.parts}
    assert found == pytest.approx({"退": 2.0, "菜": -0.5}, rel=1e-3)


def test_several_models_are_read_side_by_side_by_what_says_most_in_any() -> None:
    explanations = [explain(Scorer(bundle_of(random_student(seed, WIDTHS))), TEXTS[0]) for seed in (1, 2)]
    spans = largest(explanations, 5)
    strongest = max((part for one in explanations for part in one.parts), key=lambda part: abs(part.margin))
    assert len(spans) == 5 and spans[0] == (strongest.start, strongest.end)


@pytest.mark.parametrize(("text", "why"), [("", "blank_text"), ("！！！", "no_word_character")])
def test_a_text_without_a_score_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        explain(Scorer(bundle_of(random_student(1, {"char": (1,)}))), text)
