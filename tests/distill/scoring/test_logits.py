"""Any saved model as a teacher gives the logits of the model itself, text by text."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from distill.data.dataset import BATCH_TOKENS
from distill.errors import BadInput, BadModel
from distill.models.bert import Bert, Tokenizer, from_pretrained, to_bundle
from distill.models.bundle import Bundle
from distill.scoring import logits as logits_module
from distill.scoring.logits import PRECISIONS, BertTeacher, fingerprint, teacher_of
from distill.scoring.scorer import Scorer, probability
from distill.text.text_batch import normalise_batch
from tests.distill import tiny_encoder
from tests.jobs import tiny_model


def texts_of(rows: int) -> list[str]:
    rng = np.random.default_rng(3)
    return ["".join(rng.choice(list(tiny_encoder.CHINESE), rng.integers(1, 70))) for _ in range(rows)]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bert, Tokenizer, Bundle]:
    init = tiny_encoder.tiny_encoder(tmp_path_factory.mktemp("encoder"), dropout=0.5)
    model, tokenizer = from_pretrained(init, 64, "float32")
    torch.nn.init.normal_(model.output.weight)
    return model.eval(), tokenizer, to_bundle(model, tokenizer, {})


def test_a_bert_says_of_many_texts_what_it_says_of_each_alone(teacher: tuple[Bert, Tokenizer, Bundle]) -> None:
    model, tokenizer, bundle = teacher
    texts = texts_of(200)
    view = tokenizer.encode(texts)
    assert int(view.lengths.sum()) > BATCH_TOKENS["cpu"], "more than one batch"
    with torch.no_grad():
        alone = torch.cat([model(view.take(torch.tensor([i]))) for i in range(200)]).numpy()
    logits = teacher_of(bundle, "float32").logits(texts)
    assert (logits.shape, logits.dtype) == ((200, 2), np.float32)
    np.testing.assert_allclose(logits, alone, rtol=0, atol=1e-4)
    assert alone.std(axis=0).min() > 0.01, "texts are told apart"


def test_a_bert_multiplies_in_the_precision_that_is_asked_for(teacher: tuple[Bert, Tokenizer, Bundle]) -> None:
    texts = texts_of(20)
    exact, low = (teacher_of(teacher[2], precision).logits(texts) for precision in PRECISIONS)
    assert 0 < np.abs(exact - low).max() < 0.2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_compiled_network_says_what_torch_says(
    teacher: tuple[Bert, Tokenizer, Bundle], monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """In batches of other sizes than the traced one, with texts of one token and of the longest length."""
    texts = ["", *texts_of(200)]
    exact = teacher_of(teacher[2], "float32").logits(texts)
    monkeypatch.setattr(logits_module, "COMPILE_AFTER", 5)
    made = teacher_of(teacher[2], precision)
    assert isinstance(made, BertTeacher)
    made.logits(texts[:5])
    assert made.network == made.by_torch, "few texts are not worth it"
    compiled = made.logits(texts)
    assert made.network != made.by_torch, "OpenVINO is installed for training"
    np.testing.assert_allclose(compiled, exact, rtol=0, atol=1e-4 if precision == "float32" else 0.2)
    assert made.logits([]).shape == (0, 2)


def test_without_openvino_torch_computes(
    teacher: tuple[Bert, Tokenizer, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(logits_module, "COMPILE_AFTER", 0)
    made = teacher_of(teacher[2], "float32")
    assert isinstance(made, BertTeacher)
    assert made.logits(texts_of(3)).shape == (3, 2) and made.network == made.by_torch


def test_a_bert_leaves_nothing_out_even_if_it_was_in_training(teacher: tuple[Bert, Tokenizer, Bundle]) -> None:
    model, tokenizer, bundle = teacher
    logits = BertTeacher(model.train(), tokenizer, torch.device("cpu")).logits(texts_of(20))
    np.testing.assert_array_equal(logits, teacher_of(bundle, "float32").logits(texts_of(20)))


def test_a_student_says_what_its_scorer_scores() -> None:
    bundle = tiny_model.tiny_bundle(seed=4)
    logits = teacher_of(bundle, "float32").logits(normalise_batch(tiny_model.TEXTS))
    assert logits.dtype == np.float32
    assert np.array_equal(probability(logits), Scorer(bundle).score(tiny_model.TEXTS).scores)


@pytest.mark.parametrize("kind", ["bert", "textcnn"])
def test_no_texts_have_no_logits(teacher: tuple[Bert, Tokenizer, Bundle], kind: str) -> None:
    bundle = teacher[2] if kind == "bert" else tiny_model.tiny_bundle(seed=4)
    assert teacher_of(bundle, "float32").logits([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"architecture": {"kind": "perceptron"}}, "perceptron"),
        ({"architecture": {}}, "None"),
        ({"architecture": "bert"}, "'architecture'"),
        ({}, "'architecture'"),
    ],
)
def test_a_model_of_no_known_kind_is_refused(
    teacher: tuple[Bert, Tokenizer, Bundle], manifest: dict[str, object], message: str
) -> None:
    with pytest.raises(BadModel, match=message):
        teacher_of(replace(teacher[2], manifest=manifest), "float32")


def test_other_models_and_precisions_have_other_fingerprints() -> None:
    fingerprints = {fingerprint(digest, precision) for digest in ("1a", "2b") for precision in PRECISIONS}
    assert len(fingerprints) == 2 * 2


def test_a_bert_without_its_package_says_how_to_install_it(
    teacher: tuple[Bert, Tokenizer, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadInput, match="needs the package transformers; install it with make setup-train"):
        teacher_of(teacher[2], "float32")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused_where_they_are_made(
    teacher: tuple[Bert, Tokenizer, Bundle], number: float
) -> None:
    tensors = teacher[2].tensors
    bias = tensors["output.bias"].copy()
    bias[1] = number
    made = teacher_of(replace(teacher[2], tensors={**tensors, "output.bias": bias}), "float32")
    with pytest.raises(BadModel, match="NaN or infinity for 20 of 20 texts"):
        made.logits(texts_of(20))
