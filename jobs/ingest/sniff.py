"""Recognise the true format of a file by its bytes, so that the error line can name the cure."""

import re
from collections.abc import Sequence

UTF_8 = "save it as UTF-8"
UTF_16 = f"it is UTF-16; {UTF_8}"
GBK = f"it is GBK (or GB18030); {UTF_8}"
STARTS = {
    b"PAR1": "it is Parquet; load it with --format parquet",
    b"\x1f\x8b": "it is compressed with gzip; give it a name that ends in .gz",
    b"PK\x03\x04": "it is a zip file, as Excel workbooks are; save it as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "it is an Excel workbook; save it as CSV in UTF-8",
    b"\xff\xfe": UTF_16,
    b"\xfe\xff": UTF_16,
}
DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "|", "\x01": "Ctrl-A, as Hive's are", "，": "full-width commas"}
# Two bytes of a common Chinese character in GBK. Letters with accents in Latin-1 seldom stand side by side.
HANZI = re.compile(rb"[\xb0-\xf7][\xa1-\xfe]")
# Chinese characters in UTF-8 lie above. GBK that happens to be valid UTF-8 nearly always becomes letters below.
WIDE = "\u0800"


def kind_of(start: bytes) -> str | None:
    """The true format of a file with this first line and the cure; None when the line does not show it."""
    if b"\0" in start[:2]:
        return UTF_16
    return next((cause for magic, cause in STARTS.items() if start.startswith(magic)), None)


def header_fault(line: bytes, needed: Sequence[str]) -> str | None:
    """Why the first line of a CSV file has none of the needed columns; None when unknown."""
    text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if text[:1] in ("{", "["):
        return "it is JSON, not CSV; choose the format with --format"
    for delimiter, name in DELIMITERS.items():
        if set(needed) <= {cell.strip().strip('"') for cell in text.split(delimiter)}:
            return separated_by(name)
    return kind_of(line)


def separated_by(name: str) -> str:
    """The cause and cure of a CSV with another delimiter."""
    return f"its columns are separated by {name}; separate them by commas"


def is_gbk(raw: bytes) -> bool:
    """Whether bytes that are not UTF-8 are Chinese in GBK or GB18030."""
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return bool(HANZI.search(raw))


class Encoding:
    """Decides whether a file is GBK; single lines of GBK may be valid UTF-8, with other letters."""

    def __init__(self) -> None:
        self.gbk = self.wide = 0

    def add(self, line: bytes) -> None:
        """Count a line."""
        if line.isascii():
            return
        try:
            self.wide += max(line.decode("utf-8")) >= WIDE
        except UnicodeDecodeError:
            self.gbk += is_gbk(line)

    def fault(self) -> str | None:
        """The cause and cure of a file most of whose Chinese lines are GBK."""
        return f"{self.gbk} of its lines are not UTF-8: {GBK}" if self.gbk > self.wide else None
