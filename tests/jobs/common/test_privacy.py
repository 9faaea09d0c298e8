"""Words and numbers of people stay out of logs and error lines."""

import logging
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import BadInput
from jobs.common.privacy import Formatter, WorkerFailed, mask_numbers, redact_errors, redact_text

SECRET = "我的电话是13800138000，身份证11010119900307123X"


def raising(error: Exception) -> Iterator[pa.RecordBatch]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches
        raise error

    yield from redact_errors(work)(iter([pa.record_batch({"x": [1]})]))


@pytest.mark.parametrize("error", [KeyError(SECRET), ValueError("x", SECRET), MemoryError(SECRET)])
def test_a_worker_says_where_it_failed_and_not_of_what(error: Exception) -> None:
    with pytest.raises(WorkerFailed, match=rf"^{type(error).__name__}, .*test_privacy.py:\d+ in work") as raised:
        list(raising(error))
    assert not any(part in str(raised.value) for part in ("电话", "138001", "110101"))
    assert raised.value.__suppress_context__, "Spark logs the chain of a worker's exceptions"


def test_an_error_of_ours_keeps_its_words() -> None:
    with pytest.raises(BadInput, match=r"^编号 is missing$"):
        list(raising(BadInput("编号 is missing")))


@pytest.mark.parametrize(
    "number", ["13800138000", "8613800138000", "+86 138-0013-8000", "138 0013 8000", "11010119900307123X"]
)
def test_numbers_of_people_are_replaced(number: str) -> None:
    assert not set(mask_numbers(f"row {number}: bad")) & set("013X")


@pytest.mark.parametrize(
    "text",
    [
        "run 20261109T201500Z-1a2b3c4d of dt=2026-11-09",
        "application_1762660800123_0001 at 2026-11-09 20:15:00,123",
        "model.safetensors: 123456789012 bytes",
        "app-20261109201500-0001, jobs/common/cli.py:123",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_numbers(text) == text


@given(st.text(st.sampled_from("物业乱收费退款，！１２"), min_size=4))
def test_nothing_that_was_said_in_chinese_is_left(text: str) -> None:
    assert redact_text(f"KeyError: '{text}' in /数据/x") == "KeyError: '…' in /数据/x"


def test_a_traceback_in_the_log_has_no_words_and_the_entry_no_numbers() -> None:
    try:
        {}[SECRET]
    except KeyError as e:
        record = logging.LogRecord(
            "opinion", logging.ERROR, __file__, 1, "day %s", ("13800138000",), (KeyError, e, None)
        )
    entry = Formatter("%(levelname)s %(message)s").format(record)
    assert entry.splitlines() == ["ERROR day ***********", "KeyError: '…***********…******************'"]
