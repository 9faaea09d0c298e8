"""Several jobs at once, as their users run them: one has the day, the others wait or do theirs, nobody mixes."""

import csv
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distill.models.registry import Registry
from jobs import score_opinions
from jobs.scoring import worker
from jobs.training import decisions
from tests.cluster.cluster import CORE, ROOT, Cluster
from tests.cluster.night import DATABASE, DAY, OPTIONS, OTHER, Night, attempt, record, whole_partitions
from tests.cluster.test_faults_scoring import at_the_marked_row
from tests.distill.tiny_encoder import tiny_encoder
from tests.jobs.test_chain import LABELS

pytestmark = [pytest.mark.cluster, pytest.mark.faults]

ONE_CORE = {"spark_cores_max": "1"}
RETRAINED = "retrained"


def test_while_a_day_is_scored(night: Night, tmp_path: Path, monkeypatch) -> None:
    """The same day by another, another day, another champion: the run ends with the version it began with."""
    registry = Registry(str(night.cluster.home / "registry"))
    mine, next_one = (next(v for v in registry.versions() if v.startswith(f"{m}-")) for m in ("a", "b"))
    registry.promote(mine, "first")
    reached, go = tmp_path / "reached", tmp_path / "go"
    names = str(reached), str(go)

    def wait() -> None:
        import os
        import time

        open(names[0], "w").close()
        until = time.monotonic() + 240
        while not os.path.exists(names[1]) and time.monotonic() < until:
            time.sleep(0.05)

    monkeypatch.setattr(worker, "score_batch", at_the_marked_row(wait))
    monkeypatch.setattr(sys, "argv", ["score_opinions.py", "--dt", DAY, *OPTIONS])
    with night.fault("a bundle promoted while the scorer runs") as fault:
        run = threading.Thread(target=attempt, args=(fault, score_opinions.main))
        run.start()
        try:
            until = time.monotonic() + 120
            while not reached.exists() and time.monotonic() < until:
                time.sleep(0.05)
            assert reached.exists(), fault.message
            promote = [sys.executable, "jobs/registry.py", "promote", next_one, "--reason", "while it runs"]
            subprocess.run(promote, cwd=ROOT, env=night.cluster.job_env, check=True, timeout=60)
            with ThreadPoolExecutor(2) as pool:
                same, other = pool.map(lambda day: submit_scorer(night.cluster, day), (DAY, OTHER))
        finally:
            go.touch()
            run.join(timeout=240)
        assert fault.code == 0, fault.message
        night.current = "A"
        assert night.audit().model_version == mine
        assert (same[0].returncode, other[0].returncode) == (5, 0), other[0].stderr
        assert f"dt={DAY} of {DATABASE} (score_opinions) is being written by another run (pid" in same[0].stderr
        of_other = night.look()[f"{OTHER} opinion_score"]
        assert of_other["digest"] != night.clean["A"][f"{OTHER} opinion_score"]["digest"], "the new champion's"
        back = submit_scorer(night.cluster, OTHER, "--model", mine)[0]
        assert back.returncode == 0, back.stderr
        for clean in night.clean.values():  # its run is another, its rows are what they were
            for name in [name for name in clean if name.startswith(OTHER)]:
                seen = night.look()[name]
                assert isinstance(seen, list) or seen["digest"] == clean[name]["digest"]
                clean[name] = seen
    whole = {
        "rows_before": night.rows,
        "rows_after": night.rows,
        "partitions_whole": whole_partitions(night.is_whole("A")),
    }
    record("two scorers of one day", exit_code=same[0].returncode, seconds=round(same[1], 1), **whole)
    record("two scorers of different days", exit_code=0, seconds=round(other[1], 1), **whole)


def submit_scorer(cluster: Cluster, day: str, *flags: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The scorer of a day as its user runs it, on one core, and the seconds it took."""
    started = time.monotonic()
    done = cluster.submit("score_opinions", "--dt", day, *OPTIONS, *flags, timeout=240, **ONE_CORE)
    return done, time.monotonic() - started


def test_two_retrainings_at_once_one_trains_and_one_is_refused(stack: Cluster) -> None:
    """On the labels that both would train from; the registry gets one teacher and one challenger, and one decision."""
    stack.start(*CORE)
    registry = Registry(str(stack.home / "registry"))
    with open(stack.home / "labels.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["opinion_id", "text", "label", "source"])
        writer.writerows((f"l{i}", text, label, "review") for i, (text, label) in enumerate(LABELS))
    loaded = stack.submit("load_labels", "--input", str(stack.home / "labels.csv"), "--database", RETRAINED, **ONE_CORE)
    assert loaded.returncode == 0, loaded.stderr
    before = set(registry.versions())
    flags = ["--init", tiny_encoder(stack.home / "encoder"), "--database", RETRAINED, "--transfer-days", "0"]
    flags += ["--epochs", "1", "--max-length", "32", "--target-precision", "0.3"]
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: stack.submit("retrain", *flags, timeout=240, **ONE_CORE), range(2)))
    seconds = time.monotonic() - started
    first, second = sorted(done, key=lambda d: d.returncode)
    assert (first.returncode, second.returncode) == (0, 5), [d.stderr[-500:] for d in done]
    assert "the next champion is being written by another run (pid" in second.stderr
    made = {version: registry.load(version).bundle for version in set(registry.versions()) - before}
    [decision] = decisions.read_all(stack.home)
    challenger = decision["challenger"]
    [teacher] = {version.partition("-step-")[0] for version in made.keys() - {challenger}}  # and its anchor points
    assert teacher.startswith("bert-") and teacher in made and challenger in made, "one of each, by one of the two"
    champion = registry.champion()
    assert champion and (champion.version == challenger) == decision["promoted"]
    rows = sum(made[challenger].manifest["lineage"]["rows"].values())
    assert rows == len(LABELS)
    record("two retrainings at once", exit_code=5, rows_before=len(LABELS), rows_after=rows, seconds=round(seconds, 1))
