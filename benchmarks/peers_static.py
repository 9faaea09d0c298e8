"""Static embeddings as a peer, by model2vec: the teacher reads each of its tokens once, then PCA and weights by rank.

The package makes the embeddings and encodes texts. Its own training takes no soft labels, so the same network (mean of
the embeddings, scaled to length 1, one hidden layer; the embeddings go on learning) is trained by our loop.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from model2vec import StaticModel
from model2vec.distill import distill_from_model
from peers_data import Data, Numbers
from peers_network import train_network
from torch import Tensor, nn
from torch.nn import functional as F

from distill.models import bundle as bundles
from distill.models.bert import from_bundle
from distill.text.text_batch import normalise_batch
from distill.training.config import TrainingConfig

WIDTH, HIDDEN = 256, 512  # model2vec's own
EPOCHS = 4  # with the last two its AUC on valid hardly rises


def train(data: Data, seed: int, folder: Path, teacher: Path) -> None:
    """Train the classifier; the embeddings of the teacher are shared by all seeds."""
    static = embeddings(folder.parent / "static", teacher)
    torch.manual_seed(seed)
    network = Classifier(torch.from_numpy(static.embedding).float())

    def view(texts: list[str]) -> Flat:
        ids = static.tokenize(texts)
        ends = np.cumsum([0, *map(len, ids)])
        return Flat(torch.tensor([one for text in ids for one in text]), torch.from_numpy(ends))

    train_network(network, view, data, TrainingConfig(seed=seed, epochs=EPOCHS), folder)
    static.embedding = network.embeddings.weight.detach().numpy()
    static.save_pretrained(folder / "model")
    np.savez(
        folder / "model" / "head.npz", **{name: one.detach().numpy() for name, one in network.head.named_parameters()}
    )


def embeddings(cache: Path, teacher: Path) -> StaticModel:
    """The teacher's static embeddings."""
    if not cache.exists():
        model, tokenizer = from_bundle(bundles.load(teacher / "bundle"), "float32")
        distilled = distill_from_model(model.encoder, tokenizer._fast, device="cpu", pca_dims=WIDTH)
        distilled.save_pretrained(cache)
    return StaticModel.from_pretrained(cache)


class Flat(NamedTuple):
    """A view of texts: ids int64 (tokens,), text after text; offsets int64 (texts + 1,)."""

    ids: Tensor
    offsets: Tensor

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The ids of some texts, and where each begins."""
        parts = [self.ids[begin:end] for begin, end in zip(self.offsets[rows], self.offsets[rows + 1], strict=True)]
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        return torch.cat(parts), lengths.cumsum(0) - lengths


class Classifier(nn.Module):
    """The network of model2vec's StaticModelForClassification."""

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.embeddings = nn.EmbeddingBag.from_pretrained(vectors, freeze=False, mode="mean")
        self.head = nn.Sequential(nn.Linear(vectors.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Logits, (batch, 2)."""
        logits: Tensor = self.head(F.normalize(self.embeddings(*batch)))
        return logits

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """All parameters alike, for an optimizer."""
        return [{"params": list(self.parameters()), "lr": learning_rate, "weight_decay": weight_decay}]


class Static:
    """Raw texts to margins, by the package and NumPy."""

    def __init__(self, folder: Path):
        self.static = StaticModel.from_pretrained(folder / "model")
        self.head = [*np.load(folder / "model" / "head.npz").values()]

    def __call__(self, texts: list[str]) -> Numbers:
        """Margins, (texts,)."""
        first, first_bias, last, last_bias = self.head
        encoded = self.static.encode(normalise_batch(texts), use_multiprocessing=False)
        logits = np.maximum(encoded @ first.T + first_bias, 0) @ last.T + last_bias
        return (logits[:, 1] - logits[:, 0]).astype(np.float64)
