"""jobs/retrain.py: the champion changes for a better model and for nothing else; a stopped run goes on."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill.data.labelled import TextRows
from distill.data.snapshot import Snapshot
from distill.errors import Busy
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer
from jobs.training import decisions, night_labels, retraining
from jobs.training.decisions import decision_text
from jobs.training.retrain_flags import RetrainOptions
from jobs.training.retraining import Retraining
from jobs.training.training_run import TrainingOptions, begin
from tests.distill.tiny_encoder import tiny_encoder
from tests.jobs.tiny_model import TEXTS, add_model, tiny_bundle


class Decided(Retraining):
    """The steps after the training, on rows that the model `truth` labels."""

    def __init__(self, registry: Registry, challenger: str, truth: str):
        self.registry = registry
        self.options = RetrainOptions(target_precision=0.8)
        self.folder = Path(os.environ["OPINION_HOME"]) / decisions.FOLDER
        self.progress = self.folder / decisions.PROGRESS
        self.state = {"champion": None, "days": [], "challenger": challenger, "teacher": "bert"}
        self.state |= {"flags": {"database": "opinion"}, "night_labels": 0, "out_of_fold": {}}
        self.nights = pd.DataFrame(columns=night_labels.COLUMNS)
        self.note()
        random, letters = np.random.default_rng(0), list("".join(TEXTS))
        texts = ["".join(random.choice(letters, 12)) for _ in range(400)]
        scores = Scorer(registry.load(truth).bundle).score(texts).scores
        labels = (scores >= np.median(scores)).astype(np.int64)
        self.rows = TextRows(texts, labels, np.array(["web"] * 400), np.empty((400, 0, 2), np.float32))

    def held_out(self) -> tuple[TextRows, str]:
        return self.rows, "hash"

    def night_labels(self) -> pd.DataFrame:
        return self.nights

    def pair_in_use(self, champion: str) -> None:
        """No night had a second reader."""


def ask_for_recall_speed_and_size(run: Decided) -> None:
    """Of random models what the old one catches, and where, is chance."""
    run.options = replace(run.options, min_coverage=0.0)
    run.rows = replace(run.rows, sources=np.arange(400).astype(str))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    return Registry(str(tmp_path / "registry"))


@pytest.fixture
def better(registry: Registry) -> Decided:
    """A challenger that knows the labels, of a champion that does not."""
    good, bad = add_model("offline", 1), add_model("offline", 2)
    registry.promote(bad, "first")
    run = Decided(registry, good, good)
    ask_for_recall_speed_and_size(run)
    return run


def test_the_first_model_is_promoted_since_there_is_none(registry: Registry) -> None:
    first = add_model("offline", 1)
    decision = Decided(registry, first, first).run()
    assert decision["promoted"] and [check["name"] for check in decision["checks"]] == ["threshold"]
    now = registry.champion()
    assert now and now.version == first and now.reason.startswith("retrain: there was no champion; has precision")


def test_a_worse_challenger_is_not_promoted_and_every_reason_is_told(registry: Registry) -> None:
    good, bad = add_model("offline", 1), add_model("offline", 2)
    registry.promote(good, "first")
    decision = Decided(registry, bad, good).run()
    now = registry.champion()
    assert now and now.version == good and not decision["promoted"]
    failed = [check["name"] for check in decision["checks"] if not check["passed"]]
    assert "recall" in failed
    text = decision_text(decision)
    assert f"not promoted: {', '.join(failed)}; the champion stays" in text
    assert decisions.read_all(Path(os.environ["OPINION_HOME"])) == [decision]
    assert all(check["reason"] in text for check in decision["checks"])


def test_a_better_one_is_promoted_with_its_reasons_but_not_in_a_dry_run(registry: Registry) -> None:
    good, bad = add_model("offline", 1), add_model("offline", 2)
    registry.promote(bad, "first")
    run = Decided(registry, good, good)
    run.options = replace(run.options, dry_run=True)
    assert not run.run()["promoted"]
    now = registry.champion()
    assert now and now.version == bad
    run.options = replace(run.options, dry_run=False)
    ask_for_recall_speed_and_size(run)
    del run.state["decision"]
    decision = run.run()
    assert decision["promoted"], decision_text(decision)
    now = registry.champion()
    assert now and now.version == good and now.previous == bad
    assert all(check["reason"] in now.reason for check in decision["checks"])


def with_nights(run: Decided, out_of_fold: Callable[[int, int], float], known_at: str = "2026-11-20") -> None:
    """Labels of nights, every third a complaint, and what the challenger's like says of each; the champion has 0.5."""
    rows = [
        {
            "text": f"夜里的第{number}条",
            "text_hash": f"{number:064}",
            "label": int(number % 3 == 0),
            "inclusion_probability": 0.1,
            "fold": number % 2,
            "known_at": pd.Timestamp(known_at, tz="UTC"),
        }
        for number in range(120)
    ]
    run.nights = pd.DataFrame(rows)
    scores = {row["text_hash"]: out_of_fold(number, row["label"]) for number, row in enumerate(rows)}
    run.note(night_labels=120, out_of_fold=scores)


