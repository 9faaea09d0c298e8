"""Show control characters of a text instead of obeying them: a terminal escape in an opinion moves no cursor."""

import io
import re
import sys

# All but tab and line end; characters that change the writing direction can hide the content of a line.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with each control character written as JSON escapes it, so that printed JSON stays the same JSON."""
    return CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class VisibleText(io.TextIOWrapper):
    """A text stream that writes only what `visible` returns."""

    def write(self, text: str) -> int:
        """Write the text and return its length."""
        super().write(visible(text))
        return len(text)


def guard_stdout() -> None:
    """Make stdout print UTF-8 without control characters."""
    sys.stdout = VisibleText(
        sys.stdout.buffer, encoding="utf-8", errors="replace", line_buffering=bool(sys.stdout.line_buffering)
    )
