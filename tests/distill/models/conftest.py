import pytest

from distill.models.registry import Registry


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")