def test_one_that_is_better_on_old_labels_and_worse_on_the_nights_is_refused(
    registry: Registry, better: Decided
) -> None:
    bad = registry.resolve("champion")
    with_nights(better, lambda number, label: 0.9 - 0.8 * label + number / 10_000)  # the wrong way round
    decision = better.run()
    assert [check["name"] for check in decision["checks"] if not check["passed"]] == ["nights"], decision_text(decision)
    assert registry.resolve("champion") == bad


def test_a_new_champion_starts_at_the_threshold_of_the_nights_labels(registry: Registry, better: Decided) -> None:
    """Out of fold 0.8 has the target precision and 0.7 has not; the bundle's own threshold does not know it."""
    with_nights(better, lambda number, label: 0.96 if label else 0.75 if number % 5 == 0 else 0.05)
    decision = better.run()
    assert decision["promoted"], decision_text(decision)
    started = registry.load("champion").operating
    assert started == decision["operating"] and started is not None
    assert (started["value"], started["source"], started["certified"]) == (0.8, "estimate", False)
    assert started["labels"] == 120
    assert started["precision"] >= 0.8 and registry.load("champion").threshold == np.float32(0.8)


def test_labels_that_the_champion_has_learned_do_not_compare(registry: Registry) -> None:
    """Its bundle says when its labels were read; of an older night it has learned what the challenger has not."""
    good, bad = add_model("offline", 1), add_model("offline", 2, lineage={"labels_at": "2026-11-21T00:00:00+00:00"})
    registry.promote(bad, "first")
    run = Decided(registry, good, good)
    with_nights(run, lambda number, label: 0.9 - 0.8 * label)
    check = next(check for check in run.run()["checks"] if check["name"] == "nights")
    assert check["passed"] and check["reason"] == "0 labels of nights are too few to judge by"


def test_a_champion_promoted_by_hand_meanwhile_is_the_one_to_beat(registry: Registry) -> None:
    good, bad, other = (add_model("offline", seed) for seed in (1, 2, 3))
    registry.promote(other, "before")
    run = Decided(registry, bad, good)
    registry.promote(good, "by hand, while the challenger was trained")
    assert (decision := run.run())["champion"] == good and not decision["promoted"]
    assert registry.resolve("champion") == good

    class Late(Decided):
        """Somebody is faster than the promotion that was decided."""

        def promote(self, decision: dict[str, Any]) -> None:
            if "late" not in self.state:
                self.note(late=True)
                registry.promote(other, "by hand, after the comparison")
            super().promote(decision)

    registry.promote(bad, "by hand")
    late = Late(registry, good_again := add_model("offline", 1), good)
    ask_for_recall_speed_and_size(late)
    with pytest.raises(Busy, match=f"{other} became the champion while {good_again} was compared with {bad}; run"):
        late.run()
    assert registry.resolve("champion") == other and late.progress.exists()
    assert late.run()["champion"] == other
    assert registry.resolve("champion") == good_again and not late.progress.exists()


def test_a_challenger_that_was_rolled_back_is_not_promoted_by_the_run_that_goes_on(registry: Registry) -> None:
    """The run died right after its promotion, a person rolled it back, and then the job was started again."""
    old, new = add_model("offline", 2), add_model("offline", 1)
    registry.promote(old, "first")
    run = Decided(registry, new, new)
    run.note(decision={**run.decide(), "promoted": True})
    run.promote(run.state["decision"])
    assert registry.resolve("champion") == new
    registry.rollback("too many complaints of one merchant")
    assert run.run()["promoted"]
    assert registry.resolve("champion") == old


class Stopped(Exception):
    """The run ends here."""


@pytest.mark.parametrize("role", ["teacher", "challenger"])
def test_a_training_of_the_same_minute_that_somebody_else_began_and_saved_is_not_taken(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """Neither as this retraining's own, nor as what a stopped run goes on with: only the version that it reserved."""
    run = Decided(registry, "", add_model("textcnn", 1))
    run.options = replace(run.options, init=str(tiny_encoder(tmp_path / "encoder", positions=128)))
    run.warehouse = None  # type: ignore[assignment]  # only the training would read it
    made, trained = tiny_bundle(2), []

    def save(version: str) -> None:
        registry.add(version, made.tensors, made.files, made.manifest)

    def write_snapshot(folder: str) -> tuple[Snapshot, dict[str, Any]]:
        Path(folder).mkdir(parents=True)
        return Snapshot(folder), {}

    def training(_: Any, options: TrainingOptions, version: str) -> None:
        trained.append(version)
        if len(trained) == 1:
            foreign = f"{version[:-6]}ffffff"  # of the same second and scheme
            begin(foreign, options, write_snapshot)
            save(foreign)
        else:
            save(version)
        raise Stopped  # first while it trains, then before it has noted what it saved

    monkeypatch.setattr(retraining, "train" if role == "teacher" else "distil", training)
    step = run.teacher if role == "teacher" else run.distil
    for _ in range(2):
        with pytest.raises(Stopped):
            step()
        run.state = json.loads(run.progress.read_text(encoding="utf-8"))
        assert run.state["reserved"] == {role: trained[0]}
    assert step() == trained[0] and trained == [trained[0]] * 2
    assert f"{trained[0][:-6]}ffffff" in registry.versions()
