"""A small random BERT teacher for the tests of jobs: its pretrained folder, and saved in the registry of the home."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from distill.bert import Bert, from_bundle, from_pretrained, to_bundle
from distill.registry import Registry
from distill.text import normalise
from jobs.cli import home

POSITIONS = 64
CHARACTERS = "".join(
    dict.fromkeys(
        "物业乱收费多次投诉无果这家店的菜真好吃退款三个月了还没到账转发微博客服电话打不通abc0123456789 ，！差劲很"
        + "".join(map(chr, range(0x5000, 0x5080)))
    )
)


def write_encoder(folder: Path, seed: int = 0) -> str:
    """Save an encoder without dropout and its tokenizer as transformers does; the folder, as --init takes it."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, *(f"##{c}" for c in "abc0123456789")]
    vocab = {token: i for i, token in enumerate(tokens)}
    BertTokenizerFast(vocab=vocab, model_max_length=POSITIONS).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.3,  # of so few numbers; with BERT's own 0.02 all texts would look alike
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def add_teacher(folder: Path, seed: int, version: str | None = None, scheme: str = "bert") -> str:
    """Save a random teacher as a new version, or in the place of `version`; its name. `folder` is for the encoder."""
    model, tokenizer = from_pretrained(write_encoder(folder, seed), POSITIONS, "float32")
    torch.nn.init.normal_(model.output.weight)
    registry, bundle = Registry(str(home() / "registry")), to_bundle(model, tokenizer, {})
    if version:
        shutil.rmtree(registry.path(version))
    version = version or registry.new_version(scheme, datetime.now(UTC))
    registry.add(version, bundle.tensors, bundle.files, bundle.manifest)
    return version


@torch.no_grad()
def logits_alone(version: str, texts: list[str]) -> np.ndarray:
    """What the model of a version gives for each normalised text by itself, float32 (texts, 2)."""
    model, tokenizer = from_bundle(Registry(str(home() / "registry")).load(version)[1], "float32")
    return np.concatenate([one_text(model, tokenizer.encode([normalise(text)]).ids) for text in texts])


def one_text(model: Bert, ids: np.ndarray) -> np.ndarray:
    """Logits of one row of token ids, with no padding: the encoder and the head, not `Bert.forward`."""
    hidden = model.encoder(input_ids=torch.from_numpy(ids).long()[None]).last_hidden_state
    return model.output(hidden.mean(1)).numpy()
