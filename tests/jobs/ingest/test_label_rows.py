"""How a label may be written, and what is done with a row that has none."""

import pytest

from jobs.ingest.label_rows import label_of, parse_label


@pytest.mark.parametrize(
    ("written", "label"),
    [
        *(
            (w, 1)
            for w in (
                "1",
                " 1 ",
                "1.0",
                "1.00",
                "1.",
                "１",
                "１．０",
                "\u30001",
                "true",
                "TRUE",
                "True",
                "有效",
                " 有效 ",
            )
        ),
        *((w, 0) for w in ("0", " 0 ", "0.0", "0.000", "０", "false", "FALSE", "无效")),
        *((w, "unlabelled") for w in ("", " ", "NaN", "nan", "<NA>", "None", "NULL")),
        *((w, "unreadable_label") for w in ("2", "-1", "0.5", "1.5", "11", "1,0", "yes", "投诉", "有效?", "'1", "1e0")),
    ],
)
def test_labels(written, label):
    assert label_of(written) == label
    row = parse_label({"opinion_id": b"a", "text": "坏了".encode(), "label": written.encode()}, None)
    assert (row.get("label"), row.get("reason")) == ((label, None) if isinstance(label, int) else (None, label))


def test_a_cell_that_is_null_is_no_label():
    row = parse_label({"opinion_id": b"a", "text": "坏了".encode(), "label": None}, None)
    assert row["reason"] == "unlabelled"
