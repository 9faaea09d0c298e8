"""One retraining, step by step. Each step's result is stored in a file, so that a stopped run continues."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from distill.data.labelled import TextRows
from distill.errors import Busy, OpinionError
from distill.evaluation.comparison import compare, threshold_check
from distill.evaluation.out_of_fold import LEAST_LABELS
from distill.models.fitness import Bounds
from distill.models.saved_model import SavedModel
from distill.models.versions import new_version
from distill.scoring.scorer import Scorer
from distill.training.cross_fitting import LEAST_NIGHT_LABELS
from distill.training.scheme_table import BERT, LINEAR
from jobs.common.home import home, home_registry
from jobs.training import decisions
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_store import LogitWriter
from jobs.training.logits import LABELLED
from jobs.training.night_comparison import NightComparison, PairInUse, pair_in_use, read_pairs
from jobs.training.night_labels import night_labels, operating_threshold, scores_of
from jobs.training.retrain_flags import RetrainOptions, reused_teacher
from jobs.training.retrain_steps import STEPS, timed
from jobs.training.snapshot import held_out
from jobs.training.student_training import distil, fit_without
from jobs.training.teacher_training import train
from jobs.training.training_run import discard
from jobs.warehouse.tables import RAW_OPINION
from jobs.warehouse.warehouse import Warehouse


class Retraining:
    """One retraining; it continues a stopped one with the same options."""

    def __init__(self, warehouse: Warehouse, options: RetrainOptions):
        self.warehouse, self.options = warehouse, options
        self.registry = home_registry()
        self.folder = home() / decisions.FOLDER
        self.progress = self.folder / decisions.PROGRESS
        flags = {"database": warehouse.database, **asdict(options)}
        self.state: dict[str, Any] = {"flags": flags, "since": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"}
        if self.progress.exists():
            before = json.loads(self.progress.read_text(encoding="utf-8"))
            if before["flags"] == flags:
                self.state = before
                print(f"going on with the retraining begun {before['since']}", flush=True)
        self.note()

    def note(self, **facts: Any) -> None:
        """Add facts to the stored state."""
        self.state |= facts
        decisions.write(self.progress, self.state)

    def run(self) -> dict[str, Any]:
        """Run all steps; returns the decision, which is also stored in a file.

        Each step's result is stored before the next begins, and the decision before it is carried out. A run that
        continues therefore never decides a second time with another outcome.
        """
        if "champion" not in self.state:
            self.note(champion=self.champion(), days=self.newest_days())
        if "night_labels" not in self.state:
            self.note(night_labels=len(self.night_labels()))
        for name, step in zip(STEPS, (self.teacher, self.challenger, self.out_of_fold, self.decide), strict=True):
            if name not in self.state:
                self.note(**timed(name, step, self.state.get("seconds", {})))
        decision: dict[str, Any] = self.state["decision"] | {"seconds": self.state.get("seconds", {})}
        if decision["promoted"]:
            self.promote(decision)
        decisions.write(self.folder / f"{decision['challenger']}.json", decision)
        self.progress.unlink()
        return decision

    def champion(self) -> str | None:
        """The version in use now."""
        switch = self.registry.champion()
        return switch.version if switch else None

    def newest_days(self) -> list[str]:
        """The newest loaded days, oldest first."""
        days = self.warehouse.days(RAW_OPINION)
        return days[-self.options.transfer_days :] if self.options.transfer_days else []

    def teacher(self) -> str:
        """The reused teacher, or a new one, begun here or by the previous run."""
        begun = "teacher" in self.state.get("reserved", {})
        version = reused_teacher(self.registry, self.options)
        warm = version and self.options.warm_start and self.state["night_labels"] >= LEAST_NIGHT_LABELS
        if version and not begun and not warm:
            print(f"teacher: {version}", flush=True)
            return version
        training = self.options.warm_start_training(version) if version and warm else self.options.teacher_training()
        training.check()
        version = self.reserved("teacher", BERT)
        if not self.is_saved(version):
            train(self.warehouse, training, version)
        return version

    def teachers(self) -> tuple[str, ...]:
        """Whose logits teach the challenger: BERT's, and those of the linear model once nights are labelled.

        Before that the champion's, which the challenger is to cover; it has the stream's mistakes that labels correct.
        """
        if self.state["night_labels"] >= LEAST_NIGHT_LABELS:
            return self.state["teacher"], LINEAR
        return self.state["teacher"], *([self.state["champion"]] if self.state["champion"] else [])

    def store_logits(self, teachers: list[str]) -> None:
        """Store the teachers' missing logits of the labels and the days."""
        for version in teachers:
            writer = LogitWriter(self.warehouse, self.registry, LogitJob(version, self.options.precision))
            for dt in [LABELLED, *self.state["days"]]:
                print(writer.write(dt), flush=True)

    def challenger(self) -> str:
        """The challenger's version, after the logits that it learns from are stored."""
        self.store_logits([name for name in self.teachers() if name != LINEAR])
        return self.distil()

    def distil(self) -> str:
        """The challenger's version, trained here or by the previous run."""
        training = self.options.student_training(self.teachers(), tuple(self.state["days"]))
        training.check()
        version = self.reserved("challenger", training.scheme)
        if not self.is_saved(version):
            distil(lambda: self.warehouse, training, version)
        return version

    def night_labels(self) -> pd.DataFrame:
        """The labels of nights that a training may learn, as they are now."""
        return night_labels(self.warehouse)

    def out_of_fold(self) -> dict[str, float]:
        """The score of each night's label, by text hash, from a student like the challenger that has not learned it.

        Empty where there are too few labels to say anything.
        """
        rows = self.night_labels()
        scores: dict[str, float] = self.state.get("folds", {})
        training = self.options.student_training(self.teachers(), tuple(self.state["days"]))
        for fold in sorted(set(rows["fold"])) if len(rows) >= LEAST_LABELS else []:
            held_out = rows[rows["fold"] == fold]
            if not set(held_out["text_hash"]) <= scores.keys():
                print(f"a student without fold {fold} of the nights' labels, to judge by them", flush=True)
                bundle = fit_without(self.warehouse, training, self.state["challenger"], fold)
                scores |= scores_of(Scorer(bundle), held_out)
                self.note(folds=scores)
        return scores

    def night_comparison(self, champion: str | None, challenger: SavedModel) -> NightComparison:
        """The comparison on the labels of nights that have out-of-fold scores; labels loaded meanwhile have none.

        Beside the second reader of the champion's nights, unless that cannot be compared.
        """
        rows, out_of_fold = self.night_labels(), self.state["out_of_fold"]
        rows = rows[rows["text_hash"].isin(out_of_fold)]
        in_use = self.pair_in_use(champion) if champion and len(rows) else None
        pairs, note = None, ""
        try:
            pairs = read_pairs(self.warehouse, self.registry, in_use, challenger, rows) if in_use else None
            note = str(pairs) if pairs else ""
        except OpinionError as e:
            note = f"the students alone: {e}"
        return NightComparison(rows, out_of_fold, challenger, self.options.target_precision, pairs, note)

    def pair_in_use(self, champion: str) -> PairInUse | None:
        """The second reader of the champion's nights."""
        return pair_in_use(self.warehouse, champion)

    def reserved(self, role: str, scheme: str) -> str:
        """The version of this retraining's teacher or challenger, stored before its training begins.

        It can therefore not be confused with another training of the same scheme and minute.
        """
        versions = self.state.get("reserved", {})
        if role not in versions:
            versions = {**versions, role: new_version(scheme, datetime.now(UTC))}
            self.note(reserved=versions)
        return str(versions[role])

    def is_saved(self, version: str) -> bool:
        """Whether the previous, stopped run saved the version without storing that."""
        if version not in self.registry.versions():
            return False
        discard(version)
        return True

    def decide(self) -> dict[str, Any]:
        """Compare with the current champion, which may have changed since the training."""
        champion, challenger = self.champion(), self.state["challenger"]
        rows, labels_hash = self.held_out()
        new = self.registry.load(challenger)
        checks = [threshold_check(new.bundle)]
        nights = self.night_comparison(champion, new)
        if champion:
            old = self.registry.load(champion)
            by_nights = nights.check(old)
            bounds = replace(Bounds(), coverage=self.options.min_coverage)
            if by_nights.value is not None:
                bounds = replace(bounds, recall_loss=bounds.recall_loss_with_nights)
            checks += [*compare(old.bundle, new.bundle, rows, self.options.target_precision, bounds), by_nights]
        start = nights.start()
        reader = nights.pairs.of_challenger.version if nights.pairs else None
        target, database = self.options.target_precision, self.state["flags"]["database"]
        return {
            "challenger": challenger,
            "champion": champion,
            "teacher": self.state["teacher"],
            "promoted": all(one.passed for one in checks) and not self.options.dry_run,
            "dry_run": self.options.dry_run,
            "checks": [asdict(one) for one in checks],
            "operating": operating_threshold(start, target, reader, database) if start else None,
            "trained_on": {"labels_hash": new.bundle.manifest.get("lineage", {}).get("data_hash")},
            "held_out": {"rows": len(rows.labels), "labels_hash": labels_hash},
            "decided": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def promote(self, decision: dict[str, Any]) -> None:
        """Carry out the decision, once: a challenger that was promoted and rolled back since is not promoted again.

        Raises Busy when the champion has changed since the comparison; the next run compares with the new one.
        """
        challenger, now = decision["challenger"], self.champion()
        if any(switch.version == challenger for switch in self.registry.history()):
            return
        if now not in (decision["champion"], challenger):
            del self.state["decision"]
            self.note()
            raise Busy(
                f"{now} became the champion while {challenger} was compared with {decision['champion'] or 'none'}; "
                "run retrain again with the same flags to compare with that"
            )
        why = "; ".join(check["reason"] for check in decision["checks"])
        reason = f"retrain: {why}" if now else f"retrain: there was no champion; {why}"
        self.registry.promote(challenger, reason, decision["operating"])

    def held_out(self) -> tuple[TextRows, str]:
        """The held-out rows of the comparison, and their hash."""
        return held_out(self.warehouse, f"retrain-{self.state['challenger']}")
