"""How long and how fast to train; apart from the loop, so that a command line needs no torch to show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dropout:
    """What is left out in training."""

    token: float = 0.2  # a token becomes unknown, so that the unknown embedding is trained
    embedding: float = 0.2  # of the numbers of a token's embedding, alike wherever the token stands in the batch
    feature: float = 0.5


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    epochs: int = 4
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.1  # share of all steps
    ema: float = 0.999
    patience: int = 2  # epochs without a better validation AUC before training stops
    seed: int = 0
    checkpoint_every: int = 500  # steps, beside one each epoch
    dropout: Dropout = Dropout()
