"""A BiLSTM of the size of Tang et al. 2019 (1903.12136) as a peer: one layer, 150 units a direction, 400 behind them.

It reads words of our segmenter. Its embeddings of width 300 start from the teacher's features of the words, where the
paper has word2vec. It learns by our losses (KL at T = 2, and the labels), where the paper has squared errors of logits.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from peers_data import Data, Numbers
from peers_network import NAME, train_network
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from distill.data.dataset import Examples
from distill.models import bundle as bundles
from distill.models.bert import from_bundle
from distill.text.text_batch import normalise_batch
from distill.text.vocabulary import PADDING, SPECIAL, Ids, Vocabulary
from distill.training.config import TrainingConfig
from distill.training.embeddings import principal_components
from distill.training.prediction import predict
from distill.training.ranks import SingleProcess
from distill.training.student import LIMITS
from distill.training.token_features import token_features

EMBEDDING, HIDDEN, DENSE, DROPOUT = 300, 150, 400, 0.3
EPOCHS = 1  # what some 20 minutes of a core allow
WORDS = {"word": LIMITS["word"]}


def train(data: Data, seed: int, folder: Path, teacher: Path) -> None:
    """Train the network."""
    vocabulary = Vocabulary.build(data.splits.train.texts, WORDS)
    torch.manual_seed(seed)
    network = BiLstm(vocabulary.size("word"))
    words = list(vocabulary.channels["word"])
    bundle = bundles.load(teacher / "bundle")
    cache = folder.parent / "token_features" / f"{bundle.digest[:16]}.safetensors"
    hidden = token_features(*from_bundle(bundle, "float32"), words, SingleProcess(), cache)
    with torch.no_grad():
        network.embeddings.weight[SPECIAL:] = principal_components(hidden, EMBEDDING)
    config = TrainingConfig(epochs=EPOCHS, seed=seed)
    train_network(network, lambda texts: view(vocabulary, texts), data, config, folder)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "vocabulary").write_bytes(vocabulary.to_bytes())
    save_model(network, str(folder / "model" / "model.safetensors"))


class Padded(NamedTuple):
    """A view of texts by their ids; a batch is padded."""

    words: Ids

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The ids of some texts, int64 (batch, longest), and their lengths, int64 (batch,)."""
        ids, offsets = torch.from_numpy(self.words.ids), self.words.offsets
        parts = [ids[offsets[row] : offsets[row + 1]].long() for row in rows.tolist()]
        return pad_sequence(parts, batch_first=True, padding_value=PADDING), torch.tensor([len(one) for one in parts])


def view(vocabulary: Vocabulary, texts: list[str]) -> Padded:
    """Normalised texts as the network reads them."""
    return Padded(vocabulary.encode_batch(texts).channels["word"])


class BiLstm(nn.Module):
    """The last state of each direction, a layer, the logits."""

    def __init__(self, ids: int):
        super().__init__()
        self.embeddings = nn.Embedding(ids, EMBEDDING, padding_idx=PADDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(2 * HIDDEN, DENSE), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(DENSE, 2)
        )

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Logits, (batch, 2)."""
        ids, lengths = batch
        packed = pack_padded_sequence(self.embeddings(ids), lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        logits: Tensor = self.head(last.transpose(0, 1).flatten(1))
        return logits

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """All parameters alike, for an optimizer."""
        return [{"params": list(self.parameters()), "lr": learning_rate, "weight_decay": weight_decay}]


class Words:
    """Raw texts to margins, in batches of similar length."""

    def __init__(self, folder: Path):
        self.vocabulary = Vocabulary.from_bytes((folder / "model" / "vocabulary").read_bytes())
        self.network = BiLstm(self.vocabulary.size("word"))
        load_model(self.network, str(folder / "model" / "model.safetensors"))

    def __call__(self, texts: list[str]) -> Numbers:
        """Margins, (texts,)."""
        rows, words = torch.arange(len(texts)), view(self.vocabulary, normalise_batch(texts))
        lengths = torch.from_numpy(words.words.offsets).diff()
        examples = Examples(torch.zeros(len(texts)), {NAME: words}, torch.empty(len(texts), 0, 2), lengths)
        logits = predict(self.network, NAME, examples, rows, torch.device("cpu")).numpy().astype("float64")
        return logits[:, 1] - logits[:, 0]
