"""The pages that tests read: the READMEs and docs/."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COOKBOOK, OPERATIONS = ROOT / "docs" / "sql-cookbook.md", ROOT / "docs" / "operations.md"


def blocks(page: Path, language: str = r"\w*") -> list[str]:
    """The fenced blocks of a page whose language matches."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if re.fullmatch(language, name)]
