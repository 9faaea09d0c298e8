"""The file system behind the tables: names, whole files, and what is not there."""

from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from jobs.warehouse.files import Files

pytestmark = pytest.mark.spark


@pytest.fixture
def files(spark: SparkSession, tmp_path: Path) -> Files:
    return Files(spark, f"file://{tmp_path}")


def test_a_small_file_comes_back_and_leaves_no_other_beside_it(files: Files, tmp_path: Path) -> None:
    for text in ('[["opinion_score", {"dt": "2026-11-09"}]]', "投诉", ""):
        files.write_text(f"{files.root}/pending/{len(text)}", text)
        assert files.read_text(f"{files.root}/pending/{len(text)}") == text
    assert files.names(f"{files.root}/pending") == ["0", "2", "41"]


def test_the_size_of_a_folder_is_that_of_its_files(files: Files) -> None:
    for name in ("a", "b/c"):
        files.write(f"{files.root}/day/{name}", b"12345")
    assert files.size(f"{files.root}/day") == 10


def test_what_is_not_there_has_no_names_and_cannot_be_read(files: Files) -> None:
    missing = f"{files.root}/missing"
    assert not files.exists(missing) and files.names(missing) == []
    files.delete(missing)
    with pytest.raises(FileNotFoundError, match="missing"):
        files.read_text(missing)


def test_a_file_that_is_damaged_is_not_called_missing(files: Files, tmp_path: Path) -> None:
    """Else a pending file would be taken for one whose run has ended."""
    files.write_text(f"{files.root}/pending", "text")
    (tmp_path / "pending").write_text("test")  # against its checksum
    with pytest.raises(Py4JJavaError, match="Checksum"):
        files.read_text(f"{files.root}/pending")


def test_a_folder_is_deleted_with_all_it_holds_and_nothing_beside_it(files: Files, tmp_path: Path) -> None:
    for name in ("run=1/table=a", "run=1/table=b", "run=10/table=a"):
        files.make_folder(f"{files.root}/{name}")
    files.delete(f"{files.root}/run=1")
    assert files.names(files.root) == ["run=10"]
    assert (tmp_path / "run=10" / "table=a").is_dir()
