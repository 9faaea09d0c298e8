"""Labels of two people for the rows of one sample: their agreement, beyond what chance gives."""

import pytest
from pyspark.sql import SparkSession

from jobs.ingest.label_provenance import KEY, agreement_lines

pytestmark = pytest.mark.spark

KEY_DDL = ", ".join(f"{column} string" for column in KEY)


def lines(spark: SparkSession, earlier: list[int | None], later: list[int]) -> list[str]:
    keys = [("2026-11-09", "run", f"o{number}", f"hash{number}") for number in range(len(later))]
    samples = [(*key, label) for key, label in zip(keys, earlier, strict=True)]
    labels = [(*key, label, "valid 0.98-0.99") for key, label in zip(keys, later, strict=True)]
    labels.append(("2026-11-09", "run", "stranger", "hash", 1, None))  # of no stratum
    return agreement_lines(
        spark.createDataFrame(labels, f"{KEY_DDL}, label int, stratum string"),
        spark.createDataFrame(samples, f"{KEY_DDL}, label int"),
    )


def test_kappa_by_hand(spark: SparkSession) -> None:
    """Eight of ten agree, each has four complaints: by chance .4 .4 + .6 .6 = .52, and (.8 - .52) / .48 is .58."""
    report = lines(spark, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, None], [1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1])
    assert report == [
        "8 of 10 labels agree with an earlier label of the same row, Cohen's kappa 0.58; "
        "the 2 texts labelled both ways count for nothing until people decide"
    ]


def test_where_all_labels_are_alike_there_is_no_kappa(spark: SparkSession) -> None:
    report = lines(spark, [0, 0], [0, 0])
    assert report == [
        "2 of 2 labels agree with an earlier label of the same row, Cohen's kappa undefined, since all are alike"
    ]


def test_first_labels_agree_with_nothing(spark: SparkSession) -> None:
    assert lines(spark, [None, None], [0, 1]) == []
