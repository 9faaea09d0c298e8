"""Versions of one weight, and processes that change a registry, for the tests of registries."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np

from distill.models.registry import Registry
from distill.models.versions import new_version

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def add(registry: Registry, scheme: str = "textcnn", weight: float = 1.0) -> str:
    version = new_version(scheme, NOON)
    registry.add(version, {"w": np.array([weight])}, {"vocabulary": b"word\n"}, {"metrics": {}})
    return version


def start(script: str, *arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process
