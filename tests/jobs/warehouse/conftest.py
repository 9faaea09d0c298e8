import pytest
from pyspark.sql import SparkSession

from jobs.warehouse.warehouse import Warehouse


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    """One database for all tests of publications, each of which has a day of its own."""
    return Warehouse(spark, "publish")


@pytest.fixture
def day(request: pytest.FixtureRequest) -> str:
    tests = [item.name for item in request.session.items]
    number = tests.index(request.node.name)
    return f"{2000 + number // 28}-01-{number % 28 + 1:02d}"
