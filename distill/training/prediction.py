"""Logits of a network in evaluation mode, outside of training steps."""

import torch
from torch import Tensor

from distill.data.dataset import BATCH_TOKENS, Examples, length_buckets, to_device
from distill.models.padding import padded

EVALUATION_ROWS = 1024  # of a batch without padding


@torch.no_grad()
def predict(model: torch.nn.Module, name: str, split: Examples, rows: Tensor, device: torch.device) -> Tensor:
    """Logits of the rows, float32 (rows, 2) on the CPU, in the order of the rows."""
    model.eval()
    lengths = torch.ones(len(rows), dtype=torch.int64) if split.lengths is None else padded(split.lengths[rows])
    logits = torch.empty(len(rows), 2)
    for part in length_buckets(lengths, EVALUATION_ROWS if split.lengths is None else BATCH_TOKENS[device.type]):
        logits[part] = model(to_device(split.views[name].take(rows[part]), device)).float().cpu()
    return logits
