"""The scorer equals the network it was made from, and a score depends on the text and the bundle alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import BadModel
from distill.models import bundle as bundles
from distill.models.bundle import Bundle
from distill.models.textcnn import Encodings, TextCNN
from distill.scoring.scorer import Scorer
from distill.text.normalisation import NO_WORD_CHARACTER, NULL_TEXT, RAW_LIMIT, normalise, unscorable_reason
from distill.text.vocabulary import Limit, Vocabulary
from tests.distill.scoring.random_students import TEXTS, any_widths, bundle_of, random_student, texts


def torch_scores(student: TextCNN, vocabulary: Vocabulary, normalised: list[str]) -> np.ndarray:
    """Scores of the network itself."""
    encoded = vocabulary.encode_batch(normalised)
    rows = torch.arange(len(normalised))
    batch = Encodings(encoded, student.architecture).take(rows)
    with torch.no_grad():
        return torch.softmax(student(batch), dim=1)[:, 1].numpy()


def tolerance(scorer: Scorer) -> float:
    """How far a score may be from the network's: a probability changes by a quarter of its margin at most."""
    return float(scorer.rounding().sum()) / 4 + 1e-5


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31 - 1),
    any_widths,
    st.lists(texts, min_size=1, max_size=8),
)
def test_scores_equal_the_networks(seed: int, widths: dict[str, tuple[int, ...]], given_texts: list[str]) -> None:
    student = random_student(seed, widths)
    scorer = Scorer(bundle_of(student))
    scorable = [text for text in given_texts if unscorable_reason(normalise(text)) is None]
    scores = scorer.score(scorable).scores
    if scorable:
        expected = torch_scores(student, scorer.vocabulary, [normalise(text) for text in scorable])
        np.testing.assert_allclose(scores, expected, atol=tolerance(scorer))


@pytest.mark.parametrize("text", ["坏", "退款", "1", "龘龘龘", "物业乱收费" * 200])
def test_short_unknown_and_cut_texts_score_as_the_network_says(text: str) -> None:
    student = random_student(3, {"word": (1, 2, 5), "char": (4,), "bigram": (1, 3)})
    scorer = Scorer(bundle_of(student))
    expected = torch_scores(student, scorer.vocabulary, [normalise(text)])
    np.testing.assert_allclose(scorer.score([text]).scores, expected, atol=tolerance(scorer))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), texts), max_size=12), st.integers(0, 12))
def test_a_score_does_not_depend_on_the_batch(given_texts: list[str | None], cut_at: int) -> None:
    scorer = Scorer(bundle_of(random_student(1, {"word": (1, 2, 3), "bigram": (1, 2)})))
    together = scorer.score(given_texts)
    parts = [scorer.score(given_texts[:cut_at]), scorer.score(given_texts[cut_at:])]
    alone = [scorer.score([text]) for text in given_texts]
    for others in (parts, alone):
        assert np.concatenate([o.scores for o in others] or [[]]).tobytes() == together.scores.tobytes()
        assert [reason for o in others for reason in o.reasons.to_pylist()] == together.reasons.to_pylist()


def test_a_text_without_a_score_has_a_reason() -> None:
    scorer = Scorer(bundle_of(random_student(2, {"char": (2,)})))
    result = scorer.score([None, "!!!", "好", "长" * (RAW_LIMIT + 1), "长" * 257, "长" * 256])
    assert result.reasons.to_pylist() == [NULL_TEXT, NO_WORD_CHARACTER, None, None, None, None]
    assert np.isnan(result.scores).tolist() == [True, True, False, False, False, False]
    assert result.cut.tolist() == [False, False, False, True, True, False]


def test_a_saved_bundle_scores_as_before(tmp_path) -> None:
    student = random_student(5, {"word": (1, 2), "char": (1, 3), "bigram": (2,)})
    made = bundle_of(student)
    bundles.save(tmp_path / "b", made.tensors, made.files, made.manifest)
    scorer = Scorer(bundles.load(tmp_path / "b"))
    expected = torch_scores(student, scorer.vocabulary, [normalise(text) for text in TEXTS])
    np.testing.assert_allclose(scorer.score(TEXTS).scores, expected, atol=tolerance(scorer))


def changed(**sections: object) -> Bundle:
    """A good bundle but for some sections of its manifest."""
    good = bundle_of(random_student(4, {"char": (1, 2)}))
    return Bundle({**good.manifest, **sections}, good.tensors, good.files, "")


@pytest.mark.parametrize(
    ("bundle", "message"),
    [
        (changed(text={"fingerprint": "another"}), "another text pipeline"),
        (changed(threshold={"value": float("nan")}), "threshold"),
        (changed(threshold={"value": 1.5}), "threshold"),
        (changed(threshold={"value": []}), "threshold"),
        (changed(threshold=None), "'threshold'"),
        (changed(architecture={"kind": "bert"}), "bert"),
        (changed(architecture={"kind": "textcnn"}), "not readable"),
        (changed(architecture={"kind": "textcnn", "ids": {}, "widths": {}, "embedding": float("inf"), "filters": 3}),
         "not readable"),
        (changed(architecture={"kind": "textcnn", "ids": {"char": 9}, "widths": {"char": [1, 2]}, "embedding": 5,
                               "filters": 3}), "shape"),
    ],
)  # fmt: skip
def test_a_bundle_that_would_score_otherwise_is_refused(bundle: Bundle, message: str) -> None:
    with pytest.raises(BadModel, match=message):
        Scorer(bundle)


def test_numbers_whose_sums_would_overflow_are_refused() -> None:
    good = bundle_of(random_student(4, {"char": (1, 2)}))
    tensors = {**good.tensors, "output.bias": np.array([1e30, 1e30], np.float32)}
    with pytest.raises(BadModel, match=r"output\.bias holds numbers beyond"):
        Scorer(Bundle(good.manifest, tensors, good.files, ""))


def test_a_vocabulary_of_another_size_is_refused() -> None:
    good = bundle_of(random_student(4, {"char": (1, 2)}))
    smaller = Vocabulary.build(TEXTS[:2], {"char": Limit(1, 1000)}).to_bytes()
    with pytest.raises(BadModel, match="channel char"):
        Scorer(Bundle(good.manifest, good.tensors, {"vocabulary": smaller}, ""))
