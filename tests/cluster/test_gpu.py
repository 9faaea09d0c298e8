"""GPU scheduling of spark_conf/standalone on workers that say they have GPUs: each rank is given one of its own."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import ROOT, Cluster

pytestmark = pytest.mark.cluster

RANKS = """
import json, os
from jobs.training.launch import launch
from jobs.warehouse.session import spark_session

def work(ranks):
    gpus = ranks.gather(__import__("torch").tensor([int(os.environ["CUDA_VISIBLE_DEVICES"])]), "gpus")
    return gpus.tolist()

spark = spark_session("ranks")
tasks = spark.sparkContext.parallelize(range(2), 2)
of_tasks = tasks.map(lambda _: __import__("pyspark").TaskContext.get().resources()["gpu"].addresses).collect()
print(json.dumps([of_tasks, launch(spark, 2, work)]))
"""


@pytest.fixture(scope="module")
def gpus() -> Iterator[Cluster]:
    """A master and two workers; on each, spark_conf's script finds two GPUs that a fake nvidia-smi lists."""
    folder = Path(tempfile.mkdtemp(prefix="opinion-gpus-"))
    (folder / "bin").mkdir()
    for name, text in {
        "nvidia-smi": "printf '0\\n1\\n'",
        "discover": f'PATH={folder}/bin:"$PATH" exec {ROOT}/spark_conf/discover-gpus.sh',
    }.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    resource = "-Dspark.worker.resource.gpu"
    cluster = Cluster(
        folder, cores=2, worker_options=f"{resource}.amount=2 {resource}.discoveryScript={folder}/bin/discover"
    )
    cluster.start("master", "worker1", "worker2")
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


def test_one_rank_a_gpu(gpus: Cluster, tmp_path: Path) -> None:
    """One executor with two GPUs: each of the two tasks, then each of the two ranks, has another one."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    gpu = {f"spark_{part}_resource_gpu_amount": amount for part, amount in (("executor", "2"), ("task", "1"))}
    command = gpus.command(str(script), spark_executor_cores="2", spark_sql_catalogImplementation="in-memory", **gpu)
    done = subprocess.run(command, cwd=ROOT, env=gpus.job_env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    of_tasks, of_ranks = json.loads(done.stdout.strip().splitlines()[-1])
    assert sorted(of_tasks) == [["0"], ["1"]] and sorted(of_ranks) == [0, 1]


def test_more_gpus_a_task_than_an_executor_has_are_refused(gpus: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "refused.py"
    script.write_text("from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate()\n")
    amounts = {"spark_executor_resource_gpu_amount": "1", "spark_task_resource_gpu_amount": "2"}
    command = gpus.command(str(script), **amounts)
    done = subprocess.run(command, cwd=ROOT, env=gpus.job_env, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and re.search("gpu.*needs to be >= the task", done.stdout), done.stdout
