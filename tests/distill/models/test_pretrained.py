"""An encoder that could not read every text is refused before it is trained, and nothing of its folder is run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from distill.errors import BadInput, BadModel
from distill.models.bert import from_bundle, from_pretrained, to_bundle
from distill.training.losses import hard_loss
from tests.distill import tiny_encoder

SMALL = {
    "vocab_size": 400,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
T5 = {"vocab_size": 400, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
RELATIVE = {"relative_attention": True, "max_relative_positions": 16, "position_biased_input": False}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 400\n"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_encoder.tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bert, tmp_path / "encoder"))


def random_encoder(folder: Path, bert: Path, kind: str, model: str = "", **settings: object) -> str:
    """A random encoder of a kind with the tokenizer of `bert`."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**settings)
    getattr(transformers, model or f"{kind}Model")(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bert / name, folder / name)
    return str(folder)


def change(file: Path, **settings: object) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **settings}))


def refused(init: Path | str, max_length: int = 32) -> str:
    with pytest.raises(BadInput, match="--init") as error:
        from_pretrained(str(init), max_length, "float32")
    assert str(init) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "settings", "reads"),
    [
        ("Bert", {**SMALL, "max_position_embeddings": 66}, 66),
        ("Roberta", {**SMALL, "max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("XLMRoberta", {**SMALL, "max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("MPNet", {**SMALL, "max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ("Electra", {**SMALL, "embedding_size": 16, "max_position_embeddings": 66}, 66),
        ("Albert", {**SMALL, "embedding_size": 16, "max_position_embeddings": 66}, 66),
        (
            "DistilBert",
            {
                "vocab_size": 400,
                "dim": 16,
                "n_layers": 2,
                "n_heads": 2,
                "hidden_dim": 32,
                "max_position_embeddings": 66,
            },
            66,
        ),
    ],
)
def test_as_many_tokens_are_read_as_the_encoder_has_positions_to_use(
    bert: Path, tmp_path: Path, kind: str, settings: dict[str, object], reads: int
) -> None:
    init = random_encoder(tmp_path / "encoder", bert, kind, **settings)
    model, tokenizer = from_pretrained(init, reads, "float32")
    view = tokenizer.encode(["好" * 99, "好"])
    assert view.lengths.tolist() == [reads, 3] and model(view.take(torch.arange(2))).isfinite().all()
    assert f"it reads at most {reads} tokens, not {reads + 1}" in refused(init, reads + 1)


@pytest.mark.parametrize(
    ("kind", "model", "settings"),
    [
        ("XLNet", "", {"vocab_size": 400, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}),
        ("T5", "T5EncoderModel", T5),
        ("DebertaV2", "", {**SMALL, "max_position_embeddings": 66, **RELATIVE}),
    ],
)
def test_an_encoder_of_relative_positions_has_no_limit_and_comes_back_from_its_bundle(
    bert: Path, tmp_path: Path, kind: str, model: str, settings: dict[str, object]
) -> None:
    made, tokenizer = from_pretrained(
        random_encoder(tmp_path / "encoder", bert, kind, model, **settings), 200, "float32"
    )
    batch = tokenizer.encode(["好" * 300, "退款abc"]).take(torch.arange(2))
    again, _ = from_bundle(to_bundle(made, tokenizer, {}), "float32")
    with torch.no_grad():
        assert torch.equal(again(batch), made.eval()(batch))
    hard_loss(made.train()(batch), torch.tensor([0, 1])).backward()


def test_a_saved_teacher_that_cannot_read_its_longest_text_is_refused(bert: Path) -> None:
    made = to_bundle(*from_pretrained(str(bert), 64, "float32"), {})
    longer = replace(made, manifest={"architecture": {**made.manifest["architecture"], "max_length": 66}})
    with pytest.raises(BadModel, match=r"it reads at most 64 tokens, not 66 .* train it again"):
        from_bundle(longer, "float32")


def test_a_length_without_room_for_a_token_is_refused(bert: Path) -> None:
    assert "no room next to its 2 special ones" in refused(bert, 2)
    assert from_pretrained(str(bert), 3, "float32")[1].encode(["好" * 9]).lengths.tolist() == [3]


def more_tokens(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["投诉", "维权"])
    tokenizer.save_pretrained(folder)


def no_padding(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "PreTrainedTokenizerFast"}))


def nan_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][0, 0] = torch.nan
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def pointer(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        if name == "pytorch_model.bin":
            (folder / "model.safetensors").unlink()
        (folder / name).write_text(POINTER)

    return damage


def lost_shard(folder: Path) -> None:
    transformers.AutoModel.from_pretrained(folder).save_pretrained(folder, max_shard_size="5KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    sorted(folder.glob("model-*.safetensors"))[0].unlink()


def pickled_code(folder: Path) -> None:
    """Weights whose reading would call a function, as pickles can."""
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Calls(str(folder / "was-run"))}, folder / "pytorch_model.bin")


class Calls:
    def __init__(self, file: str):
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.file, "w")


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").touch()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (more_tokens, r"its tokenizer knows tokens up to \d+, its embeddings \d+ only"),
        (no_padding, "no padding token; name one as pad_token in its tokenizer_config.json"),
        (nan_weights, r"does not read texts \(NaN or infinity\)"),
        (pointer("model.safetensors"), "model.safetensors is a pointer of Git LFS, not the file; run git lfs pull"),
        (pointer("pytorch_model.bin"), "pytorch_model.bin is a pointer of Git LFS"),
        (pointer("tokenizer.json"), "tokenizer.json is a pointer of Git LFS"),
        (lost_shard, "model-00001-of"),
        (pickled_code, "transformers cannot read it"),
        (empty_weights, "transformers cannot read it"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copy)
    with pytest.raises(BadInput, match=message):
        from_pretrained(str(copy), 32, "float32")
    assert not (copy / "was-run").exists()
    refused(copy)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("T5", T5),
        (
            "Bart",
            {
                "vocab_size": 400,
                "d_model": 16,
                "encoder_layers": 1,
                "decoder_layers": 1,
                "encoder_attention_heads": 2,
                "decoder_attention_heads": 2,
                "encoder_ffn_dim": 32,
                "decoder_ffn_dim": 32,
            },
        ),
    ],
)
def test_an_encoder_with_a_decoder_is_refused(bert: Path, tmp_path: Path, kind: str, settings: dict[str, int]) -> None:
    init = random_encoder(tmp_path / "encoder", bert, kind, **settings)
    assert f"{kind.lower()} is an encoder with a decoder; name one without" in refused(init)


def test_code_in_the_folder_is_neither_run_nor_asked_about(copy: Path) -> None:
    """On a terminal transformers would ask whether to run it; here the answer would be yes."""
    change(copy / "config.json", model_type="own", auto_map={"AutoConfig": "own.C", "AutoModel": "own.M"})
    (copy / "own.py").write_text(f"open({str(copy / 'was-run')!r}, 'w')\nclass C: ...\nclass M: ...\n")
    program = f"from distill.models.bert import from_pretrained; from_pretrained({str(copy)!r}, 32, 'float32')"
    done = subprocess.run([sys.executable, "-c", program], input="y\n" * 9, capture_output=True, text=True, check=False)
    assert "needs code of its own, which is never run" in done.stderr and "[y/N]" not in done.stdout + done.stderr
    assert not (copy / "was-run").exists()


def test_a_name_that_is_no_folder_says_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no such folder" in refused(tmp_path / "nothing")
    assert "there is no such folder" in refused("./nothing")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "download the encoder where the hub can be reached and name its folder" in refused("nobody/nothing")
