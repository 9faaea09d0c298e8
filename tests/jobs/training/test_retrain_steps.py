"""The lines of a retraining's steps: time so far, and the time left by the last retraining."""

import json
from pathlib import Path

import pytest

from jobs.training import decisions
from jobs.training.retrain_steps import STEPS, last_seconds, step_line, timed

LAST = {"teacher": 0.0, "challenger": 500.0, "out_of_fold": 130.0, "decision": 30.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    return tmp_path / decisions.FOLDER


def test_a_first_retraining_says_the_time_so_far() -> None:
    line = step_line("challenger", {"teacher": 1500.0}, {})
    assert line == "step 2 of 4: logits and the challenger; 25 min so far"


def test_a_later_one_says_what_the_last_took_from_there() -> None:
    line = step_line("out_of_fold", {"teacher": 1.0, "challenger": 240.0}, LAST)
    assert line.startswith("step 3 of 4: ") and line.endswith(
        "; 4 min so far, the last retraining took 3 min from here"
    )


def test_a_step_leaves_its_result_and_its_seconds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = timed("challenger", lambda: "offline-1", {"teacher": 2.0})
    assert facts["challenger"] == "offline-1" and list(facts["seconds"]) == ["teacher", "challenger"]
    assert capsys.readouterr().out == "step 2 of 4: logits and the challenger; 0 min so far\n"


def test_the_last_retraining_is_the_newest_decision(folder: Path) -> None:
    assert last_seconds() == {}
    for name, day, seconds in (("a", "02", LAST), ("b", "01", dict.fromkeys(STEPS, 9.0))):
        decisions.write(folder / f"offline-202611{day}T000000Z-00000{name}.json", {"decided": day, "seconds": seconds})
    assert last_seconds() == LAST
    decisions.write(folder / "offline-20261103T000000Z-00000c.json", {"decided": "03"})  # of before they were kept
    assert last_seconds() == {}
    (folder / "offline-20261104T000000Z-00000d.json").write_text(json.dumps({})[:1], encoding="utf-8")
    assert last_seconds() == {}
