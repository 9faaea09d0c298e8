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
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from distill.data.dataset import Examples
from distill.models import bundle as bundles
from distill.models.bert import from_bundle
from distill.models.textcnn import Tokens, take
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
LEARNED_AT_ONCE, READ_AT_ONCE = 16, 64  # texts of similar length
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


class Words(NamedTuple):
    """A view of texts by their words."""

    ids: Ids

    def take(self, rows: Tensor) -> Tokens:
        """The words of some texts, int64 (batch,)."""
        return take(self.ids, rows, 1)


def view(vocabulary: Vocabulary, texts: list[str]) -> Words:
    """Normalised texts as the network reads them."""
    return Words(vocabulary.encode_batch(texts).channels["word"])


class BiLstm(nn.Module):
    """The last state of each direction, a layer, the logits.

    On a CPU torch trains padded batches in less than half the time of packed ones. So each direction has an LSTM,
    which reads texts of similar length from their first word or from their last, padded at the end.
    """

    def __init__(self, ids: int):
        super().__init__()
        self.embeddings = nn.Embedding(ids, EMBEDDING, padding_idx=PADDING)
        self.onward, self.back = (nn.LSTM(EMBEDDING, HIDDEN, batch_first=True) for _ in range(2))
        self.head = nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(2 * HIDDEN, DENSE), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(DENSE, 2)
        )

    def forward(self, tokens: Tokens) -> Tensor:
        """Logits, (batch, 2)."""
        types, places = torch.unique(tokens.ids, return_inverse=True)  # a gradient of all embeddings once a batch
        known = F.pad(self.embeddings(types), (0, 0, 1, 0))  # 0 is padding
        texts, order = (places + 1).split(tokens.lengths.tolist()), tokens.lengths.argsort()
        states = []
        for rows in order.split(LEARNED_AT_ONCE if self.training else READ_AT_ONCE):
            chosen, last = [texts[row] for row in rows.tolist()], tokens.lengths[rows] - 1
            states.append(
                torch.cat(
                    [
                        last_state(self.onward, F.embedding(pad_sequence(chosen, True), known), last),
                        last_state(self.back, F.embedding(pad_sequence(turned(chosen), True), known), last),
                    ],
                    dim=1,
                )
            )
        logits: Tensor = self.head(torch.cat(states)[order.argsort()])
        return logits

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """All parameters alike, for an optimizer."""
        return [{"params": list(self.parameters()), "lr": learning_rate, "weight_decay": weight_decay}]


def turned(texts: list[Tensor]) -> list[Tensor]:
    """Texts from the last word to the first."""
    return [text.flip(0) for text in texts]


def last_state(lstm: nn.LSTM, words: Tensor, last: Tensor) -> Tensor:
    """The state at the last word of each text, (batch, HIDDEN); words (batch, longest, EMBEDDING), last (batch,)."""
    states, _ = lstm(words)
    chosen: Tensor = states[torch.arange(len(last)), last]
    return chosen


class Reader:
    """Raw texts to margins."""

    def __init__(self, folder: Path):
        self.vocabulary = Vocabulary.from_bytes((folder / "model" / "vocabulary").read_bytes())
        self.network = BiLstm(self.vocabulary.size("word"))
        load_model(self.network, str(folder / "model" / "model.safetensors"))

    def __call__(self, texts: list[str]) -> Numbers:
        """Margins, (texts,)."""
        words = view(self.vocabulary, normalise_batch(texts))
        examples = Examples(torch.zeros(len(texts)), {NAME: words}, torch.empty(len(texts), 0, 2))
        logits = predict(self.network, NAME, examples, torch.arange(len(texts)), torch.device("cpu")).double().numpy()
        return logits[:, 1] - logits[:, 0]
