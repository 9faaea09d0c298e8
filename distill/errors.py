"""Failures that a person can cure, each kind with its exit code.

A job ends with the code of the error that stopped it, after one line with cause, place and cure. Any other exception is
a bug and ends with code 1.
"""


class OpinionError(Exception):
    """A failure that a person can cure; its message is one line: the cause, the place and the cure."""

    exit_code = 1


class BadInput(OpinionError):
    """A flag, a file, a day or a table is not what the job needs."""

    exit_code = 2


class BadModel(OpinionError):
    """The model is missing, or its bundle is altered, truncated, newer or would give other scores."""

    exit_code = 3


class Infrastructure(OpinionError):
    """Disk, metastore or cluster failed: the same command may succeed later."""

    exit_code = 4


class Busy(OpinionError):
    """Another run holds what this one needs; its holder is named."""

    exit_code = 5


class Held(OpinionError):
    """A day is too far from what the model was trained on, and the user asked not to publish such a day."""

    exit_code = 6
