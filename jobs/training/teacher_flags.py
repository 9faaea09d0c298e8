"""The options of a teacher's training."""

from dataclasses import dataclass, replace
from pathlib import Path

from distill.errors import BadInput
from distill.models.architecture import PrecisionChoice
from distill.models.packages import need_transformers
from distill.training.config import TEACHER, WARM_START, ClassWeight, Encoder, TrainingConfig
from jobs.common.cli import Parser
from jobs.common.options import option
from jobs.training.training_run import TrainingOptions, training_parser


@dataclass(frozen=True)
class TeacherTraining(TrainingOptions):
    """A teacher's training."""

    epochs: int = option("most passes over the labels", TEACHER.epochs)
    init: str = option("pretrained encoder: a folder or a hub name", Encoder.init)
    max_length: int = option("tokens read of a text", Encoder.max_length)
    start: str | None = option(
        "a teacher of the registry that goes on learning, instead of --init", None, metavar="NAME[@VERSION]"
    )
    replay: int | None = option("learn the labels of nights, and at most so many of the others (default: all)", None)
    layers: int | None = option("number of the encoder's first layers to keep (default: all)", None)
    batch: int = option("rows per rank and step", TEACHER.batch)
    accumulate: int = option(
        "gradient accumulation steps: micro-batches that a step is divided into, for memory",
        TEACHER.gradient_accumulation_steps,
    )
    learning_rate: float = option("peak learning rate of the encoder", TEACHER.learning_rate)
    class_weight: ClassWeight = option("weights of the labels in the loss", TEACHER.class_weight)
    precision: PrecisionChoice = option(
        "precision of the matrix products; auto: bfloat16 on a device that multiplies it itself, float32 on any other",
        TEACHER.precision,
    )

    @property
    def encoder(self) -> Encoder:
        """The pretrained encoder that it begins from."""
        return Encoder(self.init, self.max_length, self.layers)

    def config(self) -> TrainingConfig:
        """The numbers for the training loop."""
        return replace(
            WARM_START if self.start else TEACHER,
            epochs=self.epochs,
            batch=self.batch,
            gradient_accumulation_steps=self.accumulate,
            learning_rate=self.learning_rate,
            class_weight=self.class_weight,
            precision=self.precision,
            seed=self.seed,
        )

    def check(self) -> None:
        """Raise BadInput for options out of range, a missing transformers, or an unusable encoder."""
        super().check()
        if min(self.max_length, self.batch, self.accumulate, self.layers or 1) < 1 or self.learning_rate <= 0:
            raise BadInput(
                "--max-length, --layers, --batch and --accumulate must be 1 or more, --learning-rate above 0"
            )
        if self.replay is not None and (self.replay < 1 or self.train_rows is not None):
            raise BadInput("--replay must be 1 or more, and goes without --train-rows")
        need_transformers("a teacher")
        if not self.start:
            check_encoder(self.encoder, self.num_proc)


def check_encoder(encoder: Encoder, ranks: int) -> None:
    """Raise BadInput for an encoder that cannot become a teacher, before Spark starts.

    An encoder that only other hosts have is checked by the ranks there.
    """
    if ranks == 1 or Path(encoder.init).is_dir():
        from distill.models.pretrained import load  # late: torch takes seconds

        load(encoder.init, encoder.max_length, encoder.layers)


def parser(doc: str | None = None) -> Parser:
    """The command line; doc: the head of --help."""
    example = "train_teacher --init PATH_OR_HUB_NAME --num-proc 2"
    warm = ".venv/bin/opinion train_teacher --start bert --replay 2000 --epochs 1 --learning-rate 3e-5"
    return training_parser(doc, example, TeacherTraining, warm)
