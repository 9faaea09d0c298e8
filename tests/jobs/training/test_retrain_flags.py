"""Flags of a retraining that no step could use are refused before anything runs."""

from pathlib import Path

import pytest

from distill.errors import BadInput
from distill.models.registry import Registry
from jobs.common.options import from_flags
from jobs.training.retrain_flags import RetrainOptions, parser


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "no teacher bert to reuse: name with --init the pretrained encoder"),
        ("--init x --transfer-days -1", "--transfer-days must be 0 or more"),
        ("--init x --min-coverage 2", "--min-coverage from 0 to 1"),
        ("--init x --epochs 0", "--epochs and --num-proc must be 1 or more"),
    ],
)
def test_flags_that_no_step_could_use_are_refused(tmp_path: Path, flags: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        from_flags(RetrainOptions, parser().parse_args(flags.split())).check(Registry(str(tmp_path / "registry")))
