"""A night on the cluster as its people see it: executors without the project, a BI tool, the history server."""

import json
import os
import re
import shlex
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from distill.errors import Infrastructure
from distill.models.registry import Registry
from tests.cluster.cluster import ROOT, SPARK_HOME, Cluster
from tests.cluster.day import DAY, ROWS, write_day
from tests.jobs.tiny_model import add_model

pytestmark = pytest.mark.cluster

PAGE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
QUERY = "SELECT count(*), count(threshold), min(rows_read), max(score) FROM opinion.complaint WHERE dt = '2026-11-09'"
WHERE = """
import json
from jobs.warehouse.session import spark_session

def where(_):
    import sys, distill, jobs.scoring.worker, numpy
    return [distill.__file__, jobs.scoring.worker.__file__, numpy.__file__, *sys.path]

spark = spark_session("where")
print(json.dumps(spark.sparkContext.parallelize(range(2), 2).map(where).collect()))
"""


def documented(cluster: Cluster, command: str) -> str:
    """Run a command of docs/cluster.md with the settings that are this cluster's own; what it printed."""
    flags = shlex.join(cluster.flags())
    done = subprocess.run(
        command.replace("spark-submit", f"spark-submit {flags}").replace("PATH", str(cluster.home / "day.jsonl")),
        shell=True,
        cwd=ROOT,
        env=os.environ | {"OPINION_HOME": str(cluster.home), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def night(stack: Cluster) -> Iterator[str]:
    """A day loaded and scored by the commands of the page, with what make ship packs; the output of the scoring job."""
    stack.shipped = True
    write_day(stack.home / "day.jsonl", ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPINION_HOME", str(stack.home))
        version = add_model("tiny", 1)
    Registry(str(stack.home / "registry")).promote(version, "the only one")
    pack, load, score = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0].strip().splitlines()
    documented(stack, pack)
    assert f"read {ROWS} lines = stored {ROWS} + rejected 0 (none)" in documented(stack, load)
    yield documented(stack, score)
    stack.shipped = False


def test_the_day_is_scored(night: str) -> None:
    assert f"read {ROWS} = scored {ROWS} + rejected 0" in night


def test_an_executor_has_of_the_project_only_what_was_shipped(cluster: Cluster, night: str, tmp_path: Path) -> None:
    script = tmp_path / "where.py"
    script.write_text(WHERE)
    done = subprocess.run(
        cluster.command(str(script)), cwd=ROOT, env=cluster.job_env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for distill_file, jobs_file, numpy_file, *path in json.loads(done.stdout):
        assert distill_file.endswith("/code.zip/distill/__init__.py") and "/code.zip/jobs/" in jobs_file
        assert "/environment/lib/" in numpy_file
        ours = [entry for entry in path if entry.startswith(str(ROOT)) and not entry.startswith(str(SPARK_HOME))]
        assert ours == []


def test_an_executor_with_another_version_is_refused_by_name(cluster: Cluster, night: str, tmp_path: Path) -> None:
    with tarfile.open(ROOT / "dist/environment.tar.gz") as packed:
        packed.extractall(tmp_path, filter="fully_trusted")
    [metadata] = tmp_path.glob("lib/*/site-packages/numba-*.dist-info/METADATA")
    metadata.write_text(re.sub(r"^Version: .*$", "Version: 0.1", metadata.read_text(), flags=re.MULTILINE))
    other = {"spark_archives": "", "spark_pyspark_python": str(tmp_path / "bin/python")}
    done = cluster.submit("score_opinions", "--dt", DAY, **other)
    assert done.returncode == Infrastructure.exit_code
    assert "numba is 0.1, the driver's 0." in done.stderr and "make ship" in done.stderr


def test_beeline_reads_what_the_night_wrote(cluster: Cluster, night: str) -> None:
    url = f"jdbc:hive2://127.0.0.1:{cluster.thrift.port}/opinion"
    flags = ["-n", "analyst", "--silent=true", "--showHeader=false", "--outputformat=csv2", "-e", QUERY]
    done = subprocess.run(
        [".venv/bin/beeline", "-u", url, *flags],
        cwd=ROOT,
        env=cluster.job_env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    row = done.stdout.strip().split("> ")[-1]  # it stands behind beeline's prompt
    check_complaints([float(value) for value in row.split(",")], night)


def test_pyhive_reads_the_same_as_a_bi_tool_does(cluster: Cluster, night: str) -> None:
    from pyhive import hive  # of `make test-cluster` alone

    with (
        hive.connect("127.0.0.1", cluster.thrift.port, username="analyst") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(QUERY)
        check_complaints(cursor.fetchone(), night)
        cursor.execute("SELECT rows_read FROM opinion.scoring_run WHERE dt = %(dt)s", {"dt": DAY})
        assert cursor.fetchall() == [(ROWS,)]


def check_complaints(answers: Any, night: str) -> None:
    complaints, audited, rows_read, highest = answers
    assert f"; valid {complaints:.0f}; " in night
    assert 0 < complaints == audited < ROWS and rows_read == ROWS and 0.5 <= highest <= 1


def test_the_history_server_has_the_jobs(cluster: Cluster, night: str) -> None:
    url = f"http://127.0.0.1:{cluster.history.port}/api/v1/applications"
    until = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(url, timeout=30) as answer:
            applications = {application["name"]: application for application in json.load(answer)}
        if {"load_opinions", "score_opinions"} <= applications.keys() or time.monotonic() > until:
            break
        time.sleep(1)
    assert applications["score_opinions"]["attempts"][0]["completed"]
    with urllib.request.urlopen(f"{url}/{applications['score_opinions']['id']}/jobs", timeout=60) as answer:
        assert {job["status"] for job in json.load(answer)} == {"SUCCEEDED"}


def test_all_listen_on_loopback_alone(cluster: Cluster) -> None:
    for service in cluster.services.values():
        process = service.process()
        assert process is not None
        for one in [process, *process.children(recursive=True)]:
            listening = [c.laddr.ip for c in one.net_connections() if c.status == psutil.CONN_LISTEN]
            assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1"}, service.name


def test_the_page_starts_and_stops_it(cluster: Cluster) -> None:
    """A running service is left alone, and a stopped one comes back on the same port."""
    start, stop, _ = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[1].strip().splitlines()
    before = {name: (service.port, service.process()) for name, service in cluster.services.items()}
    output = documented(cluster, f"{stop} history".replace("FOLDER", str(cluster.folder)))
    assert re.search(r"^history +stopped$", output, re.MULTILINE) and output.count("127.0.0.1") == len(before) - 1
    output = documented(cluster, start.replace("FOLDER", str(cluster.folder)))
    assert all(re.search(rf"^{name} +127\.0\.0\.1:{port}$", output, re.MULTILINE) for name, (port, _) in before.items())
    after = {name: (service.port, service.process()) for name, service in cluster.services.items()}
    assert [name for name in before if before[name] != after[name]] == ["history"]
