"""Staged files that change between being written and being counted, as a bug or a bad disk would change them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.warehouse.publish import Run
from jobs.warehouse.schema import Table


def dropped(rows: pa.Table) -> pa.Table:
    """The rows but the first."""
    return rows.slice(1)


def doubled(rows: pa.Table) -> pa.Table:
    """The rows and the first once more."""
    return pa.concat_tables([rows, rows.slice(0, 1)])


CHANGES = (dropped, doubled)


def nulled(column: str) -> Callable[[pa.Table], pa.Table]:
    """A change that takes the first row's value of a column."""

    def change(rows: pa.Table) -> pa.Table:
        values = [None, *rows[column].to_pylist()[1:]]
        return rows.set_column(rows.column_names.index(column), column, pa.array(values, rows[column].type))

    return change


def tamper(patch: pytest.MonkeyPatch, table: Table, change: Callable[[pa.Table], pa.Table]) -> None:
    """Let every run change the first staged file of a table right after it is written."""
    changed = set()  # a run stages more than once

    def tampering(stage: Callable[..., None]) -> Callable[..., None]:
        def tampered(run: Run, *args: object, **options: object) -> None:
            stage(run, *args, **options)
            for file in sorted(Path(run.location(table).removeprefix("file:")).glob("part-*.parquet"))[:1]:
                if file not in changed:
                    changed.add(file)
                    rows = change(pq.read_table(file))
                    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)  # else the file system finds it
                    pq.write_table(rows, file)

        return tampered

    patch.setattr(Run, "stage", tampering(Run.stage))
    patch.setattr(Run, "stage_written", tampering(Run.stage_written))


def files_of(database: str, home: Path) -> list[str]:
    """Every file and folder of a database's data, to compare."""
    return sorted(str(path) for path in (home / "data" / database).rglob("*"))
