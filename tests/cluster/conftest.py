"""One cluster for all its tests; what a test stops it starts again (`cluster.start()` starts what is missing)."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The components, started once; their folder with all logs stays when a test failed."""
    # Not below pytest's own folder, which PostgreSQL's user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="opinion-cluster-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
    if request.session.testsfailed:
        print(f"\nlogs of the cluster are in {folder}")
    else:
        shutil.rmtree(folder)


@pytest.fixture
def cluster(stack: Cluster) -> Cluster:
    """The cluster with all components running, whatever the test before did to them."""
    stack.start()
    return stack
