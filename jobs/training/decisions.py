"""The decisions of retrainings, one file each: champion, challenger, checks and outcome.

HOME/retrain/VERSION.json      of the challenger
"""

import json
import os
from pathlib import Path
from typing import Any

from distill.errors import BadInput
from distill.models.versions import VERSION

FOLDER = "retrain"
PROGRESS = "progress.json"  # of a retraining without a decision yet


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_all(home: Path) -> list[dict[str, Any]]:
    """Every decision in a home, oldest first; raises BadInput for a damaged file."""
    decisions = []
    for path in (home / FOLDER).glob("*.json"):
        if VERSION.fullmatch(path.stem):  # neither PROGRESS nor a foreign file, such as the ._* of macOS
            try:
                decisions.append(json.loads(path.read_text(encoding="utf-8")))
            except ValueError as error:
                raise BadInput(f"{path} is no JSON ({error}): move it away") from error
    return sorted(decisions, key=lambda decision: str(decision["decided"]))


def outcome(decision: dict[str, Any]) -> str:
    """The outcome of a decision and its reason."""
    failed = [check["name"] for check in decision["checks"] if not check["passed"]]
    if decision["promoted"]:
        return "promoted: all checks passed" if decision["champion"] else "promoted: there was no champion"
    return f"not promoted: {', '.join(failed) if failed else 'a dry run'}"


def decision_text(decision: dict[str, Any]) -> str:
    """The lines of a decision: each check with its reason, then the outcome."""
    lines = [f"challenger {decision['challenger']}, champion {decision['champion'] or 'none yet'}"]
    for check in decision["checks"]:
        lines.append(f"  {'passed' if check['passed'] else 'FAILED':6}  {check['name']:9}  {check['reason']}")
    after = f"{decision['challenger']} is the champion" if decision["promoted"] else "the champion stays"
    return "\n".join([*lines, f"{outcome(decision)}; {after}"])
