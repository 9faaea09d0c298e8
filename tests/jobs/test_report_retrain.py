"""A retraining's report: the decision that is asked for, and both models on the same labels."""

import json
from pathlib import Path

import pytest

from distill.errors import BadInput
from jobs.report_retrain import decision_of
from jobs.training import decisions
from tests.jobs.example_facts import a_retraining

OLD, NEW = "offline-20261108T201500Z-1a2b3c", "multi-teacher-20261109T201500Z-1a2b3c"


def test_the_newest_decision_is_reported_unless_another_is_named(tmp_path: Path) -> None:
    for version, decided in ((OLD, "2026-11-08T21:00:00+00:00"), (NEW, "2026-11-09T21:00:00+00:00")):
        decisions.write(tmp_path / "retrain" / f"{version}.json", {"challenger": version, "decided": decided})
    decisions.write(tmp_path / "retrain" / decisions.PROGRESS, {})
    assert decision_of(tmp_path, None)["challenger"] == NEW
    assert decision_of(tmp_path, OLD)["challenger"] == OLD
    with pytest.raises(BadInput, match=r"keeps no decision about bert-1; see opinion registry decisions"):
        decision_of(tmp_path, "bert-1")


def test_without_a_decision_the_mend_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"keeps no decision; .* or run opinion retrain"):
        decision_of(tmp_path, None)


def test_the_facts_compare_both_models_on_the_same_rows() -> None:
    facts = a_retraining(passed=True)
    better, other = (facts["models"][role]["reached"] for role in ("challenger", "champion"))
    assert better["auc"] == 1.0 > other["auc"]
    assert better["curve"]["recall"][0] == 1.0 and better["curve"]["precision"][-1] == 1.0
    changes = facts["changes"]
    told = sum(changes[name] for name in ("both", "champion_only", "challenger_only", "neither"))
    assert told == facts["rows"]["complaints"]
    caught = changes["both"] + changes["champion_only"]
    assert changes["coverage"] == pytest.approx(changes["both"] / caught)
    assert sum(one["complaints"] for one in facts["sources"]) == told
    assert facts["rows"]["as_decided"] and not a_retraining(passed=False)["rows"]["as_decided"]
    assert json.loads(json.dumps(facts, allow_nan=False)) is not None, "all of it is JSON"
