"""The length that a teacher pads the texts of a batch to."""

from torch import Tensor

PAD_TO = 8  # tokens: the CPU's matrix products keep compiled code, some 6 MB in bfloat16, for each shape that they meet


def padded(lengths: Tensor, pad_to: int = PAD_TO) -> Tensor:
    """Tokens of texts of these lengths after padding to a multiple of `pad_to`, int64."""
    return -(-lengths // pad_to) * pad_to
