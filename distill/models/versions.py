"""The names of versions: a scheme, the time of the training, six random digits, and the step of an anchor point."""

import re
import secrets
from datetime import UTC, datetime

from distill.errors import BadInput

SCHEME = r"[a-z][a-z0-9_-]{0,39}"
VERSION = re.compile(rf"{SCHEME}-[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-f]{{6}}(-step-[0-9]+)?")


def new_version(scheme: str, now: datetime) -> str:
    """A fresh name such as "textcnn-20261123T201500Z-1a2b3c"; a scheme's names sort by time.

    Raises BadInput for a scheme not of small letters, digits, _ and -, and for a time without a zone.
    """
    if not re.fullmatch(SCHEME, scheme):
        raise BadInput(f"scheme {scheme!r} must be small letters, digits, _ and -, a letter first")
    if now.tzinfo is None:
        raise BadInput(f"the time of a version needs a time zone: {now.isoformat()} has none")
    return f"{scheme}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def scheme_of(version: str) -> str:
    """The scheme that a version's name begins with."""
    return re.sub(r"-[0-9]{8}T[0-9]{6}Z-.*", "", version)


def anchor_name(version: str, step: int) -> str:
    """The name of an anchor point of a teacher's route: the teacher as it was after so many steps."""
    return f"{version}-step-{step}"


def checked_version(version: str) -> str:
    """The version; raises BadInput when it is not the name of one."""
    if not VERSION.fullmatch(version):
        raise BadInput(f"{version!r} is not the name of a version, such as textcnn-20261123T201500Z-1a2b3c")
    return version
