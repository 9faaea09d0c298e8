"""A small random student saved in the registry of the home, for the tests of jobs and the processes they start."""

import json
from datetime import UTC, datetime
from typing import Any

import torch

from distill.models.architecture import Architecture, Dropout
from distill.models.bundle import VOCABULARY, Bundle
from distill.models.registry import Registry
from distill.models.textcnn import TextCNN
from distill.models.versions import new_version
from distill.text.vocabulary import Limit, Vocabulary
from jobs.common.home import home

TEXTS = [
    "物业乱收费，多次投诉无果",
    "这家店的菜真好吃",
    "退款三个月了还没到账！！！",
    "转发微博",
    "客服电话打不通abc123",
]
WIDTHS = {"word": (1, 2), "bigram": (1, 3)}
WIDE = ("trigram", "fourgram")


def tiny_bundle(seed: int, threshold: float = 0.5) -> Bundle:
    """A student with random weights everywhere but in the padding row, as a bundle in memory."""
    torch.manual_seed(seed)
    vocabulary = Vocabulary.build(TEXTS, {channel: Limit(1, 1000) for channel in (*WIDTHS, *WIDE)})
    ids, wide = ({channel: vocabulary.size(channel) for channel in channels} for channels in (WIDTHS, WIDE))
    architecture = Architecture(ids, WIDTHS, 5, 3, wide)
    student = TextCNN(architecture, Dropout())
    for name, parameter in student.named_parameters():
        torch.nn.init.normal_(parameter)
        if name.startswith(("embeddings", "wide")):
            torch.nn.init.zeros_(parameter[0])
    manifest: dict[str, Any] = {
        "architecture": architecture.to_json(),
        "text": {"fingerprint": vocabulary.fingerprint()},
        "threshold": {"value": threshold, "precision": 0.95, "target_precision": 0.95},
        "profile": {"rows": 20, "scores": [1] * 20, "lengths": [], "unknown": [], "sources": {}},
    }
    tensors = {name: tensor.detach().numpy().copy() for name, tensor in student.state_dict().items()}
    return Bundle(json.loads(json.dumps(manifest)), tensors, {VOCABULARY: vocabulary.to_bytes()}, "")


def add_model(scheme: str, seed: int, **sections: Any) -> str:
    """Save a tiny bundle, with these further sections of its manifest, in the home's registry; its version."""
    registry, bundle = Registry(str(home() / "registry")), tiny_bundle(seed)
    version = new_version(scheme.lower(), datetime.now(UTC))
    registry.add(version, bundle.tensors, bundle.files, bundle.manifest | sections)
    return version
