"""A layer of the teacher: of each text, in the order of the texts, computed once."""

from pathlib import Path

import pytest
import torch

from distill.models.bert import Bert, Tokenizer, from_pretrained
from distill.training.ranks import SingleProcess
from distill.training.teacher_features import layer_of
from tests.distill import tiny_encoder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bert, Tokenizer]:
    model, tokenizer = from_pretrained(
        tiny_encoder.tiny_encoder(tmp_path_factory.mktemp("e") / "encoder"), 32, "float32"
    )
    return model.eval(), tokenizer


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_found_is_the_layer_of_each_text_in_the_order_of_the_texts(teacher, layer: int) -> None:  # type: ignore[no-untyped-def]
    model, tokenizer = teacher
    texts = ["客服骗人", "好", "物流很快孩子喜欢", "好很"]
    features = layer_of(model, tokenizer, texts, layer, SingleProcess(), None).take(torch.tensor([2, 0, 1]))
    for row, text in zip(features, [texts[2], texts[0], texts[1]], strict=True):
        alone = model.features(tokenizer.encode([text]).take(torch.tensor([0])), layer)[0]
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=1e-5)


def test_layers_that_are_kept_are_not_computed_again(teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model, tokenizer = teacher
    cache = tmp_path / "deep" / "hints.safetensors"
    first = layer_of(model, tokenizer, ["好", "骗人"], 1, SingleProcess(), cache)
    again = layer_of(None, None, ["好", "骗人"], 1, SingleProcess(), cache)  # type: ignore[arg-type]
    assert torch.equal(first.hidden, again.hidden) and [f.name for f in cache.parent.iterdir()] == [cache.name]
