"""Names of versions sort by time and are safe as the name of a folder."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from distill.errors import BadInput
from distill.models.versions import new_version
from tests.distill.models.tiny_registry import NOON


def test_versions_of_a_scheme_sort_by_time_whatever_the_zone():
    zones = [UTC, timezone(timedelta(hours=8))]
    times = [(NOON + timedelta(minutes=37 * i)).astimezone(zones[i % 2]) for i in range(50)]
    versions = [new_version("joint_isolated", time) for time in times]
    assert versions == sorted(versions)
    assert versions[0].startswith("joint_isolated-20261123T120000Z-")
    assert len({new_version("textcnn", NOON) for _ in range(50)}) == 50


@pytest.mark.parametrize("scheme", ["", "../x", "a b", "Text", "1x", "a/b", "x" * 41, "offline\n"])
def test_a_scheme_that_makes_no_safe_name(scheme):
    with pytest.raises(BadInput, match="must be small letters"):
        new_version(scheme, NOON)
    with pytest.raises(BadInput, match="time zone"):
        new_version("textcnn", datetime(2026, 11, 23))
