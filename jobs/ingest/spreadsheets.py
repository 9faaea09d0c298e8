"""Cells of a CSV that people open in a spreadsheet, which would run one that begins like a formula.

An apostrophe before it makes it text (OWASP, CSV Injection). One more is put before a cell that has apostrophes there
already, so that taking one away gives back the cell as it was.
"""

import re

# Also in full width, which spreadsheets of some locales read alike, and what they skip before a formula.
FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")


def escaped(cell: str | None) -> str | None:
    """The cell as it is safe to open."""
    return f"'{cell}" if cell and FORMULA.match(cell) else cell


def unescaped(cell: str | None) -> str | None:
    """The cell as it was before `escaped`."""
    return cell[1:] if cell and cell[0] == "'" and FORMULA.match(cell) else cell
