"""Hidden features of a teacher for many texts, computed by all ranks."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.data.dataset import BATCH_TOKENS, length_buckets, shard, to_device
from distill.models.bert import Bert, Tokenizer
from distill.models.padding import padded
from distill.training.ranks import ProcessGroup


class Layer(NamedTuple):
    """A hint's view of texts: the teacher's layer, float32 (rows, width)."""

    hidden: Tensor

    def take(self, rows: Tensor) -> Tensor:
        """The layer of the rows, int64 (batch,)."""
        return self.hidden[rows]


@torch.no_grad()
def layer_of(
    model: Bert, tokenizer: Tokenizer, texts: list[str], layer: int, ranks: ProcessGroup, cache: Path | None
) -> Layer:
    """A layer of the teacher, mean over the tokens, for all texts: 0 is the embeddings, -1 the last.

    Each rank computes its shard, and the file `cache` stores all for a restart.
    """
    if cache and cache.exists():
        return Layer(load_file(cache)["hidden"])
    view = tokenizer.encode(texts)
    mine = shard(view.lengths.argsort(stable=True), ranks.rank, ranks.size)
    hidden = torch.empty(len(mine), model.encoder.config.hidden_size)
    model = model.to(ranks.device).eval()
    for part in length_buckets(padded(view.lengths[mine]), BATCH_TOKENS[ranks.device.type]):
        hidden[part] = model.features(to_device(view.take(mine[part]), ranks.device), layer).cpu()
    every, order = ranks.gather(hidden, "hints"), ranks.gather(mine, "rows of hints")
    in_order = torch.empty_like(every)
    in_order[order] = every
    if cache and ranks.rank == 0:
        cache.parent.mkdir(parents=True, exist_ok=True)
        save_file({"hidden": in_order}, cache.with_suffix(".tmp"))
        cache.with_suffix(".tmp").rename(cache)
    ranks.total(1, "hints written")
    return Layer(in_order)
