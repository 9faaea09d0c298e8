"""Hidden features of a teacher for many texts, computed by all ranks."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.data.dataset import BATCH_TOKENS, length_buckets, shard, to_device
from distill.models.bert import Bert, TokenIds, Tokenizer
from distill.models.padding import padded
from distill.training.ranks import ProcessGroup


class Layer(NamedTuple):
    """A hint's view of texts: the teacher's layer, float32 (rows, width)."""

    hidden: Tensor

    def take(self, rows: Tensor) -> Tensor:
        """The layer of the rows, int64 (batch,)."""
        return self.hidden[rows]


def layer_of(
    model: Bert, tokenizer: Tokenizer, texts: list[str], layer: int, ranks: ProcessGroup, cache: Path | None
) -> Layer:
    """A layer of the teacher for all texts, as `read_layer` has it; the file `cache` stores it for a restart."""
    if cache and cache.exists():
        return Layer(load_file(cache)["hidden"])
    hidden = read_layer(model, tokenizer.encode(texts), layer, ranks)
    if cache and ranks.rank == 0:
        cache.parent.mkdir(parents=True, exist_ok=True)
        save_file({"hidden": hidden}, cache.with_suffix(".tmp"))
        cache.with_suffix(".tmp").rename(cache)
    ranks.total(1, "hints written")
    return Layer(hidden)


@torch.no_grad()
def read_layer(model: Bert, view: TokenIds, layer: int, ranks: ProcessGroup) -> Tensor:
    """A layer of the teacher, mean over the tokens, float32 (texts, width): 0 is the embeddings, -1 the last.

    Each rank computes its shard, and has all of them at the end.
    """
    mine = shard(view.lengths.argsort(stable=True), ranks.rank, ranks.size)
    hidden = torch.empty(len(mine), model.encoder.config.hidden_size)
    model = model.to(ranks.device).eval()
    for part in length_buckets(padded(view.lengths[mine], view.pad_to), BATCH_TOKENS[ranks.device.type]):
        hidden[part] = model.features(to_device(view.take(mine[part]), ranks.device), layer).cpu()
    every, order = ranks.gather(hidden, "hints"), ranks.gather(mine, "rows of hints")
    in_order = torch.empty_like(every)
    in_order[order] = every
    return in_order
