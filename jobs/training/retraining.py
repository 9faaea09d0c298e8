"""One retraining, step by step; each step's result is kept in a file, so that a run that was stopped goes on."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from distill.data.labelled import TextRows
from distill.errors import Busy
from distill.evaluation.comparison import compare, threshold_check
from distill.evaluation.out_of_fold import LEAST_LABELS, NightLabels, nights_check, start_threshold
from distill.models.fitness import Bounds
from distill.models.versions import new_version
from distill.scoring.scorer import Scorer
from distill.training.cross_fitting import LEAST_NIGHT_LABELS
from distill.training.scheme_table import BERT, LINEAR
from jobs.common.home import home, home_registry
from jobs.scoring.sample_nights import CANDIDATES
from jobs.training import decisions
from jobs.training.logit_flags import LogitJob
from jobs.training.logit_store import LogitWriter
from jobs.training.logits import LABELLED
from jobs.training.night_labels import judged_by, night_labels, operating_threshold, scores_of, unlearned_by
from jobs.training.retrain_flags import RetrainOptions, reused_teacher
from jobs.training.snapshot import held_out
from jobs.training.student_training import distil, fit_without
from jobs.training.teacher_training import train
from jobs.training.training_run import discard
from jobs.warehouse.tables import RAW_OPINION
from jobs.warehouse.warehouse import Warehouse


class Retraining:
    """One retraining, which may go on where an earlier one with the same options was stopped."""

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
        """Write what is known so far."""
        self.state |= facts
        decisions.write(self.progress, self.state)

    def run(self) -> dict[str, Any]:
        """All steps; returns the decision, which is also kept in a file.

        Each step's result is noted before the next begins, the decision before it is carried out: a run that goes on
        does not decide again, with another outcome, what was half done.
        """
        if "champion" not in self.state:
            self.note(champion=self.champion(), days=self.newest_days())
        if "teacher" not in self.state:
            self.note(teacher=self.teacher())
        if "night_labels" not in self.state:
            self.note(night_labels=len(self.night_labels()))
        if "challenger" not in self.state:
            self.store_logits([name for name in self.teachers() if name != LINEAR])
            self.note(challenger=self.distil())
        if "out_of_fold" not in self.state:
            self.note(out_of_fold=self.out_of_fold())
        if "decision" not in self.state:
            self.note(decision=self.decide())
        decision: dict[str, Any] = self.state["decision"]
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
        """The newest days that are loaded, oldest first."""
        days = self.warehouse.days(RAW_OPINION)
        return days[-self.options.transfer_days :] if self.options.transfer_days else []

    def teacher(self) -> str:
        """The teacher that is reused, or a new one, begun here or by the run before."""
        begun = "teacher" in self.state.get("reserved", {})
        if not begun and (version := reused_teacher(self.registry, self.options)):
            print(f"teacher: {version}", flush=True)
            return version
        training = self.options.teacher_training()
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
        """Store what is missing of the teachers' logits, for the labels and the days."""
        for version in teachers:
            writer = LogitWriter(self.warehouse, self.registry, LogitJob(version, self.options.precision))
            for dt in [LABELLED, *self.state["days"]]:
                print(writer.write(dt), flush=True)

    def distil(self) -> str:
        """The challenger's version, trained here or by the run before."""
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

    def judged(self, rows: pd.DataFrame) -> NightLabels:
        """The challenger's out-of-fold scores of rows that have them; labels loaded meanwhile have none."""
        return judged_by(rows, self.state["out_of_fold"])

    def reserved(self, role: str, scheme: str) -> str:
        """The version of this retraining's teacher or challenger, noted before its training begins.

        A training of the same scheme and minute that somebody else has begun or saved is thus never taken for it.
        """
        versions = self.state.get("reserved", {})
        if role not in versions:
            versions = {**versions, role: new_version(scheme, datetime.now(UTC))}
            self.note(reserved=versions)
        return str(versions[role])

    def is_saved(self, version: str) -> bool:
        """Whether the stopped run before this one has saved the version, but not noted it."""
        if version not in self.registry.versions():
            return False
        discard(version)
        return True

    def decide(self) -> dict[str, Any]:
        """Compare with the champion of now, which a person may have changed since the training; with the reasons."""
        champion, challenger = self.champion(), self.state["challenger"]
        rows, labels_hash = self.held_out()
        new = self.registry.load(challenger).bundle
        checks = [threshold_check(new)]
        nights = self.night_labels()
        nights = nights[nights["text_hash"].isin(self.state["out_of_fold"])]
        if champion:
            bounds = replace(Bounds(), coverage=self.options.min_coverage)
            old = self.registry.load(champion)
            checks += compare(old.bundle, new, rows, self.options.target_precision, bounds)
            fresh = unlearned_by(nights, old)
            checks.append(nights_check(judged_by(fresh, scores_of(Scorer(old.bundle), fresh)), self.judged(fresh)))
        start = start_threshold(self.judged(nights), [one for one, _ in CANDIDATES], self.options.target_precision)
        target, database = self.options.target_precision, self.state["flags"]["database"]
        return {
            "challenger": challenger,
            "champion": champion,
            "teacher": self.state["teacher"],
            "promoted": all(one.passed for one in checks) and not self.options.dry_run,
            "dry_run": self.options.dry_run,
            "checks": [asdict(one) for one in checks],
            "operating": operating_threshold(start, target, database) if start else None,
            "trained_on": {"labels_hash": new.manifest.get("lineage", {}).get("data_hash")},
            "held_out": {"rows": len(rows.labels), "labels_hash": labels_hash},
            "decided": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def promote(self, decision: dict[str, Any]) -> None:
        """Carry the decision out, once: a challenger that was promoted and rolled back since stays out.

        Raises Busy when the champion is not the one that was compared; the next run compares with the new one.
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
        """The held-out rows on which both are compared."""
        return held_out(self.warehouse, f"retrain-{self.state['challenger']}")
