"""The student's embeddings begin as what the teacher knows of each token: rare words start beside their like.

The encoder reads every word and every pair of characters of the vocabulary as a text of its own; of its middle layer,
where meaning is, and not yet the decision, the principal components become the embedding.
"""

from pathlib import Path

import torch
from torch import Tensor

from distill.models.bert import Bert, Tokenizer
from distill.models.textcnn import EMBEDDING_STD, TextCNN
from distill.text.vocabulary import SPECIAL, Vocabulary
from distill.training.ranks import ProcessGroup
from distill.training.token_features import token_features


def start_embeddings(
    student: TextCNN, vocabulary: Vocabulary, model: Bert, tokenizer: Tokenizer, ranks: ProcessGroup, cache: Path | None
) -> None:
    """Give the tokens of all channels their first embeddings, one space for all; `cache` as in `token_features`."""
    tokens = sorted({token for channel in vocabulary.channels.values() for token in channel})
    hidden = token_features(model, tokenizer, tokens, ranks, cache)
    first = dict(zip(tokens, principal_components(hidden, student.architecture.embedding), strict=True))
    with torch.no_grad():
        for channel, known in vocabulary.channels.items():
            started = torch.stack([first[token] for token in known])
            student.get_parameter(f"embeddings.{channel}.weight")[SPECIAL:, : started.shape[1]] = started


def principal_components(hidden: Tensor, width: int) -> Tensor:
    """(rows, d) -> (rows, min(width, d)): along the directions of most variance, scaled as random embeddings are."""
    centred = (hidden - hidden.mean(0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)  # in ascending order of variance
    components = centred @ directions[:, -width:]
    scaled: Tensor = (components / components.std() * EMBEDDING_STD).float()
    return scaled
