"""One Spark session with a real Hive metastore for all tests, in a home of its own; jobs as their user runs them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

# Before torch is imported: idle threads that spin stall the other processes of a test.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Each test has a home of its own; what numba compiles for one serves all.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).resolve().parent.parent / ".pytest_cache" / "numba"))
# A job of a test lives for seconds: the compiler of Java that pays off after minutes takes half of its processor time.
os.environ["SPARK_SUBMIT_OPTS"] = "-XX:TieredStopAtLevel=1"
# Under `make test` a make that a test starts would take itself for a part of that one, and print its folders.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
CONF = ROOT / "spark_conf" / "local"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Processes that share the tests take a file each: the longest first, so that none ends long after the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name not in ("test_readme.py", "test_chain.py"), item.path not in slow))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """OPINION_HOME of this test session."""
    before = os.environ.get("OPINION_HOME")
    folder = tmp_path_factory.mktemp("home")
    os.environ["OPINION_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["OPINION_HOME"]
    else:
        os.environ["OPINION_HOME"] = before


@pytest.fixture(scope="session")
def spark(home: Path) -> Iterator[SparkSession]:
    """A session with the settings of spark_conf/local, as spark-submit makes it."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_CONF_DIR"] = str(CONF)
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--properties-file {CONF / 'spark-defaults.conf'} pyspark-shell"
    session = SparkSession.builder.appName("tests").enableHiveSupport().getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """A database name of its own for each test."""
    return f"t{abs(hash(request.node.nodeid)) % 10**12}"


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the checkout; a test that needs it is skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real data in ../shared, which is not here")
    return SHARED


def submit(job: str, *args: str, home: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a job as its user would: .venv/bin/spark-submit in the checkout, with OPINION_HOME=home."""
    return subprocess.run(
        [
            ".venv/bin/spark-submit",
            "--properties-file",
            "spark_conf/local/spark-defaults.conf",
            f"jobs/{job}.py",
            *args,
        ],
        cwd=ROOT,
        env=os.environ | {"OPINION_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
