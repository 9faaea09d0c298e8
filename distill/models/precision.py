"""The precision of a teacher's matrix products, and which one a device computes fastest."""

import torch

from distill.models.architecture import Precision, PrecisionChoice

MULTIPLY_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of a CPU; without them bfloat16 is emulated, at a third


def precision_of(choice: PrecisionChoice, device: torch.device) -> Precision:
    """The precision that a choice means on the device."""
    if choice != "auto":
        return choice
    able = torch.cpu.get_capabilities()
    fast = device.type == "cuda" or any(able.get(instructions) for instructions in MULTIPLY_BFLOAT16)
    return "bfloat16" if fast else "float32"
