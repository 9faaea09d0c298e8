"""A teacher's options: what is out of range is refused, the rest reaches the training loop."""

import re
from pathlib import Path

import pytest

from distill.errors import BadInput
from distill.training.config import Encoder
from jobs.common.options import from_flags
from jobs.training.teacher_flags import TeacherTraining, parser
from tests.distill.tiny_encoder import tiny_encoder


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--batch 0", "--max-length, --layers, --batch and --accumulate must be 1 or more, --learning-rate above 0"),
        ("--layers -1", "--max-length, --layers, --batch and --accumulate must be 1 or more"),
        ("--learning-rate 0", "--learning-rate above 0"),
        ("--target-precision 1.5", "--target-precision above 0 and at most 1"),
        ("--train-rows 0", "--train-rows must be 1 or more"),
    ],
)
def test_options_out_of_range_are_refused(flags: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        from_flags(TeacherTraining, parser().parse_args(flags.split())).check()


def test_options_reach_the_config_and_the_encoder(tmp_path: Path) -> None:
    init = str(tiny_encoder(tmp_path))
    flags = (
        f"--init {init} --max-length 32 --layers 1 --epochs 2 --batch 8 --accumulate 2 --learning-rate 1e-3 --seed 7"
    )
    options = from_flags(TeacherTraining, parser().parse_args([*flags.split(), "--class-weight", "balanced"]))
    options.check()
    config = options.config()
    assert options.encoder == Encoder(init, 32, 1)
    assert (config.epochs, config.batch, config.learning_rate, config.seed) == (2, 8, 1e-3, 7)
    assert config.gradient_accumulation_steps == 2
    assert (config.class_weight, config.precision, config.grad_clip) == ("balanced", "auto", 1.0)
