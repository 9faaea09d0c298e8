"""Which packages are here, and what one that is missing does."""

import importlib.metadata

import pytest

from distill.errors import BadInput
from distill.models import packages
from distill.models.packages import PACKAGES, SCORING, TRAINING, installed, need_transformers


def test_versions_are_those_that_are_installed() -> None:
    assert installed("numpy") == importlib.metadata.version("numpy")
    assert installed("no-such-package-of-anyone") is None
    assert set(SCORING) <= set(TRAINING) <= set(PACKAGES)


def test_what_needs_transformers_is_refused_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="--init needs the package transformers; install it with make setup-train"):
        need_transformers("--init")
