"""Rejected lines of an input: refuse it when they are more than half, with the likely cause; warn from 5%."""

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from distill.errors import BadInput
from jobs.common.failures import print_stderr
from jobs.common.privacy import redact_text
from jobs.ingest import sniff
from jobs.ingest.records import whole

MOST, SOME = 0.5, 0.05
SAMPLE, SAMPLE_CHARACTERS = 100, 4000
ONE_A_LINE = "it is one JSON document over many lines, or an array; write one object a line (jq -c '.[]' does)"
IN_AN_ARRAY = re.compile(r'\{.*\},|,\s*\{.*\}|\[?\s*\{?|[]}]+,?|"[^"]*"\s*:.*', re.DOTALL)
CAUSES = {
    "invalid_utf8": f"if it is not damaged, {sniff.UTF_8}",
    "broken_json": "each line must be one whole JSON object",
    "not_an_object": "each line must be one JSON object",
    "malformed_row": "a row needs the columns of the header, and quotes around a cell with commas or line breaks",
    "missing_id": "each needs an opinion_id that is text or a whole number",
    "text_not_text": "text and source must be strings",
}


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that publishes the readable rest of such an input."""
    parser.add_argument("--accept-rejects", action="store_true", help="publish an input that is mostly rejected, too")


def reasons_text(reasons: Mapping[str, int]) -> str:
    """Counts by reason, most frequent first."""
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda r: (-r[1], r[0])))


class Rejects:
    """The rejected rows of an input (columns `content` and `reason`), counted and explained.

    lines: the input itself; the first of JSON lines may show another format.
    """

    def __init__(
        self, source: str, read: int, rows: DataFrame, reasons: Mapping[str, int], lines: DataFrame | None = None
    ):
        self.source, self.read, self.rows, self.reasons, self.lines = source, read, rows, reasons, lines
        self.count = sum(reasons.values())

    def sample(self, reason: str) -> list[str]:
        """The beginnings of some rejected rows."""
        content = F.substring("content", 1, SAMPLE_CHARACTERS).alias("content")
        return [row.content for row in self.rows.where(F.col("reason") == reason).select(content).take(SAMPLE)]

    def cause(self) -> str:
        """The likely cause and its cure, from the most frequent reason; empty when unknown."""
        top = max(self.reasons, key=lambda reason: (self.reasons[reason], reason))
        first = self.lines.first() if self.lines is not None and self.lines.columns == ["line"] else None
        return (first and sniff.kind_of(first.line)) or cause_of(top, self.sample(top))

    def gbk_fault(self, stored: DataFrame) -> str | None:
        """The cause and cure of JSON lines whose Chinese lines are mostly GBK, although some may have been read."""
        if not (invalid := self.reasons.get("invalid_utf8")):
            return None
        sample = self.sample("invalid_utf8")
        gbk = invalid * sum(sniff.is_gbk(as_bytes(content)) for content in sample) / len(sample)
        wide = stored.where(F.col("text").rlike(f"[^\\x00-{chr(ord(sniff.WIDE) - 1)}]")).count() if gbk else 0
        return sniff.GBK if gbk > wide else None

    def check(self, left: str, accept: bool) -> None:
        """Raise BadInput, unless accepted, when more than half was rejected. left: what stays unchanged."""
        if self.count > MOST * self.read and not accept:
            raise BadInput(
                f"{self.count} of {self.read} lines of {self.source} cannot be used ({reasons_text(self.reasons)}): "
                f"{self.cause() or 'see the reasons'}; {left} (--accept-rejects publishes the rest all the same)"
            )

    def warn(self, where: str) -> None:
        """Warn on stderr when a notable share was rejected. where: the table that holds the rejects."""
        if self.count and self.count >= SOME * self.read:
            cause = self.cause()
            print_stderr(
                f"warning: {self.count} of {self.read} lines of {self.source} were rejected "
                f"({reasons_text(self.reasons)}){cause and ': '}{cause}; see {where}"
            )


def cause_of(reason: str, sample: Sequence[str]) -> str:
    """The likely cause and cure of rows with this reason."""

    def most(holds: Callable[[str], object]) -> bool:
        return 2 * sum(bool(holds(content.strip())) for content in sample) > len(sample)

    if most(lambda content: content.count("\0") > len(content) / 4):
        return sniff.UTF_16
    if reason == "invalid_utf8" and most(lambda content: sniff.is_gbk(as_bytes(content))):
        return sniff.GBK
    if reason == "not_an_object" and most(lambda content: re.match(r"\[\s*\{", content)):
        return ONE_A_LINE
    if reason == "broken_json":
        if most(IN_AN_ARRAY.fullmatch):
            return ONE_A_LINE
        if most(lambda content: content[:1] not in ("{", "[")):
            return "its lines are not JSON; if it is CSV, load it with --format csv"
    if reason == "malformed_row":
        used = [at for at in sniff.DELIMITERS if 2 * sum(at in content for content in sample) > len(sample)]
        return sniff.separated_by(sniff.DELIMITERS[used[0]]) if used else CAUSES[reason]
    if reason == "missing_id" and (keys := keys_of(sample)):
        return f"{CAUSES[reason]}; their fields are {', '.join(keys)}"
    if reason == "unreadable_time":
        return f"published_at is {values_text(sample, 'published_at')}; docs/inputs.md lists the forms"
    if reason == "unreadable_label":
        return f"label is {values_text(sample, 'label')}; write 1 for a valid complaint and 0 for junk"
    return CAUSES.get(reason, "")


def as_bytes(content: str) -> bytes:
    """The bytes of a line that was not UTF-8, from its escaped form."""
    return re.sub(rb"\\+x([0-9a-f]{2})", lambda byte: bytes.fromhex(byte[1].decode()), content.encode("utf-8"))


def objects_of(sample: Sequence[str]) -> list[dict[str, object]]:
    """The rejected rows that are whole JSON objects."""
    objects = []
    for content in sample:
        try:
            row = json.loads(content.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            objects.append(row)
    return objects


def keys_of(sample: Sequence[str]) -> list[str]:
    """The field names of a rejected row, redacted for messages."""
    return [whole(redact_text(key))[:40] for row in objects_of(sample)[:1] for key in list(row)[:8]]


def values_text(sample: Sequence[str], field: str) -> str:
    """The most frequent values of a field, redacted for messages."""
    values = Counter(
        repr(redact_text(str(row[field]))[:40]) for row in objects_of(sample) if row.get(field) is not None
    )
    return ", ".join(value for value, _ in values.most_common(3)) or "not readable"
