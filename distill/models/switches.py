"""The decisions on the champion and its threshold: one switch each, and those that rollbacks have left in force."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distill.errors import BadInput

Action = Literal["promote", "rollback", "threshold"]
# A version and its operating threshold, as `Switch.operating`.
State = tuple[str, dict[str, Any] | None]


@dataclass(frozen=True)
class Switch:
    """A change of champion or of its threshold: which version took the place of which (None: of none), how, why, …

    operating: the threshold that takes the place of the bundle's, as `value`, with what is known of it; None: the
    bundle's own. previous_operating: that of the version before. Both are missing in the files of older versions.
    """

    version: str
    previous: str | None
    action: Action
    reason: str
    at: str
    by: str
    operating: dict[str, Any] | None = None
    previous_operating: dict[str, Any] | None = None


def in_force(switches: Iterable[Switch]) -> list[State]:
    """The states that no rollback has undone, oldest first; of `switches`, oldest first, some may be missing.

    Each promotion and each threshold makes a state, and a rollback undoes the last. The champion's is at the end.
    """
    stack: list[State] = []
    for switch in switches:
        state = switch.version, switch.operating
        before = [(switch.previous, switch.previous_operating)] if switch.previous else []
        if switch.action == "rollback":
            if stack[-1:] == before:
                stack.pop()
            while stack and stack[-1] != state:
                stack.pop()
            stack = stack or [state]  # what was before it is not recorded
        else:
            stack += [*(before if stack[-1:] != before else []), state]
    return stack


def check_operating(operating: Mapping[str, Any]) -> None:
    """Raise BadInput for an operating threshold that is no number between 0 and 1."""
    value = operating.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInput(f"the operating threshold {value!r} is not a number between 0 and 1")
