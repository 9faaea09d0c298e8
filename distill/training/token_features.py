"""Features of single tokens, from the middle layer of a teacher, cached between trainings.

Reading each token of a vocabulary takes minutes, and two trainings share most of their tokens. A token is a text of
three to six subwords, so no batch is padded beyond its longest token, and no layer above the middle one is computed.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.models.bert import Bert, Tokenizer, first_layers
from distill.training.ranks import ProcessGroup
from distill.training.teacher_features import read_layer


def token_features(
    model: Bert, tokenizer: Tokenizer, tokens: list[str], ranks: ProcessGroup, cache: Path | None
) -> Tensor:
    """The features of each token, read as a text, float32 (tokens, width).

    cache: the file of this teacher, which rank 0 extends; it removes the files of other teachers.
    """
    known = load(cache) if cache else {}
    missing = [token for token in tokens if token not in known]
    if ranks.total(len(missing), "tokens to read") != len(missing) * ranks.size:  # ranks of hosts with caches apart
        known, missing = {}, tokens
    if missing:
        layer = model.encoder.config.num_hidden_layers // 2
        view = tokenizer.encode(missing)._replace(pad_to=1)
        hidden = read_layer(first_layers(model, layer), view, layer, ranks)
        known |= dict(zip(missing, hidden, strict=True))
        if cache and ranks.rank == 0:
            save(cache, known)
    return torch.stack([known[token] for token in tokens])


def load(cache: Path) -> dict[str, Tensor]:
    """The features in the file, by token; none without a file."""
    if not cache.exists():
        return {}
    content = load_file(cache)
    tokens = bytes(content["tokens"].numpy()).decode().split("\n")
    return dict(zip(tokens, content["features"], strict=True))


def save(cache: Path, features: dict[str, Tensor]) -> None:
    """Replace the file, and remove those of other teachers."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    tokens = torch.frombuffer(bytearray("\n".join(features).encode()), dtype=torch.uint8)  # no token has a line break
    save_file({"tokens": tokens, "features": torch.stack([*features.values()])}, cache.with_suffix(".tmp"))
    cache.with_suffix(".tmp").rename(cache)
    for other in cache.parent.glob("*.safetensors"):
        if other != cache:
            other.unlink(missing_ok=True)
