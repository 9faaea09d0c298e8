"""The length that a teacher pads the texts of a batch to."""

from torch import Tensor

PAD_TO = 8  # tokens: the CPU's matrix products keep compiled code, some 6 MB in bfloat16, for each shape that they meet


def padded(lengths: Tensor) -> Tensor:
    """Tokens of texts of these lengths after padding, int64."""
    return -(-lengths // PAD_TO) * PAD_TO
