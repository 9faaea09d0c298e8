"""Code and bundles reach executors whole, and an executor that differs from the driver is refused by name."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from distill.errors import Infrastructure, OpinionError
from distill.models.packages import TRAINING
from distill.models.registry import Registry
from jobs.common.failures import error_of
from jobs.warehouse.shipping import check_versions, pack_code, received, ship, versions
from tests.jobs.tiny_model import add_model

CHECK = "import json, sys; sys.path.insert(0, sys.argv.pop(1)); from jobs.warehouse.shipping import *; {}"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip that executors import from."""
    target = tmp_path_factory.mktemp("dist") / "code.zip"
    pack_code(target)
    return target


def in_a_worker(code: Path, statement: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a statement where the project comes from the zip, as in an executor."""
    return subprocess.run(
        [sys.executable, "-c", CHECK.format(statement), str(code), *args],
        cwd=code.parent,
        capture_output=True,
        text=True,
    )


def test_the_same_code_and_packages_pass(code: Path) -> None:
    statement = "import distill; check_versions(json.loads(sys.argv[1])); print(distill.__file__)"
    done = in_a_worker(code, statement, json.dumps(versions()))
    assert (done.returncode, done.stdout) == (0, f"{code}/distill/__init__.py\n"), done.stderr


def test_a_night_needs_no_more_than_is_shipped_for_it(code: Path) -> None:
    absent = "torch", "transformers", "pandas", "sklearn", "scipy", "psutil", "tqdm"
    done = in_a_worker(code, f"sys.modules |= dict.fromkeys({absent}); import jobs.scoring.worker, jobs.load_opinions")
    assert done.returncode == 0, done.stderr


def test_equal_code_gives_equal_bytes(code: Path, tmp_path: Path) -> None:
    pack_code(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == code.read_bytes()


def test_other_code_is_refused(code: Path, tmp_path: Path) -> None:
    shutil.copy(code, tmp_path)
    with zipfile.ZipFile(tmp_path / "code.zip", "a") as zipped:
        zipped.writestr("jobs/newer.py", "")
    done = in_a_worker(tmp_path / "code.zip", "check_versions(json.loads(sys.argv[1]))", json.dumps(versions()))
    message = str(error_of(RuntimeError(done.stderr)))
    assert "code of distill and jobs is " in message and "ship the environment again: make ship" in message


@pytest.mark.parametrize("name", ["python", "pyspark", "numpy", "numba", "pyarrow", "torch"])
def test_another_version_is_refused_by_name(name: str) -> None:
    here = versions(TRAINING)
    check_versions(here)
    with pytest.raises(
        Infrastructure, match=rf"{name} is {re.escape(here[name])}, the driver's 0\.1; ship .* make ship"
    ):
        check_versions(here | {name: "0.1"})


@pytest.mark.spark
def test_a_bundle_arrives_once_and_whole(spark, home) -> None:  # type: ignore[no-untyped-def]
    version = add_model("shipped", 7)
    registry = Registry(str(home / "registry"))
    path, digest = registry.path(version), registry.load(version).bundle.digest
    for _ in range(2):
        ship(spark, path)
    assert sum(uri.endswith(f"#{version}") for uri in spark.sparkContext.listArchives) == 1
    [received_digest] = spark.sparkContext.parallelize([0], 1).map(lambda _: received(version, digest).digest).collect()
    assert received_digest == digest
    with pytest.raises(OpinionError, match=f"the bundle {version} on this executor is not the driver's"):
        received(version, "another")
