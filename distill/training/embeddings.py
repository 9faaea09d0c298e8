"""First values of the student's embeddings, from the teacher: rare words start near similar ones.

The encoder reads every word and every pair of characters of the vocabulary as a text. The principal components of its
middle layer, which holds meaning and not yet the decision, become the embeddings.
"""

from pathlib import Path

import torch
from torch import Tensor

from distill.models.architecture import EMBEDDING_STD
from distill.models.bert import Bert, Tokenizer
from distill.models.textcnn import TextCNN
from distill.text.vocabulary import SPECIAL, Vocabulary
from distill.training.ranks import ProcessGroup
from distill.training.token_features import token_features


def start_embeddings(
    student: TextCNN, vocabulary: Vocabulary, model: Bert, tokenizer: Tokenizer, ranks: ProcessGroup, cache: Path | None
) -> None:
    """Set the first embeddings of all channels, in one space; cache: as in `token_features`."""
    embedded = {channel: vocabulary.channels[channel] for channel in student.architecture.widths}
    tokens = sorted({token for known in embedded.values() for token in known})
    hidden = token_features(model, tokenizer, tokens, ranks, cache)
    first = dict(zip(tokens, principal_components(hidden, student.architecture.embedding), strict=True))
    with torch.no_grad():
        for channel, known in embedded.items():
            started = torch.stack([first[token] for token in known])
            student.get_parameter(f"embeddings.{channel}.weight")[SPECIAL:, : started.shape[1]] = started


def principal_components(hidden: Tensor, width: int) -> Tensor:
    """(rows, d) -> (rows, min(width, d)): the directions of most variance, scaled like random embeddings."""
    centred = (hidden - hidden.mean(0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)  # in ascending order of variance
    components = centred @ directions[:, -width:]
    scaled: Tensor = (components / components.std() * EMBEDDING_STD).float()
    return scaled
