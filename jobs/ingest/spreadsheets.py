"""Cells of a CSV that people open in a spreadsheet, which would run a cell that begins like a formula.

A leading apostrophe makes such a cell text (OWASP, CSV Injection). A cell that already begins with apostrophes gets one
more, so that removing one restores the cell.
"""

import re

# Also in full width, which spreadsheets of some locales accept, and the characters that they skip before a formula.
FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")


def escaped(cell: str | None) -> str | None:
    """The cell in a form that is safe to open."""
    return f"'{cell}" if cell and FORMULA.match(cell) else cell


def unescaped(cell: str | None) -> str | None:
    """The cell as it was before `escaped`."""
    return cell[1:] if cell and cell[0] == "'" and FORMULA.match(cell) else cell
