"""The options of a job that stores logits: what does not fit together is refused before Spark starts."""

import pytest

from distill.errors import BadInput
from jobs.common.options import from_flags
from jobs.training.logit_flags import LogitJob, parser


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--labelled --train-rows 0", "--train-rows goes with --labelled and must be 1 or more"),
        ("--dt 2026-11-09 --train-rows 5", "--train-rows goes with --labelled"),
        ("--no-labelled", "name the texts whose logits are stored: --labelled, or days after --dt"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags: str, message: str) -> None:
    args = parser().parse_args(["--teacher", "bert", *flags.split()])
    with pytest.raises(BadInput, match=message):
        from_flags(LogitJob, args).check(args.labelled, args.dt)


@pytest.mark.parametrize("flags", ["--labelled", "--labelled --train-rows 5", "--dt 2026-11-09 2026-11-10"])
def test_flags_that_fit_together_pass(flags: str) -> None:
    args = parser().parse_args(["--teacher", "bert", *flags.split()])
    from_flags(LogitJob, args).check(args.labelled, args.dt)
