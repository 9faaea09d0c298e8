"""A snapshot holds logits of the right text and the right weights, and a transfer set that nobody labelled."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest
from pyspark.sql import SparkSession

from distill.data.labelled import TextRows, read, read_snapshot
from distill.errors import BadInput, BadModel
from distill.text.normalisation import normalise, text_hash
from distill.training.cross_fitting import WEIGHTS, cross_fit
from jobs.training.night_labels import night_labels
from jobs.training.snapshot import FOLDS, SnapshotSpec, StoredTeacher, write_snapshot
from jobs.warehouse.tables import LABELLED_OPINION
from jobs.warehouse.warehouse import Warehouse
from tests.jobs import tiny_tables

pytestmark = pytest.mark.spark

NAME = "bert-2026112{}T201500Z-1a2b3c"
WHOLE, PART, OTHER, NONE = (StoredTeacher(NAME.format(i), ("aa/float32", "aa/bfloat16")) for i in range(4))
DAY, NEXT = "2026-11-09", "2026-11-10"
LABELS = [
    ("l0", "退款 不给退", 1, "train"),
    ("l1", "味道好极了", 0, "train"),
    ("l2", "客服骗人", 1, "train"),
    ("v0", "物流很快", 0, "valid"),
    ("v1", "质量太差", 1, "valid"),
    ("t0", "孩子喜欢", 0, "test"),
    ("t1", "Ｗｉ－Ｆｉ坏了", 1, "test"),
]
STREAM: dict[str, dict[str, str | None]] = {
    DAY: {
        "s0": "快递丢了",
        "s1": "快递丢了",
        "s2": "服务差",
        "train": " 退款　不给退\u200b",
        "valid": "物流很快",
        "test": "wi-fi坏了",
        "no logits": "没有算过",
        "null": None,
        **{f"d{i}": f"两天都有{i}" for i in range(10)},
    },
    NEXT: {"s0": "快递丢了", "r0": "新的一天", **{f"n{i}": f"两天都有{i}" for i in range(10)}},
}
# Of the texts of both days, half have logits on the one and half on the other.
WITHOUT = {"no logits", "null", *(f"d{i}" for i in range(5)), *(f"n{i}" for i in range(5, 10))}


def logits(text: str) -> list[float]:
    return [len(text) + 0.5, ord(text[0]) / 1000]


def rows_of(texts: dict[str, str | None]) -> list[tuple[str, str, list[float]]]:
    normalised = {opinion: normalise(text) for opinion, text in texts.items() if text}
    return [(opinion, text_hash(text), logits(text)) for opinion, text in normalised.items()]


@pytest.fixture(scope="module")
def warehouse(spark: SparkSession) -> Warehouse:
    """Labels and days; WHOLE has logits of all labels, PART of some, OTHER has other weights."""
    warehouse = Warehouse(spark, "snapshots")
    tiny_tables.put_labels(warehouse, LABELS)
    labelled = rows_of({opinion: text for opinion, text, *_ in LABELS})
    changed = [("l1", text_hash("改过的文本"), [9.0, 9.0]), *(row for row in labelled if row[0] not in ("l1", "l2"))]
    for teacher, rows, fingerprint in [
        (WHOLE, labelled[::-1], "aa/bfloat16"),
        (PART, changed, "aa/float32"),
        (OTHER, labelled, "bb/float32"),
    ]:
        tiny_tables.put_logits(warehouse, teacher.version, "labelled", rows, fingerprint)
    for day, texts in STREAM.items():
        tiny_tables.put_day(warehouse, day, texts)
        rows = rows_of({opinion: text for opinion, text in texts.items() if opinion not in WITHOUT})
        tiny_tables.put_logits(warehouse, WHOLE.version, day, rows, "aa/float32")
    return warehouse


def labels_of(folder: Path) -> dict[str, Any]:
    """Logits by text; each text has one row."""
    rows: TextRows = read(f"{folder}/labels")
    assert len(set(rows.texts)) == len(rows.texts)
    return dict(zip(rows.texts, rows.logits, strict=True))


def test_labels_have_the_logits_of_their_own_text(warehouse: Warehouse, tmp_path: Path) -> None:
    _, lineage = write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([WHOLE]))
    by_text = labels_of(tmp_path / "all")
    assert set(by_text) == {normalise(text) for _, text, *_ in LABELS}
    for text, stored in by_text.items():
        np.testing.assert_allclose(stored, [logits(text)], rtol=1e-6)
    assert lineage["teachers"] == [
        {"version": WHOLE.version, "fingerprints": ("aa/float32", "aa/bfloat16"), "train_rows": 3}
    ]


def test_a_text_that_changed_since_has_no_logits(warehouse: Warehouse, tmp_path: Path, capsys) -> None:
    _, lineage = write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([PART, WHOLE], allow_missing=True))
    for text, stored in labels_of(tmp_path / "all").items():
        assert np.isnan(stored[0]).all() == (text in ("味道好极了", "客服骗人"))
        np.testing.assert_allclose(stored[1], logits(text), rtol=1e-6)
    assert [teacher["train_rows"] for teacher in lineage["teachers"]] == [1, 3]
    assert f"logits of {PART.version}: 1 of 3 rows of train (33.3%)" in capsys.readouterr().out


def test_rows_of_train_without_logits_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    mend = rf"2 of 3 labelled rows of train have no logits.*--teacher {PART.version} --labelled, or pass --allow"
    with pytest.raises(BadInput, match=mend):
        write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([PART]))


def test_logits_of_other_weights_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=rf"fingerprint bb/float32.*store them again: .* {OTHER.version} --labelled"):
        write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([OTHER], allow_missing=True))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (SnapshotSpec([NONE], allow_missing=True), f"opinion store_teacher_logits --teacher {NONE.version} --labelled"),
        (SnapshotSpec([PART], [DAY], True), f"opinion store_teacher_logits --teacher {PART.version} --dt {DAY}"),
        (SnapshotSpec([WHOLE], ["2026-01-01"]), "opinion load_opinions --dt 2026-01-01 --input PATH"),
        (SnapshotSpec(sources=["forum"]), "no rows of the split 'train' of the sources forum"),
    ],
)
def test_what_is_not_there_is_named_with_the_command_that_makes_it(
    warehouse: Warehouse, tmp_path: Path, wanted: SnapshotSpec, message: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        write_snapshot(warehouse, f"{tmp_path}/all", wanted)


def test_the_transfer_set_holds_each_unlabelled_text_with_logits_once(warehouse: Warehouse, tmp_path: Path) -> None:
    _, lineage = write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([WHOLE], [DAY, NEXT]))
    rows = read(f"{tmp_path}/all/transfer")
    assert sorted(rows.texts) == sorted(["快递丢了", "服务差", "新的一天", *(f"两天都有{i}" for i in range(10))])
    np.testing.assert_allclose(rows.logits[:, 0], [logits(text) for text in rows.texts], rtol=1e-6)
    assert set(rows.labels) == {-1}
    splits = pads.dataset(f"{tmp_path}/all/transfer", format="parquet").to_table()["split"].to_pylist()
    assert set(splits) == {"transfer"}, "no row of it is read as one of train"
    assert (lineage["transfer"]["days"], lineage["transfer"]["rows"]) == ([DAY, NEXT], 13)


def test_a_transfer_set_with_nothing_in_it_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    day = "2026-11-11"
    tiny_tables.put_day(warehouse, day, {"a": "物流很快", "b": "没有算过"})
    tiny_tables.put_logits(warehouse, WHOLE.version, day, rows_of({"a": "物流很快"}), "aa/float32")
    with pytest.raises(BadInput, match=f"no text of {day} is unlabelled and has logits"):
        write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([WHOLE], [day]))


def test_the_lineage_counts_and_names_the_data(warehouse: Warehouse, tmp_path: Path) -> None:
    _, lineage = write_snapshot(warehouse, f"{tmp_path}/all", SnapshotSpec([WHOLE], [NEXT]))
    assert lineage["rows"] == {"train": 3, "valid": 2, "test": 2}
    assert lineage["data"] == warehouse.location(LABELLED_OPINION, {})
    assert lineage["transfer"]["rows"] == 7
    for digest in (lineage["data_hash"], lineage["transfer"]["data_hash"]):
        assert re.fullmatch("[0-9a-f]{16}", digest)
    assert json.loads(json.dumps(lineage))["teachers"][0]["fingerprints"] == list(WHOLE.fingerprints)


def test_the_hash_of_the_data_is_of_its_rows_not_of_its_files(spark: SparkSession, tmp_path: Path) -> None:
    hashes = []
    changed = [*LABELS[:-1], ("t1", "Ｗｉ－Ｆｉ坏了", 0, "test")]
    for number, rows in enumerate([LABELS, LABELS[::-1], changed]):
        warehouse = Warehouse(spark, f"hashes{number}")
        tiny_tables.put_labels(warehouse, rows)
        hashes.append(write_snapshot(warehouse, f"{tmp_path}/{number}", SnapshotSpec())[1]["data_hash"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_fewer_rows_of_train_are_the_same_at_each_time_and_valid_and_test_stay(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    chosen = []
    for number in ("1", "2"):
        _, lineage = write_snapshot(warehouse, f"{tmp_path}/{number}", SnapshotSpec([WHOLE], train_rows=2))
        assert lineage["rows"] == {"train": 2, "valid": 2, "test": 2}
        assert lineage["teachers"][0]["train_rows"] == 2
        chosen.append(set(labels_of(tmp_path / number)))
    assert chosen[0] == chosen[1]


@pytest.fixture(scope="module")
def nights(spark: SparkSession) -> Warehouse:
    """Sixty old labels, forty of nights, and a day of the stream; no teacher but the linear one."""
    warehouse = Warehouse(spark, "night_labels")
    old = [
        (f"o{i}", f"{'退款不给退' if i % 2 else '味道好极了'}，第{i}条", i % 2, "review", "train") for i in range(60)
    ]
    old += [("v0", "物流很快", 0, "review", "valid"), ("v1", "质量太差", 1, "review", "valid")]
    drawn = [
        (f"n{i}", f"怎么{'退款' if i % 4 else '投诉都没用'}啊{i}号", int(i % 4 == 0), "desk", "train")
        for i in range(40)
    ]
    of_night = (None, DAY, "run", "valid 0.95-0.98", 0.25)
    rows = [(*row, None) for row in old] + [(*row, *of_night) for row in drawn]
    tiny_tables.put(warehouse, LABELLED_OPINION, {}, rows)
    tiny_tables.put_day(warehouse, DAY, {"s0": "怎么退款啊", "s1": "味道好极了呀", "n": drawn[0][1]})
    return warehouse


def test_the_linear_teacher_needs_no_stored_logits_and_has_learned_no_text_that_it_judges(
    nights: Warehouse, tmp_path: Path
) -> None:
    snapshot, facts = write_snapshot(nights, f"{tmp_path}/all", SnapshotSpec([None], [DAY]))
    train, valid, _ = read_snapshot(snapshot)
    assert train.logits.shape == (102, 1, 2) and not np.isnan(train.logits).any() and not np.isnan(valid.logits).any()
    fitted = cross_fit(train.texts[:100], train.labels[:100], np.array(["怎么" in text for text in train.texts[:100]]))
    np.testing.assert_allclose(train.logits[:100, 0, 1] * 2, fitted.out_of_fold, rtol=1e-4, atol=1e-4)
    stream = dict(zip(train.texts[100:], train.logits[100:, 0], strict=True))
    assert set(stream) == {"怎么退款啊", "味道好极了呀"}, "a labelled text is not of the transfer set"
    for text, pair in stream.items():
        assert pair[1] - pair[0] == pytest.approx(fitted.margins([text])[0], rel=1e-4)
    assert facts["teachers"] == [] and facts["night_labels"] == {"rows": 40, "weight": fitted.weight}


def test_labels_of_nights_weigh_more_than_others(nights: Warehouse, tmp_path: Path, capsys) -> None:
    snapshot, facts = write_snapshot(nights, f"{tmp_path}/all", SnapshotSpec())
    train = read_snapshot(snapshot).train
    weight = facts["night_labels"]["weight"]
    assert train.weights is not None and weight in WEIGHTS
    assert [*train.weights] == [weight if "怎么" in text else 1.0 for text in train.texts]
    assert f"40 labels of nights' samples: each weighs as {weight:g} others" in capsys.readouterr().out


def test_each_fold_of_the_nights_labels_is_left_out_once(nights: Warehouse, tmp_path: Path) -> None:
    everything = set(read_snapshot(write_snapshot(nights, f"{tmp_path}/all", SnapshotSpec())[0]).train.texts)
    left_out = []
    for fold in range(FOLDS):
        spec = SnapshotSpec([None], [DAY], held_out=fold)
        train = read_snapshot(write_snapshot(nights, f"{tmp_path}/{fold}", spec)[0]).train
        left_out.append(everything - set(train.texts))
        known = night_labels(nights)
        assert left_out[-1] == set(known["text"][known["fold"] == fold]) and len(left_out[-1]) > 5
    assert not left_out[0] & left_out[1] and len(left_out[0] | left_out[1]) == 40


def test_a_replay_is_some_of_the_old_labels_beside_all_of_the_nights(nights: Warehouse, tmp_path: Path) -> None:
    train = read_snapshot(write_snapshot(nights, f"{tmp_path}/all", SnapshotSpec(replay=25))[0]).train
    assert sum("怎么" in text for text in train.texts) == 40 and len(train.texts) == 65
