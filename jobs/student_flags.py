"""The flags of a student's training, and which of them fit together."""

import argparse

from distill.errors import BadInput
from distill.packages import need_transformers
from distill.plan import TEACHER, Plan
from jobs.cli import Parser, day
from jobs.train_teacher import check_encoder
from jobs.trainings import check, training_parser

SCHEMES = {
    "textcnn": "hard labels, no teacher",
    "offline": "a teacher's stored logits and the labels",
    "multi-teacher": "the stored logits of several",
    "joint-isolated": "a teacher trains along and learns nothing from the student",
    "joint-coupled": "it gets the gradient of the soft loss one step later",
    "joint-sum": "one loss for both",
}


def parser(doc: str | None = None) -> Parser:
    """The command line; `doc` is what --help begins with."""
    found = training_parser(
        doc, "jobs/distill_student.py --scheme offline --teacher bert --transfer-dt 2026-11-09 2026-11-10", Plan()
    )
    schemes = "; ".join(f"{name}: {what}" for name, what in SCHEMES.items())
    found.add_argument("--scheme", choices=SCHEMES, default="textcnn", help=schemes)
    found.add_argument("--batch", type=int, default=Plan.batch, help="rows of one rank at a step")
    found.add_argument("--accumulate", type=int, default=1, help="passes that a step is divided into, for memory")
    found.add_argument("--learning-rate", type=float, default=Plan.learning_rate, help="of the student at its peak")
    soft = found.add_argument_group("soft labels")
    soft.add_argument("--temperature", type=float, default=Plan.temperature, help="T of teacher and student")
    soft.add_argument("--alpha-soft", type=float, nargs="+", help="weight of each teacher's soft loss (default: 1)")
    soft.add_argument("--beta-hard", type=float, default=Plan.beta_hard, help="weight of the hard loss")
    stored = found.add_argument_group("offline and multi-teacher")
    stored.add_argument(
        "--teacher", metavar="NAME[@VERSION]", nargs="+", default=[], help="whose stored logits the student learns from"
    )
    stored.add_argument(
        "--transfer-dt", type=day, nargs="+", default=[], help="days of raw_opinion whose texts, unlabelled, teach too"
    )
    stored.add_argument(
        "--allow-missing-logits", action="store_true", help="labelled rows without them have the hard loss alone"
    )
    stored.add_argument(
        "--route",
        type=anchor,
        nargs="+",
        default=[],
        metavar="STEP:EPOCHS",
        help="first learn from the first teacher as it was after so many steps, anchor after anchor; then --epochs",
    )
    stored.add_argument(
        "--hint", type=int, metavar="LAYER", help="first learn a layer of the first teacher; -1: the last"
    )
    stored.add_argument("--hint-epochs", type=int, default=1, help="epochs of the hint")
    stored.add_argument(
        "--embeddings",
        choices=["random", "teacher"],
        default="random",
        help="first values of the student's embeddings; teacher: from inside the first teacher, a BERT",
    )
    joint = found.add_argument_group("joint schemes")
    joint.add_argument("--init", default="bert-base-chinese", help="pretrained encoder: a folder or a hub name")
    joint.add_argument("--max-length", type=int, default=128, help="tokens of a text that the teacher reads")
    joint.add_argument("--layers", type=int, help="keep the first layers of the encoder only (default: all)")
    joint.add_argument(
        "--teacher-learning-rate", type=float, default=TEACHER.learning_rate, help="of the encoder at its peak"
    )
    return found


def anchor(text: str) -> tuple[int, int]:
    """Argument type: STEP:EPOCHS."""
    step, _, epochs = text.partition(":")
    if step.isdecimal() and epochs.isdecimal() and int(epochs) > 0:
        return int(step), int(epochs)
    raise argparse.ArgumentTypeError(f"{text!r} is not STEP:EPOCHS, such as 120:1")


def check_scheme(args: argparse.Namespace) -> None:
    """Refuse flags that do not fit together; raises BadInput."""
    check(args)
    scheme, teachers = args.scheme, len(args.teacher)
    stored = scheme in ("offline", "multi-teacher")
    if scheme == "offline" and teachers != 1:
        raise BadInput("--scheme offline needs one --teacher, whose logits jobs/store_teacher_logits.py has stored")
    if scheme == "multi-teacher" and teachers < 2:
        raise BadInput("--scheme multi-teacher needs two or more after --teacher; with one choose --scheme offline")
    if not stored and (teachers or args.transfer_dt or args.route or looks_inside(args)):
        raise BadInput(
            f"--scheme {scheme} reads no stored logits; --teacher, --transfer-dt, --route, --hint and --embeddings "
            "teacher are of --scheme offline and multi-teacher"
        )
    weights = [*(args.alpha_soft or [1.0]), args.beta_hard]
    if args.alpha_soft and len(args.alpha_soft) != max(1, teachers):
        raise BadInput(f"--alpha-soft has {len(args.alpha_soft)} weights for {max(1, teachers)} teachers")
    if args.temperature <= 0 or min(weights) < 0 or sum(weights) == 0:
        raise BadInput("--temperature must be above 0, --alpha-soft and --beta-hard 0 or more, and not all 0")
    if min(args.batch, args.accumulate, args.hint_epochs, args.max_length, args.layers or 1) < 1:
        raise BadInput("--batch, --accumulate, --hint-epochs, --max-length and --layers must be 1 or more")
    if min(args.learning_rate, args.teacher_learning_rate) <= 0:
        raise BadInput("--learning-rate and --teacher-learning-rate must be above 0")
    if scheme.startswith("joint") or looks_inside(args):
        need_transformers(f"--scheme {scheme}")
    if scheme.startswith("joint"):
        check_encoder(args)


def looks_inside(args: argparse.Namespace) -> bool:
    """Whether the student takes more from the first teacher than its logits."""
    return args.hint is not None or args.embeddings == "teacher"
