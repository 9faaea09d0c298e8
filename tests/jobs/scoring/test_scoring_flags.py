"""The options of a second reader: what does not fit together is one line, and each budget stands alone."""

from typing import Any

import pytest

from distill.errors import BadInput
from jobs.scoring.scoring_flags import READ, ReaderOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"read": 5}, "--read goes with --second-reader"),
        ({"read_seconds": 5.0}, "--read-seconds goes with --second-reader"),
        ({"second_reader_required": True}, "--second-reader-required goes with --second-reader"),
        ({"second_reader": "bert", "read": 5, "read_seconds": 5.0}, "--read and --read-seconds are two budgets"),
        ({"second_reader": "bert", "read": 0}, "--read must be 1 or more"),
        ({"second_reader": "bert", "read_seconds": 0.0}, "--read-seconds above 0"),
        ({"second_reader": "bert", "read_seconds": float("nan")}, "--read-seconds above 0"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ReaderOptions(**options)


def test_there_is_one_budget() -> None:
    assert ReaderOptions("bert").texts == READ
    assert ReaderOptions("bert", read=7).texts == 7
    assert ReaderOptions("bert", read_seconds=7.0).texts is None
