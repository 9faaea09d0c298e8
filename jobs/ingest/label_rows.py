"""One row of a label file -> a row of labelled_opinion, or the reason why it cannot be used."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pyarrow as pa

from distill.text.normalisation import normalise, text_hash, unscorable_reason
from jobs.ingest.records import BROKEN_ROW, content_of, reason_of_broken
from jobs.ingest.spreadsheets import unescaped
from jobs.warehouse.schema import arrow_schema, ddl_of, staged_columns
from jobs.warehouse.tables import REJECTED_LABEL

UNLABELLED = "unlabelled"  # not rejected: it has no label yet
# The forms of people, spreadsheets and pandas, after NFKC, in lower case, stripped.
WORDS = {"true": 1, "有效": 1, "false": 0, "无效": 0}
NUMBER = re.compile(r"([01])(\.0*)?")
NO_LABEL = {"", "nan", "<na>", "none", "null"}

PARSED_COLUMNS = staged_columns(REJECTED_LABEL, text_hash="string")
PARSED, PARSED_DDL = arrow_schema(PARSED_COLUMNS), ddl_of(PARSED_COLUMNS)


def parser_of(split: str | None, now: datetime) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that Spark maps over batches of input columns, each column as bytes."""

    def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [parse_label(fields, split) | {"labelled_at": now} for fields in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=PARSED)

    return parse


def parse_label(fields: Mapping[str, bytes | None], split: str | None) -> dict[str, object]:
    """One row of a label file as a row of PARSED without its time; `reason` is set when it cannot be used."""
    if (raw := fields.get(BROKEN_ROW)) is not None:
        return rejected(fields, split, reason_of_broken(raw))
    try:
        row = {name: unescaped(value.decode("utf-8")) if value else None for name, value in fields.items()}
    except UnicodeDecodeError:
        return rejected(fields, split, "invalid_utf8")
    label, identity = label_of(row["label"] or ""), (row["opinion_id"] or "").strip()
    normalised = None if row["text"] is None else normalise(row["text"])
    reason = unscorable_reason(normalised) or ("missing_id" if not identity else None)
    if reason or isinstance(label, str):
        return rejected(fields, split, reason or str(label))
    hashed = text_hash(normalised or "")
    row |= {"sample_dt": row.get("dt"), "sample_run_id": row.get("run_id")}
    return row | {"opinion_id": identity, "label": label, "split": split or split_of(hashed), "text_hash": hashed}


def label_of(written: str) -> int | str:
    """1 or 0, or the reason why the cell is neither."""
    word = unicodedata.normalize("NFKC", written).strip().lower()
    if word in NO_LABEL:
        return UNLABELLED
    number = NUMBER.fullmatch(word)
    return int(number[1]) if number else WORDS.get(word, "unreadable_label")


def rejected(fields: Mapping[str, bytes | None], split: str | None, reason: str) -> dict[str, object]:
    """A row that cannot be used."""
    content = content_of(fields)
    return {"content": content, "reason": reason, "split": split, "text_hash": text_hash(content)}


def split_of(hashed: str) -> str:
    """The split of a text without a given one: 80% train, 10% valid, 10% test."""
    part = int(hashed[:8], 16) % 10
    return "test" if part == 9 else "valid" if part == 8 else "train"


def with_key(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of the tables as rows of PARSED."""
    for batch in batches:
        rows = batch.to_pylist()
        for row in rows:
            row["text_hash"] = text_hash(row["content"] if row["text"] is None else normalise(row["text"]))
            row["labelled_at"] = row["labelled_at"] and row["labelled_at"].astimezone(UTC)
        yield pa.RecordBatch.from_pylist(rows, schema=PARSED)
