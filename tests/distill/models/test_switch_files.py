"""The champion file and its history: whole for every reader, whoever writes, dies or leaves files beside them."""

import json
import subprocess
import sys
import time

import pytest

from distill.errors import BadModel
from tests.distill.models.tiny_registry import add, start

PROMOTER = """
import sys, time
from distill.models.registry import Registry
registry = Registry(sys.argv[1])
print("ready", flush=True)
end, count = time.monotonic() + 2, 0
while time.monotonic() < end:
    count += 1
    registry.promote(sys.argv[2 + count % 2], "reason " * (count % 50 + 1))
"""


@pytest.mark.parametrize("name", ["._{}", ".{}.swp", "{} (1)", "notes.json", ".DS_Store", "._versions"])
def test_files_of_others_in_its_folders_are_no_switches_and_no_versions(registry, tmp_path, name):
    first, second = add(registry), add(registry)
    for folder in ("versions", "history"):
        (tmp_path / "registry" / folder).mkdir(exist_ok=True)
        (tmp_path / "registry" / folder / name.format(f"{first}.json")).write_bytes(b"\x00\x05\x16\x07")
    assert (registry.champion(), registry.history()) == (None, [])
    registry.promote(first, "x")
    registry.promote(second, "x")
    for path in list((tmp_path / "registry" / "history").glob("2*.json")):
        path.with_name(name.format(path.name)).write_bytes(b"\x00\x05\x16\x07")
    assert [switch.version for switch in registry.history()] == [first, second]
    assert registry.versions() == sorted([first, second])
    assert registry.rollback("x").version == first


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", '{"version": "x"}', "SWAPPED"])
def test_a_damaged_champion_file_is_named_with_the_mend(registry, tmp_path, raw, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    version = add(registry)
    registry.promote(version, "x")
    path = tmp_path / "registry" / "champion"
    path.write_text(path.read_text().replace(version, "../../etc") if raw == "SWAPPED" else raw)
    for call in (lambda: registry.load("champion"), lambda: registry.promote(version, "x")):
        with pytest.raises(BadModel, match=r"registry/champion is damaged .* delete it"):
            call()
    path.unlink()
    assert registry.promote(version, "mended") == registry.champion()


def test_a_reader_waits_out_a_store_that_replaces_by_deleting(registry, tmp_path, monkeypatch):
    switch = registry.promote(add(registry), "x")
    path, aside = tmp_path / "registry" / "champion", tmp_path / "aside"
    path.rename(aside)
    monkeypatch.setattr(time, "sleep", lambda _: aside.rename(path))
    assert registry.champion() == switch


def test_a_switch_whose_promoter_was_killed_before_the_record_is_recorded_by_the_next(registry, tmp_path):
    first, second = add(registry), add(registry)
    registry.promote(first, "x")
    for record in (tmp_path / "registry" / "history").iterdir():
        record.unlink()
    registry.promote(second, "y")
    assert [s.version for s in registry.history()] == [first, second]


@pytest.mark.slow
def test_two_promoters_at_once_leave_whole_files_to_a_reader(registry):
    versions = [add(registry) for _ in range(4)]
    registry.promote(versions[0], "x")
    seen = []
    with (
        start(PROMOTER, registry.root, *versions[:2]) as one,
        start(PROMOTER, registry.root, *versions[2:]) as two,
    ):
        while one.poll() is None and two.poll() is None:
            seen.append(registry.load("champion").version)  # raises on half a file, and where there is none
    assert (one.returncode, two.returncode) == (0, 0)
    assert set(seen) == set(versions)
    assert len(registry.history()) > 100
    assert registry.champion() in registry.history()


def test_a_switch_without_thresholds_is_read(registry, tmp_path):
    version = add(registry)
    registry.promote(version, "x")
    file = tmp_path / "registry" / "champion"
    content = {k: v for k, v in json.loads(file.read_text()).items() if "operating" not in k}
    file.write_text(json.dumps(content), encoding="utf-8")
    assert registry.load(version).operating is None and registry.champion().version == version
    file.write_text(json.dumps(content | {"operating": {"value": 7}}), encoding="utf-8")
    with pytest.raises(BadModel, match="champion is damaged"):
        registry.champion()


KILLED_CALIBRATION = """
import os, sys
from distill.models import switch_files
from distill.models.registry import Registry
write = switch_files.write_file
def die(fs, path, content):
    write(fs, path, content)
    os._exit(9)  # the new champion file is whole, and not yet in its place
switch_files.write_file = die
Registry(sys.argv[1]).set_threshold(sys.argv[2], {"value": 0.9}, "killed")
"""


def test_a_killed_calibration_leaves_the_old_threshold(registry):
    version = add(registry)
    registry.promote(version, "x")
    registry.set_threshold(version, {"value": 0.7}, "before")
    code = subprocess.run([sys.executable, "-c", KILLED_CALIBRATION, registry.root, version]).returncode
    assert code == 9
    assert registry.load(version).operating == {"value": 0.7}
    assert [switch.action for switch in registry.history()] == ["promote", "threshold"]
    registry.set_threshold(version, {"value": 0.9}, "again")
    assert registry.load(version).operating == {"value": 0.9}
