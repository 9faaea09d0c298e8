"""The driver killed at each stage of publish, on the cluster: tests/jobs/kill_at.py is what dies and what looks."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import CORE, ROOT, Cluster
from tests.cluster.night import ALL_WHOLE, record, whole_partitions
from tests.jobs.test_kills import DAY, OTHER, PENDING, SWITCHED, TABLES, runs_and_content

pytestmark = [pytest.mark.cluster, pytest.mark.faults]

CHAINS = [
    ["task", "switch1", "staged", "switch3", "switch5", "switched"],
    ["write", "switch2", "sampled", "audited", "switch4", "sweep", "moved"],
]  # fmt: skip
Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seen(stack: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Point -> what the process after the death saw, and `seconds` from its start until the day was whole again.

    Two homes, each with its database, are worked through side by side, as in tests/jobs/test_kills.py.
    """
    stack.start(*CORE)

    def work_through(chain: int) -> Seen:
        home = tmp_path_factory.mktemp("kills")
        report, points = home / "report.jsonl", CHAINS[chain]
        took = [run_until(point, stack, home, report, f"kills{chain}") for point in [*points, "nowhere"]]
        clean, *after = [json.loads(line) for line in report.read_text().splitlines()]
        return {
            point: clean | looks | {"seconds": seconds}
            for point, looks, seconds in zip(points, after, took[1:], strict=True)
        }

    with ThreadPoolExecutor(len(CHAINS)) as pool:
        yield {point: looks for chain in pool.map(work_through, range(len(CHAINS))) for point, looks in chain.items()}


def run_until(point: str, stack: Cluster, home: Path, report: Path, database: str) -> float:
    """Run kill_at.py on the cluster until it dies at the point; returns the seconds it took to mend and look."""
    conf = {
        "spark_sql_execution_arrow_maxRecordsPerBatch": "50",
        "spark_sql_shuffle_partitions": "2",
        "spark_opinion_data": f"file://{home}/data",
    }
    command = stack.command("tests/jobs/kill_at.py", str(report), point, database, **conf)
    before, mended = report.stat().st_size if report.exists() else 0, 0.0
    with open(home / f"{point}.log", "wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=stack.job_env | {"OPINION_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None and time.monotonic() < started + 240:
                if not mended and report.exists() and report.stat().st_size > before:
                    mended = time.monotonic() - started
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    code, expected = process.wait(), 0 if point == "nowhere" else -signal.SIGKILL
    assert code == expected, f"{point} ended with {code}: {(home / f'{point}.log').read_text()[-2000:]}"
    return mended or time.monotonic() - started


@pytest.mark.parametrize("point", SWITCHED)
def test_the_day_is_whole_after_the_death_and_after_the_next_run(seen: Seen, point: str) -> None:
    looks, switched = seen[point], SWITCHED[point]
    old, new = runs_and_content(looks["A"])[1], runs_and_content(looks["B"])[1]
    assert runs_and_content(looks["found"])[1] == new[:switched] + old[switched:]
    finished = runs_and_content(looks["finished"])
    assert len(set(finished[0])) == 1 and finished[1] == (new if point in PENDING or point == "sweep" else old)
    assert runs_and_content(looks["again"])[1] == old
    assert looks["again"]["pending"] == []
    assert looks["again"]["folders"] == looks["A"]["folders"], "no litter"
    states = ("A", "found", "finished", "again")
    rows = [sum(looks[state][f"{DAY} {table}"]["rows"] for table in TABLES[:2]) for state in states]
    assert len(set(rows)) == 1, "no row is lost or doubled"
    assert all(whole_partitions(looks[state]) == ALL_WHOLE for state in states)
    other = [name for name in looks["A"] if name.startswith(OTHER)]
    assert all([looks[state][name] for name in other] == [looks["A"][name] for name in other] for state in states)
    record(
        f"driver killed at {point}",
        exit_code=-int(signal.SIGKILL),
        rows_before=rows[0],
        rows_after=rows[1],
        partitions_whole=whole_partitions(looks["found"]),
        seconds=round(looks["seconds"], 1),
        switched_before=switched,
    )
