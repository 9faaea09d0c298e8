"""Flags that do not fit together, or are misspelt, are refused before anything runs."""

import re

import pytest

from distill.errors import BadInput
from jobs.common.options import from_flags
from jobs.training.student_flags import StudentTraining, parser

DAY = "2026-11-09"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--scheme offline", "--scheme offline needs one --teacher"),
        ("--scheme offline --teacher bert textcnn", "--scheme offline needs one --teacher"),
        ("--scheme multi-teacher --teacher bert", "needs two or more after --teacher"),
        ("--teacher bert", "--scheme textcnn reads no stored logits"),
        (f"--scheme joint-sum --transfer-dt {DAY}", "--scheme joint-sum reads no stored logits"),
        ("--scheme joint-isolated --hint 0", "--scheme joint-isolated reads no stored logits"),
        ("--scheme textcnn --embeddings teacher", "--embeddings teacher are of --scheme offline and multi-teacher"),
        ("--scheme offline --teacher bert --temperature 0", "--temperature must be above 0"),
        ("--scheme offline --teacher bert --alpha-soft 0 --beta-hard 0", "not all 0"),
        ("--scheme offline --teacher bert --alpha-soft -1", "--alpha-soft and --beta-hard 0 or more"),
        ("--scheme multi-teacher --teacher a b --alpha-soft 1", "--alpha-soft has 1 weights for 2 teachers"),
        ("--batch 0", "--batch, --accumulate, --hint-epochs, --max-length and --layers must be 1 or more"),
        ("--learning-rate 0", "must be above 0"),
        ("--scheme joint-sum --teacher-soft-weight 0", "--teacher-soft-weight must be above 0"),
        ("--scheme joint-isolated --student-passes 0", "--student-passes must be 1 or more, --cool-down 0 or more"),
        ("--scheme joint-sum --cool-down -1", "--student-passes must be 1 or more, --cool-down 0 or more"),
        ("--scheme joint-sum --student-passes 2", "--student-passes is of --scheme joint-isolated"),
        ("--cool-down 1", "--scheme textcnn trains no teacher; --start and --cool-down are of joint schemes"),
        ("--start bert", "--scheme textcnn trains no teacher; --start and --cool-down are of joint schemes"),
        ("--epochs 0", "--epochs and --num-proc must be 1 or more"),
        ("--train-rows 0", "--train-rows must be 1 or more"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused_in_one_line(flags: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)) as refused:
        from_flags(StudentTraining, parser().parse_args(flags.split())).check()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--scheme online", "invalid choice: 'online'"),
        ("--route 120", "'120' is not STEP:EPOCHS, such as 120:1"),
        ("--transfer-dt 9-11-2026", "is not a day"),
    ],
)
def test_flags_that_are_misspelt_end_with_the_code_of_bad_input(flags: str, message: str, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args(flags.split())
    assert left.value.code == BadInput.exit_code
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    "flags",
    [
        "",
        f"--scheme offline --teacher bert --transfer-dt {DAY} --route 10:1 20:2",
        "--scheme multi-teacher --teacher bert champion --alpha-soft 1 0.5",
        "--scheme offline --teacher bert --beta-hard 0",
        "--scheme offline --teacher bert --embeddings teacher --hint -1",
        "--scheme offline --teacher bert --alpha-soft 0",
        "--scheme joint-isolated --start bert --student-passes 3 --cool-down 2",
        "--scheme joint-sum --start bert --teacher-soft-loss reverse-kl --teacher-soft-weight 0.1",
    ],
)
def test_flags_that_fit_together_pass(flags: str) -> None:
    from_flags(StudentTraining, parser().parse_args(flags.split())).check()


@pytest.mark.parametrize(
    ("flags", "ramp"),
    [
        ("--scheme offline --teacher bert", 0),
        ("--scheme joint-isolated", 0.3),
        ("--scheme joint-isolated --start bert", 0),
        ("--scheme joint-coupled --start bert", 0.3),
        ("--scheme joint-sum", 0.3),
    ],
)
def test_the_soft_weight_rises_where_who_teaches_knows_nothing_at_first(flags: str, ramp: float) -> None:
    """The students of coupled and sum teach too, and begin with random weights."""
    assert from_flags(StudentTraining, parser().parse_args(flags.split())).config().soft_ramp == ramp


def test_the_cool_down_comes_after_the_epochs_of_both() -> None:
    flags = "--scheme joint-sum --epochs 3 --cool-down 2"
    config = from_flags(StudentTraining, parser().parse_args(flags.split())).config()
    assert (config.epochs, config.cool_down) == (5, 2)
