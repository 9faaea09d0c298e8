"""The options of a job that stores a teacher's logits."""

from dataclasses import dataclass

from distill.errors import BadInput
from distill.models.architecture import Precision
from jobs.common.cli import Parser, day, job_parser
from jobs.common.options import add_options, option


@dataclass(frozen=True)
class LogitJob:
    """The teacher whose logits are stored, their precision, and the labels."""

    teacher: str = option("a model of the registry, or champion", metavar="NAME[@VERSION]")
    precision: Precision = option("precision of a BERT's matrix products", "float32")
    train_rows: int | None = option(
        "with --labelled: only the labels that a training with the same --train-rows learns from; others stored "
        "before are kept",
        None,
    )
    import_from: tuple[str, ...] = option(
        "Parquet files of logits that this teacher has computed elsewhere: text_hash, logits, fingerprint",
        (),
        metavar="PATH",
    )

    def check(self, labelled: bool, days: list[str] | None) -> None:
        """Raise BadInput for options that exclude each other."""
        if not labelled and not days:
            raise BadInput("name the texts whose logits are stored: --labelled, or days after --dt")
        if self.train_rows is not None and (self.train_rows < 1 or not labelled):
            raise BadInput("--train-rows goes with --labelled and must be 1 or more")


def parser(doc: str | None = None) -> Parser:
    """The command line; doc: the head of --help."""
    flags = job_parser(doc, "store_teacher_logits --teacher bert --dt 2026-11-09 2026-11-10")
    add_options(flags, LogitJob)
    texts = flags.add_mutually_exclusive_group(required=True)
    texts.add_argument("--labelled", action="store_true", help="the texts of labelled_opinion")
    texts.add_argument("--dt", type=day, nargs="+", help="days of raw_opinion")
    return flags
