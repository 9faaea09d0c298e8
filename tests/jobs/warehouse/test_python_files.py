"""Whether Python reaches the folders that Hadoop's client reaches."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.warehouse.files import Files
from jobs.warehouse.python_files import Unreached, finds, opened, reached_by_python
from jobs.warehouse.warehouse import Warehouse


def test_a_location_may_hold_blanks_and_any_script(tmp_path: Path) -> None:
    for uri in (f"file://{tmp_path}/with blank, 数据", f"file:{tmp_path}/with blank, 数据"):
        fs, path = opened(uri)
        assert (fs.type_name, path) == ("local", f"{tmp_path}/with blank, 数据")


def test_a_file_system_without_a_client_is_named() -> None:
    for uri in ("nowhere://host/data", "hdfs://no.such.host:1/data"):
        with pytest.raises(Unreached, match=f"Python does not reach {uri}: "):
            opened(uri)


def test_a_task_finds_the_file_or_not(tmp_path: Path) -> None:
    (tmp_path / "probe").touch()
    batch = pa.RecordBatch.from_pydict({"id": [0]})
    for file, expected in (
        (f"file://{tmp_path}/probe", True),
        (f"file://{tmp_path}/other", False),
        ("nowhere://host/probe", False),
    ):
        assert [row["found"] for part in finds(file)(iter([batch])) for row in part.to_pylist()] == [expected]


@pytest.mark.spark
def test_a_folder_is_reached_where_both_clients_see_the_same_file(
    spark: SparkSession, warehouse: Warehouse, tmp_path: Path, monkeypatch
) -> None:
    assert reached_by_python(warehouse, f"file://{tmp_path}")
    assert list(tmp_path.iterdir()) == []
    assert not reached_by_python(warehouse, f"file://{tmp_path}/missing")
    conf = spark._jsc.hadoopConfiguration()
    conf.set("fs.viewfs.mounttable.here.link./data", f"file://{tmp_path}")
    monkeypatch.setattr(warehouse, "files", Files(spark, "viewfs://here/data"))
    assert warehouse.files.exists("viewfs://here/data"), "Hadoop's client alone knows this mount"
    assert not reached_by_python(warehouse, "viewfs://here/data")
