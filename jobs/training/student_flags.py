"""The options of a student's training, and their checks."""

import argparse
from dataclasses import dataclass

from distill.errors import BadInput
from distill.models.packages import need_transformers
from distill.training.config import SOFT_RAMP, TEACHER, Encoder, TeacherSoftLoss, TrainingConfig
from distill.training.scheme_table import LINEAR, SCHEMES, scheme_for
from jobs.common.cli import Parser, day
from jobs.common.options import option
from jobs.training.teacher_flags import check_encoder
from jobs.training.training_run import TrainingOptions, training_parser

READ_LOGITS = " and ".join(entry.name for entry in SCHEMES.values() if entry.reads_logits)
SOFT, STORED, JOINT = "soft labels", READ_LOGITS, "joint schemes"


def anchor(text: str) -> tuple[int, int]:
    """Argument type: STEP:EPOCHS."""
    step, _, epochs = text.partition(":")
    if step.isdecimal() and epochs.isdecimal() and int(epochs) > 0:
        return int(step), int(epochs)
    raise argparse.ArgumentTypeError(f"{text!r} is not STEP:EPOCHS, such as 120:1")


@dataclass(frozen=True)
class StudentTraining(TrainingOptions):
    """A student's training."""

    scheme: str = option(
        "; ".join(f"{entry.name}: {entry.help}" for entry in SCHEMES.values()), "textcnn", choices=list(SCHEMES)
    )
    batch: int = option("rows per rank and step", TrainingConfig.batch)
    accumulate: int = option(
        "gradient accumulation steps: micro-batches that a step is divided into, for memory",
        TrainingConfig.gradient_accumulation_steps,
    )
    learning_rate: float = option("peak learning rate of the student", TrainingConfig.learning_rate)
    temperature: float = option("temperature T of teacher and student", TrainingConfig.temperature, group=SOFT)
    alpha_soft: tuple[float, ...] = option("weight of each teacher's soft loss (default: 1)", (), group=SOFT)
    beta_hard: float = option("weight of the hard loss", TrainingConfig.beta_hard, group=SOFT)
    teacher: tuple[str, ...] = option(
        f"whose stored logits the student learns from; {LINEAR}: a linear model, fitted as the training begins",
        (),
        group=STORED,
        metavar="NAME[@VERSION]",
    )
    transfer_dt: tuple[str, ...] = option(
        "days of raw_opinion whose unlabelled texts are the transfer set", (), parse=day, group=STORED
    )
    allow_missing_logits: bool = option("labelled rows without logits get the hard loss alone", False, group=STORED)
    route: tuple[tuple[int, int], ...] = option(
        "anchors of the first teacher, by training step, to learn from in turn before --epochs",
        (),
        parse=anchor,
        group=STORED,
        metavar="STEP:EPOCHS",
    )
    hint: int | None = option(
        "layer of the first teacher to predict in stage 1; -1: the last", None, group=STORED, metavar="LAYER"
    )
    hint_epochs: int = option("epochs of stage 1", 1, group=STORED)
    embeddings: str = option(
        "first values of the student's embeddings; teacher: from features of the first teacher, a BERT",
        "random",
        group=STORED,
        choices=["random", "teacher"],
    )
    init: str = option("pretrained encoder: a folder or a hub name", Encoder.init, group=JOINT)
    start: str | None = option(
        "a teacher of the registry that goes on learning, instead of --init, --max-length and --layers",
        None,
        group=JOINT,
        metavar="NAME[@VERSION]",
    )
    max_length: int = option("tokens of a text that the teacher reads", Encoder.max_length, group=JOINT)
    layers: int | None = option("number of the encoder's first layers to keep (default: all)", None, group=JOINT)
    teacher_learning_rate: float = option("peak learning rate of the encoder", TEACHER.learning_rate, group=JOINT)

    teacher_soft_loss: TeacherSoftLoss = option(
        "what the teacher of joint-coupled and joint-sum learns from its student; cross-entropy: as in the article",
        TrainingConfig.teacher_soft_loss,
        group=JOINT,
    )
    teacher_soft_weight: float = option(
        "weight of that loss, beside --alpha-soft", TrainingConfig.teacher_soft_weight, group=JOINT
    )
    student_passes: int = option(
        "of joint-isolated, passes of the student over the rows that the teacher has just learned",
        TrainingConfig.student_passes,
        group=JOINT,
    )
    cool_down: int = option(
        "epochs after --epochs in which the student alone learns, from logits of the final teacher",
        TrainingConfig.cool_down,
        group=JOINT,
    )

    held_out: int | None = None  # a fold of the nights' labels that is left out

    @property
    def uses_teacher_features(self) -> bool:
        """Whether the student takes features of the first teacher besides its logits."""
        return self.hint is not None or self.embeddings == "teacher"

    @property
    def encoder(self) -> Encoder:
        """The pretrained encoder of a joint scheme's teacher."""
        return Encoder(self.init, self.max_length, self.layers)

    def config(self) -> TrainingConfig:
        """The numbers for the training loop."""
        return TrainingConfig(
            epochs=self.epochs + sum(epochs for _, epochs in self.route) + self.cool_down,
            batch=self.batch,
            gradient_accumulation_steps=self.accumulate,
            learning_rate=self.learning_rate,
            seed=self.seed,
            temperature=self.temperature,
            alpha_soft=self.alpha_soft or (1.0,) * max(1, len(self.teacher)),
            beta_hard=self.beta_hard,
            teacher_soft_loss=self.teacher_soft_loss,
            teacher_soft_weight=self.teacher_soft_weight,
            soft_ramp=self.soft_ramp,
            student_passes=self.student_passes,
            cool_down=self.cool_down,
            schedule=self.schedule(),
        )

    @property
    def soft_ramp(self) -> float:
        """The share of the steps over which a joint scheme's soft weight rises, because who teaches knows nothing yet.

        A teacher of the registry that does not follow its student knows enough at once.
        """
        knows = self.start is not None and self.scheme == "joint-isolated"
        return SOFT_RAMP if SCHEMES[self.scheme].joint and not knows else 0.0

    def schedule(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of the logits for each epoch: an anchor, numbered after all teachers, replaces the first."""
        others = tuple(range(1, len(self.teacher)))
        if not self.route:
            return ()
        anchors = enumerate(self.route, start=len(self.teacher))
        route = [(number, *others) for number, (_, epochs) in anchors for _ in range(epochs)]
        return (*route, *[(0, *others)] * self.epochs)

    def check(self) -> None:
        """Raise BadInput for options that exclude each other."""
        super().check()
        self.check_teachers()
        weights = [*(self.alpha_soft or [1.0]), self.beta_hard]
        teachers = max(1, len(self.teacher))
        if self.alpha_soft and len(self.alpha_soft) != teachers:
            raise BadInput(f"--alpha-soft has {len(self.alpha_soft)} weights for {teachers} teachers")
        if self.temperature <= 0 or min(weights) < 0 or sum(weights) == 0:
            raise BadInput("--temperature must be above 0, --alpha-soft and --beta-hard 0 or more, and not all 0")
        if min(self.batch, self.accumulate, self.hint_epochs, self.max_length, self.layers or 1) < 1:
            raise BadInput("--batch, --accumulate, --hint-epochs, --max-length and --layers must be 1 or more")
        if min(self.learning_rate, self.teacher_learning_rate, self.teacher_soft_weight) <= 0:
            raise BadInput("--learning-rate, --teacher-learning-rate and --teacher-soft-weight must be above 0")
        self.check_joint()
        if SCHEMES[self.scheme].joint or self.uses_teacher_features:
            need_transformers(f"--scheme {self.scheme}")
        if SCHEMES[self.scheme].joint and not self.start:
            check_encoder(self.encoder, self.num_proc)

    def check_joint(self) -> None:
        """Raise BadInput for options of joint schemes that the scheme cannot use."""
        if self.student_passes < 1 or self.cool_down < 0:
            raise BadInput("--student-passes must be 1 or more, --cool-down 0 or more")
        if not SCHEMES[self.scheme].joint and (self.start or self.cool_down):
            raise BadInput(f"--scheme {self.scheme} trains no teacher; --start and --cool-down are of joint schemes")
        if self.scheme != "joint-isolated" and self.student_passes > 1:
            raise BadInput(
                "--student-passes is of --scheme joint-isolated, whose student takes turns with the teacher; "
                f"for --scheme {self.scheme} choose --epochs or --cool-down"
            )

    def check_teachers(self) -> None:
        """Raise BadInput for teachers, or features of one, that the scheme cannot use."""
        entry = SCHEMES[self.scheme]
        fewest, most = entry.teachers
        if entry.reads_logits and not fewest <= len(self.teacher) <= most:
            if most == 1:
                needed = "one --teacher, whose logits opinion store_teacher_logits has stored"
            else:
                needed = f"two or more after --teacher; with one choose --scheme {scheme_for(1)}"
            raise BadInput(f"--scheme {self.scheme} needs {needed}")
        if not entry.reads_logits and (self.teacher or self.transfer_dt or self.route or self.uses_teacher_features):
            raise BadInput(
                f"--scheme {self.scheme} reads no stored logits; --teacher, --transfer-dt, --route, --hint and "
                f"--embeddings teacher are of --scheme {READ_LOGITS}"
            )


def parser(doc: str | None = None) -> Parser:
    """The command line; doc: the head of --help."""
    example = "distill_student --scheme offline --teacher bert --transfer-dt 2026-11-09 2026-11-10"
    return training_parser(doc, example, StudentTraining)
