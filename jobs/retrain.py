"""Retrain: train a challenger, compare it with the champion on held-out labels, promote it only if it is better.

The teacher is trained where there is none yet; of the labels and of the newest days the logits that are missing are
stored; the challenger is distilled by the recommended recipe. A run that was stopped goes on where it was when it is
started again with the same flags. Whatever fails, the champion stays.
"""

import argparse
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession

from distill.comparison import Bounds, compare, threshold_check
from distill.dataset import Labelled
from distill.errors import BadInput, BadModel, Busy
from distill.plan import Plan
from distill.registry import Registry
from jobs import decisions, distill_student, locks, student_flags, train_teacher
from jobs.cli import home, job_parser, run_main
from jobs.session import spark_session
from jobs.snapshot import held_out
from jobs.store_teacher_logits import Store
from jobs.tables import RAW_OPINION
from jobs.trainings import check
from jobs.warehouse import Warehouse

# What closed most of the gap between textCNN and teacher (docs/distillation.md): soft labels of the teacher, and of the
# champion, which the challenger is to cover; texts that nobody labelled; embeddings from inside the teacher.
RECIPE = ["--embeddings", "teacher"]
WITH_CHAMPION = ["--alpha-soft", "0.7", "0.3"]


def main() -> None:
    """Train, compare, decide."""
    args = parser().parse_args()
    check_flags(args)
    with locks.hold(home() / "locks" / "retrain.lock", "the next champion"):
        spark = spark_session("retrain")
        decision = Retraining(spark, args).run()
    print(decisions.in_words(decision), flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = job_parser(__doc__, "jobs/retrain.py --init PATH_OR_HUB_NAME --num-proc 2")
    found.add_argument("--init", help="pretrained encoder of a new teacher: a folder or a hub name")
    found.add_argument("--teacher", default="bert", help="a version of the registry, or the newest one of this name")
    found.add_argument("--new-teacher", action="store_true", help="train a teacher although there is one")
    found.add_argument("--teacher-epochs", type=int, default=1, help="passes of a new teacher over the labels")
    found.add_argument("--transfer-days", type=int, default=14, help="the newest days of raw_opinion that teach too")
    found.add_argument("--epochs", type=int, default=Plan.epochs, help="at most so many passes of the challenger")
    found.add_argument("--seed", type=int, default=0, help="of initial weights, order and dropout")
    found.add_argument("--target-precision", type=float, default=0.95, help="of the rows called valid complaints")
    found.add_argument("--num-proc", type=int, default=1, help="ranks that train together; more than 1 needs Horovod")
    found.add_argument("--max-length", type=int, default=128, help="tokens of a text that a new teacher reads")
    found.add_argument(
        "--precision", choices=["float32", "bfloat16"], default="float32", help="of a teacher's products"
    )
    found.add_argument(
        "--min-coverage", type=float, default=Bounds.coverage, help="share of the champion's catch that must stay"
    )
    found.add_argument("--dry-run", action="store_true", help="train and compare, but promote nothing")
    return found


def check_flags(args: argparse.Namespace) -> None:
    """Refuse what no step could use; raises BadInput."""
    check(argparse.Namespace(**vars(args), train_rows=None))
    if args.transfer_days < 0 or args.teacher_epochs < 1 or not 0 <= args.min_coverage <= 1:
        raise BadInput("--transfer-days must be 0 or more, --teacher-epochs 1 or more, --min-coverage from 0 to 1")
    registry = Registry(str(home() / "registry"))
    if not args.init and (args.new_teacher or not known(registry, args.teacher)):
        raise BadInput(
            f"no teacher {args.teacher} to reuse: name with --init the pretrained encoder from which one is trained"
        )


class Retraining:
    """One retraining, which may go on where an earlier one with the same flags was stopped."""

    def __init__(self, spark: SparkSession, args: argparse.Namespace):
        self.spark, self.args = spark, args
        self.warehouse = Warehouse(spark, args.database)
        self.registry = Registry(str(home() / "registry"))
        self.folder = home() / decisions.FOLDER
        self.progress = self.folder / decisions.PROGRESS
        self.state: dict[str, Any] = {"flags": vars(args), "since": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"}
        if self.progress.exists():
            before = json.loads(self.progress.read_text(encoding="utf-8"))
            if before["flags"] == vars(args):
                self.state = before
                print(f"going on with the retraining begun {before['since']}", flush=True)
        self.keep()

    def keep(self, **found: Any) -> None:
        """Write what is known so far."""
        self.state |= found
        decisions.write(self.progress, self.state)

    def run(self) -> dict[str, Any]:
        """All steps; returns the decision, which is also kept in a file.

        Each step's result is noted before the next begins, the decision before it is carried out: a run that goes on
        does not decide again, with another outcome, what was half done.
        """
        if "champion" not in self.state:
            self.keep(champion=self.champion(), days=self.newest_days())
        if "teacher" not in self.state:
            self.keep(teacher=self.teacher())
        teachers = [self.state["teacher"], *([self.state["champion"]] if self.state["champion"] else [])]
        if "challenger" not in self.state:
            self.store_logits(teachers)
            self.keep(challenger=self.distil(teachers))
        if "decision" not in self.state:
            self.keep(decision=self.decide())
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
        return days[-self.args.transfer_days :] if self.args.transfer_days else []

    def teacher(self) -> str:
        """The teacher that is reused, or a new one, begun here or by the run before."""
        args = self.args
        if not args.new_teacher and (version := known(self.registry, args.teacher)):
            print(f"teacher: {version}", flush=True)
            return version
        if made := self.made_since(train_teacher.SCHEME):
            return made
        flags = ["--init", args.init, "--epochs", str(args.teacher_epochs), "--max-length", str(args.max_length)]
        flags += ["--precision", args.precision, *self.common(train_teacher.SCHEME)]
        wanted = train_teacher.parser().parse_args(flags)
        train_teacher.check_teacher(wanted)
        return train_teacher.train(self.spark, wanted)

    def store_logits(self, teachers: list[str]) -> None:
        """Store what is missing of the teachers' logits, for the labels and the days."""
        for version in teachers:
            wanted = argparse.Namespace(teacher=version, precision=self.args.precision, train_rows=None)
            store = Store(self.warehouse, self.registry, wanted)
            for unit in ["labelled", *self.state["days"]]:
                print(store.unit(unit), flush=True)

    def distil(self, teachers: list[str]) -> str:
        """The challenger's version."""
        scheme = "multi-teacher" if len(teachers) > 1 else "offline"
        if made := self.made_since(scheme):
            return made
        flags = ["--scheme", scheme, "--teacher", *teachers, *RECIPE, *(WITH_CHAMPION if len(teachers) > 1 else [])]
        flags += ["--epochs", str(self.args.epochs), *self.common(scheme)]
        if self.state["days"]:
            flags += ["--transfer-dt", *self.state["days"]]
        wanted = student_flags.parser().parse_args(flags)
        student_flags.check_scheme(wanted)
        return distill_student.distil(lambda: self.spark, wanted).version

    def common(self, scheme: str) -> list[str]:
        """Flags of both trainings, and what goes on with one of this retraining that was stopped."""
        args = self.args
        flags = ["--seed", str(args.seed), "--num-proc", str(args.num_proc), "--database", args.database]
        flags += ["--target-precision", str(args.target_precision)]
        stopped = [folder.parent.name for folder in (home() / "train").glob(f"{scheme}-2*/lineage.json")]
        begun = sorted(name for name in stopped if name.split("-")[-2] >= self.state["since"])
        return [*flags, "--resume", begun[-1]] if begun else flags

    def made_since(self, scheme: str) -> str | None:
        """A version that the stopped run before this one has saved, but not noted."""
        version = known(self.registry, scheme)
        return version if version and version.split("-")[-2] >= self.state["since"] else None

    def decide(self) -> dict[str, Any]:
        """Compare with the champion of now, which a person may have changed since the training; with the reasons."""
        champion, challenger = self.champion(), self.state["challenger"]
        rows, labels_hash = self.held_out()
        new = self.registry.load(challenger)[1]
        checks = [threshold_check(new)]
        if champion:
            bounds = replace(Bounds(), coverage=self.args.min_coverage)
            checks += compare(self.registry.load(champion)[1], new, rows, self.args.target_precision, bounds)
        return {
            "challenger": challenger,
            "champion": champion,
            "teacher": self.state["teacher"],
            "promoted": all(one.passed for one in checks) and not self.args.dry_run,
            "dry_run": self.args.dry_run,
            "checks": [asdict(one) for one in checks],
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
            self.keep()
            raise Busy(
                f"{now} became the champion while {challenger} was compared with {decision['champion'] or 'none'}; "
                "run retrain again with the same flags to compare with that"
            )
        why = "; ".join(check["says"] for check in decision["checks"])
        self.registry.promote(challenger, f"retrain: {why}" if now else f"retrain: there was no champion; {why}")

    def held_out(self) -> tuple[Labelled, str]:
        """What both are compared on."""
        return held_out(self.warehouse, f"retrain-{self.state['challenger']}")


def known(registry: Registry, name: str) -> str | None:
    """The version that a name means, None where there is none."""
    try:
        return registry.resolve(name)
    except BadModel:
        return None


if __name__ == "__main__":
    run_main(main)
