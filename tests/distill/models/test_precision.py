"""The precision that a training chooses by itself is the one that its device computes fastest."""

import pytest
import torch

from distill.models.precision import precision_of

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "able", "expected"),
    [
        (CPU, {}, "float32"),
        (CPU, {"avx512_bf16": False, "amx_bf16": False, "avx2": True}, "float32"),
        (CPU, {"avx512_bf16": True}, "bfloat16"),
        (CPU, {"amx_bf16": True}, "bfloat16"),
        (GPU, {}, "bfloat16"),
    ],
)
def test_auto_asks_the_device(
    monkeypatch: pytest.MonkeyPatch, device: torch.device, able: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert precision_of("auto", device) == expected
    assert precision_of("float32", device) == "float32" and precision_of("bfloat16", device) == "bfloat16"
