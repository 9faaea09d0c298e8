"""Tasks over row groups: each group is read once, small ones together, and damaged files are named."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.errors import BadInput, Infrastructure
from jobs.warehouse import row_groups
from jobs.warehouse.row_groups import read, tasks_of
from jobs.warehouse.schema import arrow_schema
from jobs.warehouse.tables import RAW_OPINION

SCHEMA = arrow_schema(RAW_OPINION.columns)
TIMES = [
    datetime(2026, 11, 9, 12, 0, 0, 123456, tzinfo=UTC),
    datetime(1901, 1, 1, 1, 2, 3, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    None,
]


def write(file: Path, rows: int, group: int, **options: Any) -> None:
    made = [{"opinion_id": f"{file.stem}-{i}", "text": "物业" * i, "published_at": TIMES[i % 5]} for i in range(rows)]
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), file, row_group_size=group, **options)


def ids_of(folder: Path, tasks: list[list[row_groups.RowGroups]]) -> list[list[str]]:
    return [
        [id for batch in read(f"file:{folder}", task, SCHEMA) for id in batch["opinion_id"].to_pylist()]
        for task in tasks
    ]


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_each_row_is_of_one_task_and_tasks_are_alike(tmp_path: Path, monkeypatch, cores: int) -> None:
    monkeypatch.setattr(row_groups, "LEAST", 1)
    write(tmp_path / "a.parquet", 60, 10)
    write(tmp_path / "b.parquet", 3, 10)
    write(tmp_path / "c.parquet", 0, 10)
    write(tmp_path / "d.parquet", 40, 10)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".a.parquet.crc").write_bytes(b"123")
    tasks = ids_of(tmp_path, tasks_of(f"file://{tmp_path}", cores))
    expected = [f"{name}-{i}" for name, rows in (("a", 60), ("b", 3), ("d", 40)) for i in range(rows)]
    assert sorted(id for task in tasks for id in task) == sorted(expected)
    assert len(tasks) == cores and all(tasks)
    assert max(map(len, tasks)) <= 103 / cores + 20


def test_small_files_are_one_task(tmp_path: Path) -> None:
    for name in "abcd":
        write(tmp_path / f"{name}.parquet", 5, 5)
    [task] = tasks_of(f"file://{tmp_path}", 8)
    assert [part.count for part in task] == [1, 1, 1, 1]


def test_a_folder_without_rows_has_no_task(tmp_path: Path) -> None:
    assert tasks_of(f"file://{tmp_path}", 8) == []


@pytest.mark.parametrize("int96", [True, False])
def test_values_come_back_whatever_the_type_of_times(tmp_path: Path, int96: bool) -> None:
    write(tmp_path / "a.parquet", 20, 7, use_deprecated_int96_timestamps=int96, store_schema=False)
    [task] = tasks_of(f"file://{tmp_path}", 1)
    batches = list(read(f"file://{tmp_path}", task, SCHEMA))
    rows = pa.Table.from_batches(batches, SCHEMA).to_pylist()
    assert [row["published_at"] for row in rows] == TIMES * 4
    assert [row["text"] for row in rows] == ["物业" * i for i in range(20)]
    assert {row["source"] for row in rows} == {None}


def test_batches_of_long_texts_are_small(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(row_groups, "BATCH_BYTES", 400)
    write(tmp_path / "a.parquet", 60, 60, use_dictionary=False)
    [task] = tasks_of(f"file://{tmp_path}", 1)
    batches = list(read(f"file://{tmp_path}", task, SCHEMA))
    assert sum(batch.num_rows for batch in batches) == 60
    assert max(batch.num_rows for batch in batches) <= 4


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 60, 10)
    [task] = tasks_of(f"file://{tmp_path}", 1)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[4:400] = b"\xff" * 396
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.parquet cannot be read: "):
        list(read(f"file://{tmp_path}", task, SCHEMA))
    (tmp_path / "a.parquet").write_bytes(content[:200])
    with pytest.raises(BadInput, match=r"a\.parquet cannot be read: "):
        tasks_of(f"file://{tmp_path}", 1)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 60, 60, write_page_checksum=True, compression="none", use_dictionary=False)
    [task] = tasks_of(f"file://{tmp_path}", 1)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[content.index(b"a-30")] ^= 1  # neither least nor greatest, which stand elsewhere too
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.parquet cannot be read: "):
        list(read(f"file://{tmp_path}", task, SCHEMA))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", 6, 10)
    [task] = tasks_of(f"file://{tmp_path}", 1)
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(Infrastructure, match=r"a\.parquet was removed while it was read"):
        list(read(f"file://{tmp_path}", task, SCHEMA))
