"""A small random BERT teacher for the tests of jobs: its pretrained folder, and saved in the registry of the home."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.models.bert import Bert, from_bundle, from_pretrained, to_bundle
from distill.models.registry import Registry
from distill.models.versions import new_version
from distill.text.normalisation import normalise
from jobs.common.home import home
from tests.distill.tiny_encoder import POSITIONS, tiny_encoder


def add_teacher(folder: Path, seed: int, version: str | None = None, scheme: str = "bert", **sections: Any) -> str:
    """Save a random teacher as a new version, or in the place of `version`; its name.

    folder: for the encoder. sections: further ones of its manifest.
    """
    model, tokenizer = from_pretrained(tiny_encoder(folder, seed), POSITIONS, "float32")
    torch.nn.init.normal_(model.output.weight)
    registry, bundle = Registry(str(home() / "registry")), to_bundle(model, tokenizer, sections)
    if version:
        shutil.rmtree(registry.path(version))
    version = version or new_version(scheme, datetime.now(UTC))
    registry.add(version, bundle.tensors, bundle.files, bundle.manifest)
    return version


@torch.no_grad()
def logits_alone(version: str, texts: list[str]) -> np.ndarray:
    """Logits of a version for each normalised text by itself, float32 (texts, 2)."""
    model, tokenizer = from_bundle(Registry(str(home() / "registry")).load(version).bundle, "float32")
    return np.concatenate([one_text(model, tokenizer.encode([normalise(text)]).ids) for text in texts])


def one_text(model: Bert, ids: np.ndarray) -> np.ndarray:
    """Logits of one row of token ids, with no padding: the encoder and the head, not `Bert.forward`."""
    hidden = model.encoder(input_ids=torch.from_numpy(ids).long()[None]).last_hidden_state
    return model.output(hidden.mean(1)).numpy()
