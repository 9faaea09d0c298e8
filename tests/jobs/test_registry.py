import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.models.registry import Registry
from distill.models.versions import new_version
from jobs.registry import main
from jobs.training.decisions import write

CHECKOUT = Path(__file__).parents[2]
METRICS = {"test": {"auc": 0.98123456, "recall": 0.75, "precision": None, "rows": 100, "by_source": {"a": {}}}}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def versions(home):
    registry = Registry(home / "registry")
    names = []
    for day, scheme in enumerate(["offline", "textcnn"], start=1):
        version = new_version(scheme, datetime(2026, 11, day, tzinfo=UTC))
        manifest = {"metrics": METRICS, "threshold": {"value": 0.123456789}, "lineage": {"note": "报告"}}
        registry.add(version, {"w": np.zeros((2, 3), np.float32)}, {"vocabulary": b"x"}, manifest)
        names.append(version)
    return names


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "jobs/registry.py", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "OPINION_HOME": str(home), "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )


def test_list_aligns_versions_and_marks_the_champion(home, versions, capsys):
    offline, textcnn = versions
    main(["--home", str(home), "promote", offline, "--reason", "first"])
    main(["--home", str(home), "promote", textcnn, "--reason", "AUC 更好"])
    capsys.readouterr()
    main(["--home", str(home), "list"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "   VERSION                          METRICS",
        f"   {offline}  test: auc 0.9812, recall 0.7500",
        f"*  {textcnn}  test: auc 0.9812, recall 0.7500",
    ]
    assert lines[-3].split()[:3] == ["WHEN", "(Asia/Shanghai)", "WHO"]
    at = datetime.fromisoformat(f"{lines[-2][:19]}+08:00")
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=5), "in Beijing's time"
    assert lines[-2].split()[3:] == ["promote", textcnn, offline, "AUC", "更好"]
    assert lines[-1].split()[3:] == ["promote", offline, "-", "first"]


def test_list_shows_a_broken_version_beside_the_whole_ones(home, versions, capsys):
    (home / "registry" / "versions" / versions[0] / "manifest.json").unlink()
    main(["--home", str(home), "list"])
    out = capsys.readouterr().out
    assert "unusable" in out.splitlines()[1]
    assert "test: auc" in out.splitlines()[2]
    assert "no champion: choose one" in out


def test_list_without_versions_says_how_to_make_one(home, capsys):
    main(["--home", str(home), "list"])
    assert "train one with opinion distill_student" in capsys.readouterr().out


def test_show_prints_all_of_the_manifest_exactly(home, versions, capsys):
    main(["--home", str(home), "promote", versions[1], "--reason", "x"])
    capsys.readouterr()
    main(["--home", str(home), "show", "champion"])
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["version"] == versions[1]
    assert shown["threshold.value"] == "0.123456789"
    assert shown["lineage.note"] == "报告"
    assert shown["tensor"].split(maxsplit=1) == ["w", "float32 [2, 3]"]
    assert len(shown["digest"]) == 64


def test_promote_and_rollback_as_a_script(home, versions):
    for version in versions:
        done = run(home, "promote", version, "--reason", "better")
        assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"champion is {versions[1]}, in place of {versions[0]}\n"
    done = run(home, "rollback", "--reason", "worse on 热线")
    assert done.stdout == f"champion is {versions[0]} again, in place of {versions[1]}, at its own threshold\n"
    assert Registry(home / "registry").champion().reason == "worse on 热线"
    Registry(home / "registry").set_threshold(versions[0], {"value": 0.9}, "from labels")
    Registry(home / "registry").set_threshold(versions[0], {"value": 0.95}, "from more labels")
    for threshold in ("threshold 0.9 (set by hand)", "its own threshold"):
        done = run(home, "rollback", "--reason", "too strict")
        assert done.stdout == f"champion {versions[0]} has {threshold} again\n"
    done = run(home, "rollback", "--reason", "that one too")
    assert done.returncode == 2 and "no version was promoted before champion" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "champion"], 3, "no champion in"),
        (["promote", "offline-20261101T000000Z-000000", "--reason", "x"], 3, "the nearest there: offline-"),
        (["promote", "../x", "--reason", "x"], 2, "is not the name of a version"),
        (["promote", "offline-20261101T000000Z-000000"], 2, "--reason"),
        (["rollback", "--reason", "x"], 3, "no champion in"),
        (["frobnicate"], 2, "frobnicate"),
        ([], 2, "command"),
    ],
)
def test_errors_are_one_line_with_their_exit_code(home, versions, arguments, code, message):
    done = run(home, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def decided(challenger: str, champion: str | None, day: int, **fields: Any) -> dict[str, Any]:
    checks = [
        {"name": "recall", "passed": fields.get("promoted", False), "value": 0, "bound": 0, "reason": "召回 -0.02"}
    ]
    return {"challenger": challenger, "champion": champion, "promoted": False, "dry_run": False, "checks": checks,
            "decided": f"2026-11-0{day}T03:00:00+00:00"} | fields  # fmt: skip


def test_decisions_for_and_against_are_listed_newest_first_and_told_in_full(home, versions, capsys):
    first, second = versions
    main(["--home", str(home), "decisions"])
    assert "no retraining has come to a decision yet" in capsys.readouterr().out
    write(home / "retrain" / f"{first}.json", decided(first, None, 1, promoted=True))
    write(home / "retrain" / f"{second}.json", decided(second, first, 2))
    write(home / "retrain" / "progress.json", {"flags": {}})
    for name in (f"._{first}.json", f"{first} (1).json", "._progress.json", "notes.json"):
        (home / "retrain" / name).write_bytes(b"\x00\x05\x16\x07")
    main(["--home", str(home), "decisions"])
    [head, newest, oldest] = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["WHEN", "(Asia/Shanghai)"]
    assert newest.split() == ["2026-11-02", "11:00:00", second, first, "not", "promoted:", "recall"]
    assert oldest.split()[2:] == [first, "-", "promoted:", "there", "was", "no", "champion"]
    main(["--home", str(home), "decisions", second])
    message = capsys.readouterr().out
    assert "FAILED  recall     召回 -0.02" in message and "not promoted: recall; the champion stays" in message
    done = run(home, "decisions", "offline-20261101T000000Z-000000")
    assert (done.returncode, done.stderr[:7]) == (2, "error: ") and "no retraining decided on" in done.stderr


def test_a_version_whose_target_was_out_of_reach_is_kept_but_not_promoted(home):
    registry = Registry(home / "registry")
    version = new_version("offline", datetime(2026, 11, 3, tzinfo=UTC))
    manifest = {"threshold": {"value": 0.9, "precision": 0.9, "target_precision": 0.95}}
    registry.add(version, {"w": np.zeros(1, np.float32)}, {"vocabulary": b"x"}, manifest)
    done = run(home, "promote", version, "--reason", "x")
    assert done.returncode == 2 and "has no threshold with precision 0.95 on valid, 0.9000 at best" in done.stderr
    assert registry.champion() is None
