"""Decisions on the champion and its threshold, and which of them are still in force after rollbacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distill.errors import BadInput

Action = Literal["promote", "rollback", "threshold"]
# A version and its operating threshold, as `Switch.operating`.
State = tuple[str, dict[str, Any] | None]


@dataclass(frozen=True)
class Switch:
    """A change of the champion or its threshold. previous: the replaced version, None for the first champion.

    operating: the threshold that replaces the bundle's, as `value`, with its evidence; None for the bundle's own.
    previous_operating: that of the previous version.
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
    """The states that no rollback has undone, oldest first. `switches`: oldest first; some may be missing.

    Each promotion and each threshold adds a state, and a rollback undoes the last one. The champion's state is last.
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
    """Raise BadInput unless the operating threshold is a number between 0 and 1."""
    value = operating.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInput(f"the operating threshold {value!r} is not a number between 0 and 1")
