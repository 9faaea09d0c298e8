"""One cluster for all its tests; what a test stops it starts again (`cluster.start()` starts what is missing)."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import CORE, Cluster
from tests.cluster.night import Night, night_on


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The services that jobs need, started once; the folder with all logs stays when a test failed."""
    # Not below pytest's own folder, which PostgreSQL's user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="opinion-cluster-"))
    cluster = Cluster(folder, cores=2, memory="2g")  # room for two applications
    try:
        cluster.start(*CORE)
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


@pytest.fixture(scope="module")
def scored_night(stack: Cluster) -> Iterator[Night]:
    """A driver of this process with two scored days."""
    with night_on(stack) as night:
        yield night


@pytest.fixture
def night(scored_night: Night) -> Night:
    """The same, what it needs running, the day as the last clean run left it."""
    scored_night.cluster.start(*CORE)
    scored_night.is_whole(scored_night.current)
    return scored_night
