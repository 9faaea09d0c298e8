"""The options of a retraining, and the trainings of its recipe."""

from dataclasses import dataclass

from distill.errors import BadInput, BadModel
from distill.models.architecture import Precision
from distill.models.fitness import Bounds
from distill.models.registry import Registry
from distill.training.config import Encoder, TrainingConfig
from distill.training.scheme_table import LINEAR, scheme_for
from jobs.common.cli import Parser, job_parser
from jobs.common.options import add_options, option
from jobs.training.logit_flags import LogitJob
from jobs.training.student_flags import StudentTraining
from jobs.training.teacher_flags import TeacherTraining
from jobs.training.training_run import TrainingOptions

# Of BERT and the champion, of BERT and the linear model.
ALPHA_SOFT = {False: (0.7, 0.3), True: (0.5, 0.5)}

REPLAY = 2000  # old labels that a warm start sees again, so that it does not forget them
WARM_START_RATE = 3e-5


@dataclass(frozen=True)
class RetrainOptions:
    """A retraining: its teacher, its challenger, and the bounds of the challenger."""

    init: str | None = option("pretrained encoder of a new teacher: a folder or a hub name", None)
    teacher: str = option("a version of the registry, or the newest one of this name", "bert")
    new_teacher: bool = option("train a new teacher even if there is one", False)
    warm_start: bool = option("the teacher first learns the nights' labels and a replay of old ones", False)
    teacher_epochs: int = option("passes of a new teacher over the labels", 1)
    transfer_days: int = option("newest days of raw_opinion for the transfer set", 14)
    epochs: int = option("most passes of the challenger over the labels", TrainingConfig.epochs)
    seed: int = option("seed of initial weights, order and dropout", TrainingOptions.seed)
    target_precision: float = option("precision that the threshold is chosen for", TrainingOptions.target_precision)
    num_proc: int = option("number of ranks; more than 1 needs Horovod", TrainingOptions.num_proc)
    max_length: int = option("tokens of a text that a new teacher reads", Encoder.max_length)
    precision: Precision = option("precision of a teacher's matrix products", LogitJob.precision)
    min_coverage: float = option("share of the champion's catch that the challenger must catch", Bounds.coverage)
    dry_run: bool = option("train and compare without a promotion", False)

    def check(self, registry: Registry) -> None:
        """Raise BadInput for options that no step could use."""
        self.training().check()
        if self.transfer_days < 0 or self.teacher_epochs < 1 or not 0 <= self.min_coverage <= 1:
            raise BadInput("--transfer-days must be 0 or more, --teacher-epochs 1 or more, --min-coverage from 0 to 1")
        if not reused_teacher(registry, self):
            self.teacher_training().check()

    def training(self) -> TrainingOptions:
        """The options that both trainings share."""
        return TrainingOptions(
            epochs=self.epochs, seed=self.seed, target_precision=self.target_precision, num_proc=self.num_proc
        )

    def teacher_training(self) -> TeacherTraining:
        """The training of a new teacher; raises BadInput without an encoder."""
        if self.init is None:
            raise BadInput(
                f"no teacher {self.teacher} to reuse: name with --init the pretrained encoder from which one is trained"
            )
        return TeacherTraining(
            epochs=self.teacher_epochs,
            seed=self.seed,
            target_precision=self.target_precision,
            num_proc=self.num_proc,
            init=self.init,
            max_length=self.max_length,
            precision=self.precision,
        )

    def warm_start_training(self, version: str) -> TeacherTraining:
        """The further training of a teacher: a pass, at a rate that keeps what it knows."""
        return TeacherTraining(
            epochs=1,
            seed=self.seed,
            target_precision=self.target_precision,
            num_proc=self.num_proc,
            start=version,
            replay=REPLAY,
            learning_rate=WARM_START_RATE,
            precision=self.precision,
        )

    def student_training(self, teachers: tuple[str, ...], days: tuple[str, ...]) -> StudentTraining:
        """The training of the challenger, by the recipe that closed most of the gap between textCNN and teacher.

        It takes the soft labels of its teachers; texts that nobody labelled; embeddings from features of the first
        teacher (docs/distillation.md).
        """
        return StudentTraining(
            epochs=self.epochs,
            seed=self.seed,
            target_precision=self.target_precision,
            num_proc=self.num_proc,
            scheme=scheme_for(len(teachers)),
            teacher=teachers,
            alpha_soft=ALPHA_SOFT[teachers[1] == LINEAR] if len(teachers) > 1 else (),
            embeddings="teacher",
            transfer_dt=days,
        )


def reused_teacher(registry: Registry, options: RetrainOptions) -> str | None:
    """The version of the teacher; None when a new one is requested, or there is none yet."""
    try:
        return None if options.new_teacher else registry.resolve(options.teacher)
    except BadModel:
        return None


def parser(doc: str | None = None) -> Parser:
    """The command line; doc: the head of --help."""
    flags = job_parser(doc, "retrain --init PATH_OR_HUB_NAME --num-proc 2")
    add_options(flags, RetrainOptions)
    return flags
