"""A publication that died, failed or was overtaken: the next run finishes it, or leaves what is not its own alone."""

import pytest

from distill.errors import Busy
from jobs.common import locks
from jobs.warehouse import publish
from jobs.warehouse.tables import REJECTED_OPINION
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.warehouse.publications import JOB, counts, die_at_switch, kept, partitions_of, pending, put, stage

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("by", ["the same day", "another day"])
def test_a_run_that_died_between_switches_is_finished(warehouse, day, by, nth, monkeypatch, capsys) -> None:
    put(warehouse, day, 3, 1)
    dead = die_at_switch(warehouse, day, nth, monkeypatch)
    assert counts(warehouse, day) == [(3, 1), (7, 1)][nth - 1]
    assert len(pending(warehouse)) == 1
    unit = day if by == "the same day" else f"{day[:4]}-02-{day[-2:]}"
    with publish.run(warehouse, JOB, f"dt={unit}", partitions_of(unit)):
        assert counts(warehouse, day) == (7, 2)
    assert f"finished run {dead.id} of {JOB} dt={day}" in capsys.readouterr().out
    assert pending(warehouse) == []
    put(warehouse, day, 4, 1)
    assert counts(warehouse, day) == (4, 1)


def test_a_run_that_fails_right_after_its_pending_file_keeps_its_files(warehouse, day, monkeypatch) -> None:
    """The file is there, so the next run will point readers at what was staged."""
    put(warehouse, day, 3, 1)
    write_text = warehouse.files.write_text

    def interrupted(uri: str, text: str) -> None:
        write_text(uri, text)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(warehouse.files, "write_text", interrupted)
        put(warehouse, day, 7, 2)
    assert counts(warehouse, day) == (3, 1) and len(pending(warehouse)) == 1
    publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (7, 2) and pending(warehouse) == []


def test_a_pending_file_that_cannot_be_read_stays(warehouse, day, monkeypatch) -> None:
    put(warehouse, day, 3, 1)
    die_at_switch(warehouse, day, 1, monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="data node"):
        patch.setattr(warehouse.files, "read_text", lambda uri: (_ for _ in ()).throw(OSError("data node gone")))
        publish.finish_pending(warehouse)
    assert len(pending(warehouse)) == 1
    with monkeypatch.context() as patch:  # its run ended after the folder was listed
        patch.setattr(warehouse.files, "read_text", lambda uri: (_ for _ in ()).throw(FileNotFoundError(uri)))
        publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (3, 1)
    publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (7, 2) and pending(warehouse) == []


def test_a_run_that_still_lives_is_left_to_finish_by_itself(warehouse, day, monkeypatch) -> None:
    put(warehouse, day, 3, 1)
    dead = die_at_switch(warehouse, day, 2, monkeypatch)
    with locks.hold(publish.lock_path(warehouse, JOB, f"dt={day}"), "as if it lived"):
        publish.finish_pending(warehouse)
        assert counts(warehouse, day) == (7, 1)
        assert publish.is_pending(warehouse, dead.id)
    publish.finish_pending(warehouse)
    assert counts(warehouse, day) == (7, 2)


def test_half_a_pending_file_is_removed_by_the_next_run_of_its_scope_alone(warehouse: Warehouse, day: str) -> None:
    name = f"{JOB},dt={day},20260101T000000Z-00000000.json"
    warehouse.files.write_text(f"{warehouse.root}/pending/{name}.tmp", '[["raw_opi')
    publish.finish_pending(warehouse)
    assert pending(warehouse) == [f"{name}.tmp"]
    put(warehouse, day, 1)
    assert pending(warehouse) == []


def test_files_of_others_beside_the_pending_ones_are_left_alone(warehouse: Warehouse, day: str) -> None:
    name = f"{JOB},dt={day},20260101T000000Z-00000000.json"
    foreign = {f"._{name}", ".DS_Store", "notes.json", f"{name}.bak"}
    for other in foreign:
        file = f"{warehouse.root}/pending/{other}"
        warehouse.files._fs.create(warehouse.files._path(file), True).close()
    put(warehouse, day, 2, 1)
    assert counts(warehouse, day) == (2, 1) and not publish.is_pending(warehouse, "20260101T000000Z-00000000")
    assert set(pending(warehouse)) == foreign
    for other in foreign:
        warehouse.files.delete(f"{warehouse.root}/pending/{other}")


def test_a_failure_after_the_switches_takes_no_file_from_readers(warehouse, day, monkeypatch) -> None:
    put(warehouse, day, 5)
    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk"):
        patched.setattr(publish.Run, "delete_old_runs", lambda run, keep: (_ for _ in ()).throw(OSError("disk")))
        put(warehouse, day, 7, 2)
    assert counts(warehouse, day) == (7, 2)
    put(warehouse, day, 8)
    assert counts(warehouse, day) == (8, 0) and pending(warehouse) == []


def test_a_publication_that_the_run_did_not_see_is_not_replaced(warehouse: Warehouse, day: str) -> None:
    put(warehouse, day, 3, 1)
    other = f"{warehouse.root}/elsewhere/{day}/run=of-another-host/table={REJECTED_OPINION.name}"
    warehouse.files.make_folder(other)
    with (
        pytest.raises(Busy, match=r"published by another run while this one worked .*of-another-host"),
        publish.run(warehouse, JOB, f"dt={day}", partitions_of(day)) as run,
    ):
        stage(run, 5, 5)
        second, partition = partitions_of(day)[1]
        warehouse.set_location(second, partition, other, warehouse.location(second, partition))
        run.switch(partitions_of(day))
    assert counts(warehouse, day) == (3, 0)
    assert pending(warehouse) == []
    assert f"run={run.id}" not in kept(warehouse, day)
