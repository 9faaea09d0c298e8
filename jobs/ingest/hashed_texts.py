"""Texts and their hash, the key that joins labels, samples and logits of one text."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from distill.text.normalisation import text_hash, unscorable_reason
from distill.text.text_batch import normalise_batch
from jobs.common.privacy import redact_errors


def hashed(rows: DataFrame) -> DataFrame:
    """The rows with normalised `text` and a column `text_hash`, without those that cannot be scored."""
    columns = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in rows.schema.fields)
    return rows.mapInArrow(redact_errors(with_hash), f"{columns}, text_hash string")


def with_hash(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The function that Spark maps over Arrow batches for `hashed`."""
    for batch in batches:
        texts_only = batch.filter(batch.column("text").is_valid())
        texts = normalise_batch(texts_only.column("text").to_pylist())
        at = texts_only.schema.get_field_index("text")
        texts_only = texts_only.set_column(at, "text", pa.array(texts, pa.string()))
        texts_only = texts_only.append_column("text_hash", pa.array([text_hash(text) for text in texts], pa.string()))
        yield texts_only.filter(pa.array([unscorable_reason(text) is None for text in texts], pa.bool_()))
