"""Kill -9 at every stage of a publication: the day stays whole, the next run mends it, other days never change.

Two homes are worked through side by side, each a chain of processes: one dies at a point, the next looks at what it
left, mends it, runs the day again and dies at the next point (see kill_at.py). Here it dies before, between and after
the switches; tests/cluster/test_faults_driver.py has every point.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DAY, OTHER = "2026-11-09", "2026-11-10"
# In the order of their switches.
TABLES = ("opinion_score", "rejected_opinion", "valid_complaint", "scoring_run", "audit_sample")
# Point -> how many tables are switched when the run dies there. switch3 is just before the third switch.
PENDING = {"switch1": 0, "switch2": 1, "switch3": 2, "switch4": 3, "switch5": 4, "switched": 5}
SWITCHED = {"task": 0, "write": 0, "moved": 0, "staged": 0, "sampled": 0, "audited": 0, **PENDING, "sweep": 5}
CHAINS = [["task", "switch3", "switched"], ["write", "switch4", "sweep"]]
POINTS = [point for chain in CHAINS for point in chain]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """Point -> what the process after the death saw: `found`, `finished`, `again`; and the clean runs `A` and `B`."""
    with ThreadPoolExecutor(len(CHAINS)) as pool:
        homes = [tmp_path_factory.mktemp("kills") for _ in CHAINS]
        yield {point: looks for chain in pool.map(work_through, homes, CHAINS) for point, looks in chain.items()}


def work_through(home: Path, points: list[str]) -> dict[str, dict[str, Any]]:
    report = home / "report.jsonl"
    for point in [*points, "nowhere"]:
        run_until(point, home, report)
    clean, *after = [json.loads(line) for line in report.read_text().splitlines()]
    return {point: clean | looks for point, looks in zip(points, after, strict=True)}


def run_until(point: str, home: Path, report: Path) -> None:
    """Run kill_at.py through spark-submit as the leader of a group of its own, and see it die."""
    command = [".venv/bin/spark-submit", "--properties-file", "spark_conf/local/spark-defaults.conf"]
    # Small batches, so that the task dies in the middle of its rows; the rest makes short jobs start sooner.
    for conf in ("spark.sql.execution.arrow.maxRecordsPerBatch=50", "spark.sql.shuffle.partitions=2"):
        command += ["--conf", conf]
    command += ["--driver-java-options", "-XX:TieredStopAtLevel=1", "tests/jobs/kill_at.py", str(report), point]
    with open(home / f"{point}.log", "wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"OPINION_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code = process.wait(timeout=300)
    expected = 0 if point == "nowhere" else -signal.SIGKILL
    assert code == expected, f"{point} ended with {code}: {(home / f'{point}.log').read_text()[-2000:]}"


def runs_and_content(look: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The run of each table's rows and the hash of the rows without it; each table must be of one run."""
    tables = [look[f"{DAY} {table}"] for table in TABLES]
    assert all(len(table["runs"]) == 1 for table in tables), tables
    return [table["runs"][0] for table in tables], [table["digest"] for table in tables]


@pytest.mark.parametrize("point", POINTS)
def test_each_table_is_of_one_whole_run_after_the_death(seen, point: str) -> None:
    looks, switched = seen[point], SWITCHED[point]
    runs, content = runs_and_content(looks["found"])
    old, new = runs_and_content(looks["A"])[1], runs_and_content(looks["B"])[1]
    assert content == new[:switched] + old[switched:]
    assert len(set(runs[:switched])) <= 1
    assert len(set(runs[switched:])) <= 1
    pending = [name for name in looks["found"]["pending"] if name.endswith(".json")]
    assert len(pending) == (point in PENDING)


@pytest.mark.parametrize("point", POINTS)
def test_the_analysts_view_is_of_one_run_with_its_own_audit_or_none(seen, point: str) -> None:
    for state in ("found", "finished", "again"):
        look = seen[point][state]
        [[run, rows, audited]] = look[f"{DAY} complaint"]
        assert [run] == look[f"{DAY} valid_complaint"]["runs"]
        assert rows == look[f"{DAY} valid_complaint"]["rows"] > 0
        # Only between the switches of valid_complaint and scoring_run is the audit not there yet.
        assert audited == (0 if (point, state) == ("switch4", "found") else rows)


@pytest.mark.parametrize("point", POINTS)
def test_the_next_run_finishes_or_forgets_the_dead_one(seen, point: str) -> None:
    runs, content = runs_and_content(seen[point]["finished"])
    assert len(set(runs)) == 1
    assert content == runs_and_content(seen[point]["B" if point in PENDING or point == "sweep" else "A"])[1]
    assert not [name for name in seen[point]["finished"]["pending"] if name.endswith(".json")]


@pytest.mark.parametrize("point", POINTS)
def test_the_day_runs_again_with_equal_content_and_no_litter(seen, point: str) -> None:
    looks = seen[point]
    runs, content = runs_and_content(looks["again"])
    assert content == runs_and_content(looks["A"])[1]
    assert len(set(runs)) == 1
    assert runs[0] not in runs_and_content(looks["finished"])[0]
    assert looks["again"]["pending"] == []
    assert looks["again"]["folders"] == looks["A"]["folders"]


@pytest.mark.parametrize("point", POINTS)
def test_a_sample_in_force_has_its_csv(seen, point: str) -> None:
    for state in ("found", "finished", "again"):
        assert seen[point][state]["samples"] == {DAY: [True], OTHER: [True]}


@pytest.mark.parametrize("point", POINTS)
def test_the_other_day_is_never_touched(seen, point: str) -> None:
    other = [name for name in seen[point]["A"] if name.startswith(OTHER)]
    assert len(other) == len(TABLES) + 1
    for state in ("found", "finished", "again"):
        assert [seen[point][state][name] for name in other] == [seen[point]["A"][name] for name in other]
