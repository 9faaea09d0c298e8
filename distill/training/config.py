"""The configuration of a training: hyperparameters, encoder, folders; importable without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from distill.models.architecture import Dropout, PrecisionChoice

ClassWeight = Literal["none", "balanced"]
TeacherSoftLoss = Literal["cross-entropy", "kl", "reverse-kl"]


@dataclass(frozen=True)
class TrainingConfig:
    """Hyperparameters of the training loop and the schemes; the defaults are a student's."""

    epochs: int = 6
    batch: int = 128  # rows of one rank at a step
    gradient_accumulation_steps: int = 1  # micro-batches of a step, each with a backward pass of its own, for memory
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.1  # share of all steps
    grad_clip: float = 0.0  # largest norm of the gradient of all ranks together; 0 for any
    ema: float = 0.999
    patience: int = 2  # epochs without a better validation AUC before training stops
    seed: int = 0
    checkpoint_every: int = 500  # steps, in addition to one checkpoint per epoch
    class_weight: ClassWeight = "none"  # of the hard loss; balanced: both labels weigh the same in all
    precision: PrecisionChoice = "float32"  # of a teacher's matrix products; weights are float32
    temperature: float = 2.0  # T, of teacher and student alike
    alpha_soft: tuple[float, ...] = (1.0,)  # weight of T^2 times the soft loss of each teacher
    beta_hard: float = 0.3  # weight of the hard loss
    teacher_soft_loss: TeacherSoftLoss = "kl"  # of a joint scheme's teacher; cross-entropy: as the article writes it
    teacher_soft_weight: float = 1.0  # of that loss, beside alpha_soft
    soft_ramp: float = 0.0  # share of the student's steps over which alpha_soft rises from 0; 0: it is whole at once
    student_passes: int = 1  # of joint-isolated's student over the rows of each pool
    cool_down: int = 0  # epochs at the end of a joint scheme, of all epochs, in which the student learns alone
    route: tuple[float, ...] = ()  # shares of the steps after which the model is kept as an anchor point
    schedule: tuple[tuple[int, ...], ...] = ()  # by epoch, which stored logits teach, by their numbers; () for all
    dropout: Dropout = field(default_factory=Dropout)


# A pretrained encoder needs few epochs; RCO's anchors are dense where learning is fast.
TEACHER = TrainingConfig(
    epochs=3,
    batch=32,
    learning_rate=1e-4,
    weight_decay=0.01,
    warm_up=0.05,
    grad_clip=1.0,
    ema=0.998,
    patience=1,
    checkpoint_every=200,
    precision="auto",
    route=(0.05, 0.15, 0.4),
)

# Of a teacher that goes on learning nothing is an anchor.
WARM_START = replace(TEACHER, route=())


# Of a joint scheme: at first a teacher from an encoder says 50:50, and a student that is followed knows nothing.
SOFT_RAMP = 0.3


@dataclass(frozen=True)
class Encoder:
    """The pretrained encoder of a teacher: a folder or a hub name, the tokens read of a text, the first layers.

    layers: how many; None for all.
    """

    init: str = "bert-base-chinese"
    max_length: int = 128
    layers: int | None = None


@dataclass(frozen=True)
class WarmStart:
    """A teacher of the registry whose training goes on, with its tokenizer and its longest text."""

    version: str


@dataclass(frozen=True)
class Outputs:
    """Folders that a training writes to; None for no files. board: for TensorBoard."""

    checkpoints: str | None = None
    board: str | None = None


NO_OUTPUTS = Outputs()


@dataclass(frozen=True)
class TrainingTask:
    """A training as every rank runs it.

    lineage: facts of the data for the manifest; they steer nothing. threads: of torch in each rank.
    """

    config: TrainingConfig
    target_precision: float
    lineage: Mapping[str, Any] = field(default_factory=dict)
    outputs: Outputs = NO_OUTPUTS
    threads: int = 1
