"""How long and how fast to train; apart from the loop, so that a command line needs no torch to show it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Dropout:
    """What a textCNN leaves out in training."""

    token: float = 0.2  # a token becomes unknown, so that the unknown embedding is trained
    embedding: float = 0.2  # of the numbers of a token's embedding, alike wherever the token stands in the batch
    feature: float = 0.5


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; the defaults are a student's."""

    epochs: int = 4
    batch: int = 128  # rows of one rank at a step
    accumulate: int = 1  # backward passes that a step's rows are divided into, for models that need the memory
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.1  # share of all steps
    clip: float = 0.0  # largest norm of the gradient of all ranks together; 0 for any
    ema: float = 0.999
    patience: int = 2  # epochs without a better validation AUC before training stops
    seed: int = 0
    checkpoint_every: int = 500  # steps, beside one each epoch
    class_weight: Literal["none", "balanced"] = "none"  # of the hard loss; balanced: both labels weigh the same in all
    precision: Literal["float32", "bfloat16"] = "float32"  # of a teacher's matrix products; weights are float32
    temperature: float = 2.0  # T, of teacher and student alike
    alpha_soft: tuple[float, ...] = (1.0,)  # weight of T^2 times the soft loss of each teacher
    beta_hard: float = 0.3  # weight of the hard loss
    route: tuple[float, ...] = ()  # shares of the steps after which the model is kept as an anchor point
    schedule: tuple[tuple[int, ...], ...] = ()  # by epoch, which stored logits teach, by their numbers; () for all
    dropout: Dropout = Dropout()


# Few steps after a long warm-up serve a pretrained encoder; RCO's anchors lie close where learning is fast.
TEACHER = Plan(
    epochs=3,
    batch=32,
    learning_rate=1e-4,
    weight_decay=0.01,
    warm_up=0.05,
    clip=1.0,
    ema=0.998,
    patience=1,
    checkpoint_every=200,
    precision="bfloat16",
    route=(0.05, 0.15, 0.4),
)
