"""Two jobs that meet an empty database at once, on hosts that share the metastore and no lock: both end well."""

import subprocess

import pytest

from jobs.warehouse.tables import TABLES, VIEWS
from tests.cluster.cluster import ROOT, Cluster
from tests.cluster.day import ROWS, write_day

pytestmark = pytest.mark.cluster

DAYS = ("2026-11-10", "2026-11-11")


def test_two_jobs_migrate_at_once(cluster: Cluster) -> None:
    day = cluster.home / "two.jsonl"
    write_day(day, ROWS)
    started = []
    for dt in DAYS:
        flags = ["--database", "two", "--dt", dt, "--input", str(day)]
        command = cluster.command("jobs/load_opinions.py", *flags, spark_cores_max="1")
        env = cluster.job_env | {"OPINION_HOME": str(cluster.home / dt)}
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    for process in started:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0 and f"stored {ROWS}" in output, errors
    there = cluster.postgres.query(
        'select "TBL_NAME" from "TBLS" join "DBS" using ("DB_ID") where "NAME" = \'two\' order by 1'
    )
    assert there.split() == sorted(thing.name for thing in (*TABLES, *VIEWS))
    days = cluster.postgres.query(
        'select "PART_NAME" from "PARTITIONS" join "TBLS" using ("TBL_ID") join "DBS" using ("DB_ID") '
        "where \"NAME\" = 'two' and \"TBL_NAME\" = 'raw_opinion' order by 1"
    )
    assert days.split() == [f"dt={dt}" for dt in DAYS]
