"""Which jobs Java compiles quickly: those whose days are few and small, by bytes on this machine's disks."""

from pathlib import Path

import pytest

from jobs.common import small_days
from jobs.common.small_days import QUICKLY, java_options

DAY, NEXT = "2026-11-09", "2026-11-10"


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two days of 300 bytes, packed; 500 are small."""
    monkeypatch.setattr(small_days, "SMALL", 500)
    for dt in (DAY, NEXT):
        (tmp_path / f"dt={dt}.jsonl.gz").write_bytes(b"x" * 300)
    return f"{tmp_path}/dt={{dt}}.jsonl.gz"


@pytest.mark.parametrize("job", ["load_opinions", "night"])
def test_the_input_of_all_days_together_counts(stream: str, job: str) -> None:
    assert java_options(job, ["--dt", DAY, "--input", stream]) == QUICKLY
    assert java_options(job, [f"--dt={DAY}", f"--input=file://{stream}", "--format", "jsonl"]) == QUICKLY
    assert java_options(job, ["--from", DAY, "--to", NEXT, "--input", stream]) == ""


def test_unpacked_text_counts_for_less(tmp_path: Path, stream: str) -> None:
    for name, expected in (("plain.csv", QUICKLY), ("packed.gz", "")):
        (tmp_path / name).write_bytes(b"x" * 1200)
        assert java_options("load_labels", ["--input", str(tmp_path / name)]) == expected


def test_a_stored_day_counts_by_its_largest_run(tmp_path: Path, stream: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("OPINION_HOME", str(tmp_path / "home [1]"))
    day = tmp_path / "home [1]" / "data" / "opinion" / "load_opinions" / f"dt={DAY}"
    for run, size in (("1", 300), ("2", 450)):
        (day / f"run={run}" / "table=raw_opinion").mkdir(parents=True)
        (day / f"run={run}" / "table=raw_opinion" / "part-0.zstd.parquet").write_bytes(b"x" * size)
    for job in ("score_opinions", "report_day"):
        assert java_options(job, ["--dt", DAY]) == QUICKLY
        assert java_options(job, ["--dt", DAY, "--database", "other"]) == ""
    (day / "run=2" / "table=raw_opinion" / "part-1.zstd.parquet").write_bytes(b"x" * 51)
    assert java_options("score_opinions", ["--dt", DAY]) == ""


@pytest.mark.parametrize(
    ("job", "flags"),
    [
        ("retrain", []),
        ("load_opinions", ["--dt", DAY, "--input", "/nowhere"]),
        ("load_opinions", ["--dt", DAY, "--input", "hdfs://host/day"]),
        ("load_opinions", ["--dt", "x", "--input", __file__]),
        ("load_opinions", ["--dt", DAY, "--input"]),
        ("night", ["--from", NEXT, "--to", "--input", __file__]),
        ("score_opinions", ["--help"]),
    ],
)
def test_of_what_cannot_be_measured_nothing_is_said(job: str, flags: list[str]) -> None:
    assert java_options(job, flags) == ""


def test_a_real_day_is_small(shared: Path) -> None:
    file = shared / "data" / "stream" / f"dt={DAY}.jsonl.gz"
    assert java_options("night", ["--dt", DAY, "--input", str(file)]) == QUICKLY
