"""The length that a teacher pads the texts of a batch to.

In bfloat16 the CPU's matrix library keeps compiled code, some 6 MB, for each shape that it meets. In float32 it keeps
none, and padding only costs time.
"""

from torch import Tensor

PAD_TO = {"float32": 1, "bfloat16": 8}  # tokens, by precision of the matrix products


def padded(lengths: Tensor, pad_to: int) -> Tensor:
    """Tokens of texts of these lengths after padding to a multiple of `pad_to`, int64."""
    return -(-lengths // pad_to) * pad_to
