"""Text for a terminal: one line, no control characters, long numbers masked, cut to a width.

Separate from jobs/reports/day_summary.py, so that a command which prints texts needs no Spark.
"""

import re
import unicodedata


def one_line(text: str) -> str:
    """The text without line ends, terminal escapes and invisible characters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "" for c in text).split())


def masked_line(text: str) -> str:
    """The text on one line, numbers of five digits and more (phone, order, identity) replaced by stars.

    Digits of any script count; up to two other characters between them do not split a number: 138-0013 (8000).
    """
    return mask_digits(one_line(text))


def mask_digits(text: str) -> str:
    """The text with stars for the long numbers that `masked_line` masks; its length is unchanged."""
    return re.sub(r"\d(?:[\W_]{0,2}\d){4,}[xXｘＸ]?", lambda run: "*" * len(run[0]), text)


def fit_width(text: str, width: int) -> str:
    """The text on one line, cut or filled to `width` columns of a terminal, where a Chinese character takes two."""
    text = one_line(text)
    if columns(text) > width:
        text = text[: width - 1]
        while columns(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - columns(text))


def columns(text: str) -> int:
    """Columns that the text takes on a terminal, at most."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
