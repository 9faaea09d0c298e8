"""A short run of every fuzz target; `python -m tests.fuzz` is the long one."""

import pytest

from tests.fuzz.__main__ import run


@pytest.mark.parametrize(("name", "inputs"), [("records", 10_000), ("texts", 4_000), ("bundles", 200)])
def test_no_input_breaks_a_promise(name: str, inputs: int, tmp_path) -> None:
    report = run(name, 7, inputs, tmp_path)
    assert report["inputs"] >= inputs
    assert len(report["outcomes"]) >= 4, "the inputs reach different ends"
