"""The teacher: a text's logits hang on the text alone, nothing to train is left out, and a bundle gives it back."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.errors import BadInput, BadModel
from distill.models import bundle
from distill.models.bert import HEAD_RATE, Bert, Tokenizer, first_layers, from_bundle, from_pretrained, to_bundle
from distill.training.losses import hard_loss
from tests.distill import tiny_encoder

TEXTS = ["退款不给退", "好", "物流很快abc，孩子喜欢", "这家店的菜真好吃" * 3]


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_encoder.tiny_encoder(tmp_path_factory.mktemp("encoder"))


def loaded(init: str, max_length: int = 32, precision: str = "float32") -> tuple[Bert, Tokenizer]:
    torch.manual_seed(1)
    model, tokenizer = from_pretrained(init, max_length, precision)
    torch.nn.init.normal_(model.output.weight)
    return model.eval(), tokenizer


@torch.no_grad()
def logits(model: Bert, tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    return model(tokenizer.encode(texts).take(torch.arange(len(texts))))


def test_rows_are_taken_in_any_order_and_padded_alike(init: str) -> None:
    """To a multiple of 8 tokens, or to as many as are read at most."""
    _, tokenizer = loaded(init)
    start, end, good, a, b = tokenizer._fast.convert_tokens_to_ids(["[CLS]", "[SEP]", "好", "a", "##b"])
    ids, mask = tokenizer.encode(["好ab", "", "好" * 9]).take(torch.tensor([1, 0]))
    assert ids.tolist() == [[start, end, 0, 0, 0, 0, 0, 0], [start, good, a, b, end, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]]
    _, short = loaded(init, max_length=10)
    lengths = [short.encode(["好" * n]).take(torch.tensor([0])).ids.shape[1] for n in (1, 6, 7, 99)]
    assert lengths == [8, 8, 10, 10]


def test_logits_depend_neither_on_padding_nor_on_the_other_texts(init: str) -> None:
    model, tokenizer = loaded(init)
    alone = torch.cat([logits(model, tokenizer, [text]) for text in TEXTS])
    assert (alone[1:] - alone[:-1]).abs().min() > 0.01, "each text is told apart from the next"
    torch.testing.assert_close(logits(model, tokenizer, TEXTS), alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits(model, tokenizer, TEXTS[::-1]), alone.flip(0), rtol=0, atol=1e-5)


def test_the_logits_are_the_head_of_the_mean_over_all_tokens(init: str) -> None:
    model, tokenizer = loaded(init)
    ids = torch.tensor([tokenizer._fast(TEXTS[2])["input_ids"]])
    with torch.no_grad():
        last = model.encoder(ids).last_hidden_state[0]
        expected = last.mean(0) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(logits(model, tokenizer, TEXTS)[2], expected, rtol=0, atol=1e-5)


def test_features_of_a_layer_are_its_mean_over_all_tokens(init: str) -> None:
    model, tokenizer = loaded(init)
    view = tokenizer.encode(TEXTS)
    with torch.no_grad():
        of_layers = [model.features(view.take(torch.arange(4)), layer)[2] for layer in (0, 1, 2, -1)]
        ids = torch.tensor([tokenizer._fast(TEXTS[2])["input_ids"]])
        embedded = model.encoder.embeddings(ids)
        first = model.encoder.encoder.layer[0](embedded)
    torch.testing.assert_close(of_layers[0], embedded[0].mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(of_layers[1], first[0].mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(of_layers[2], of_layers[3])


def test_the_first_layers_of_a_network_give_its_features_with_its_own_weights(init: str) -> None:
    model, tokenizer = loaded(init)
    batch = tokenizer.encode(TEXTS).take(torch.arange(len(TEXTS)))
    layers = model.encoder.config.num_hidden_layers
    first = first_layers(model, 1)
    with torch.no_grad():
        assert layers > 1 and not torch.equal(model.features(batch, 1), model.features(batch, layers))
        assert torch.equal(first.features(batch, 1), model.features(batch, 1))
    tensors = {tensor.data_ptr() for tensor in model.parameters()}
    assert {tensor.data_ptr() for tensor in first.parameters()} < tensors
    assert model.encoder.config.num_hidden_layers == layers


def test_a_long_text_is_cut_at_the_longest(init: str) -> None:
    model, tokenizer = loaded(init, max_length=10)
    assert tokenizer.encode(["好" * 8, "好" * 9, "好" * 500]).lengths.tolist() == [10, 10, 10]
    cut = logits(model, tokenizer, ["退" * 8, "退" * 8 + "好"])
    assert torch.equal(cut[0], cut[1])


def test_a_batch_without_rows_gives_every_parameter_a_gradient_of_zero(init: str) -> None:
    model, tokenizer = loaded(init)
    model.train()
    empty = model(tokenizer.encode(TEXTS).take(torch.arange(0)))
    assert empty.shape == (0, 2)
    hard_loss(empty, torch.empty(0, dtype=torch.int64)).backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_every_parameter_has_a_gradient(init: str) -> None:
    model, tokenizer = loaded(init)
    hard_loss(model(tokenizer.encode(TEXTS).take(torch.arange(4))), torch.tensor([0, 1, 0, 1])).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_bfloat16_is_near_and_the_weights_stay_float32(init: str) -> None:
    exact, low = (logits(*loaded(init, precision=precision), TEXTS) for precision in ("float32", "bfloat16"))
    assert low.dtype == torch.float32
    assert 0 < (low - exact).abs().max() < 0.1
    assert {p.dtype for p in loaded(init, precision="bfloat16")[0].parameters()} == {torch.float32}


def test_groups_hold_every_parameter_once_and_vectors_do_not_decay(init: str) -> None:
    model, _ = loaded(init)
    matrices, vectors, head = model.groups(0.25, 0.01)
    grouped = [id(p) for group in (matrices, vectors, head) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in head["params"]} == {"output.weight", "output.bias"}
    in_vectors = [names[id(p)] for p in vectors["params"]]
    assert in_vectors and all(name.endswith("bias") or "LayerNorm" in name for name in in_vectors)
    assert not any(names[id(p)].endswith("bias") or "LayerNorm" in names[id(p)] for p in matrices["params"])
    assert [(g["lr"], g["weight_decay"]) for g in (matrices, vectors, head)] == [
        (0.25, 0.01),
        (0.25, 0.0),
        (HEAD_RATE * 0.25, 0.01),
    ]


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def truncated(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:1000])


def a_tensor_by_another_name(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["another"] = tensors.pop("encoder.layer.1.output.dense.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "damage",
    [
        without("config.json"),
        a_tensor_by_another_name,
        without("model.safetensors"),
        without("tokenizer.json"),
        truncated("model.safetensors"),
        truncated("tokenizer.json"),
        shutil.rmtree,
    ],
    ids=[
        "no config",
        "a tensor by another name",
        "no weights",
        "no tokenizer",
        "half the weights",
        "half the tokenizer",
        "no folder",
    ],
)
def test_a_folder_that_is_no_whole_model_is_refused(init: str, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(init, folder)
    damage(folder)
    with pytest.raises(BadInput, match="--init") as refused:
        from_pretrained(str(folder), 32, "float32")
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)


def test_the_first_layers_can_be_kept_alone(init: str) -> None:
    whole, tokenizer = loaded(init)
    first, _ = from_pretrained(init, 32, "float32", layers=1)
    batch = tokenizer.encode(["客服骗人"]).take(torch.tensor([0]))
    torch.testing.assert_close(first.eval().features(batch), whole.features(batch, 1))
    with pytest.raises(BadInput, match=r"--layers 3: .* has 2"):
        from_pretrained(init, 32, "float32", layers=3)


def test_texts_longer_than_the_encoder_reads_are_refused(init: str) -> None:
    assert loaded(init, max_length=64)[1].encode(["好" * 99]).lengths.tolist() == [64]
    with pytest.raises(BadInput, match=r"--init .* at most 64 tokens, not 65 .* lower --max-length"):
        from_pretrained(init, 65, "float32")


def test_a_saved_teacher_says_what_it_said_before(init: str, tmp_path: Path) -> None:
    model, tokenizer = loaded(init, max_length=10)
    made = to_bundle(model, tokenizer, {"threshold": {"value": 0.25}})
    bundle.save(tmp_path / "b", made.tensors, made.files, made.manifest)
    back = bundle.load(tmp_path / "b")
    again, tokenizer_again = from_bundle(back, "float32")
    assert not again.training and back.manifest["threshold"] == {"value": 0.25}
    view, view_again = tokenizer.encode(TEXTS), tokenizer_again.encode(TEXTS)
    assert np.array_equal(view_again.ids, view.ids) and np.array_equal(view_again.offsets, view.offsets)
    assert view.lengths.max() == 10, "the longest is kept in the bundle"
    assert torch.equal(logits(again, tokenizer_again, TEXTS), logits(model, tokenizer, TEXTS))


def test_a_bundle_does_not_change_with_the_model(init: str) -> None:
    model, tokenizer = loaded(init)
    made = to_bundle(model, tokenizer, {})
    before = made.tensors["output.weight"].copy()
    torch.nn.init.zeros_(model.output.weight)
    assert np.array_equal(made.tensors["output.weight"], before)


def test_a_student_is_refused_by_its_kind(init: str) -> None:
    made = to_bundle(*loaded(init), {})
    with pytest.raises(BadModel, match="textcnn"):
        from_bundle(replace(made, manifest={"architecture": {"kind": "textcnn"}}), "float32")


def narrower(config: dict[str, object]) -> None:
    config["hidden_size"] = 8


def deeper(config: dict[str, object]) -> None:
    config["num_hidden_layers"] = 3


@pytest.mark.parametrize("change", [narrower, deeper])
def test_tensors_that_do_not_fit_the_configuration_are_refused(init: str, change: Callable[..., None]) -> None:
    made = to_bundle(*loaded(init), {})
    config = json.loads(made.files["config.json"])
    change(config)
    other = replace(made, files={**made.files, "config.json": json.dumps(config).encode()})
    with pytest.raises(BadModel, match=r"do not fit its config\.json"):
        from_bundle(other, "float32")
