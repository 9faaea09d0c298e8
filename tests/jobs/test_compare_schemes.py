"""jobs/compare_schemes.py: a grid is checked before it runs, runs once, and its report says what the table holds."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.models.registry import Registry
from jobs.common.home import home as home_folder
from jobs.reports.scheme_report import HEAD, curves_of, gap_closed, table_of, write_report
from jobs.training.grid import Grid, read_grid
from jobs.training.scheme_runs import SchemeRuns
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.tiny_tables import put_labels

GRID = """
experiment = "small"
title = "A small grid"
seeds = [0, 1]
common = "--epochs 1 --target-precision 0.6"
[[run]]
label = "linear"
flags = "linear"
[[run]]
label = "textCNN"
flags = "--scheme textcnn"
[[run]]
label = "textCNN, small batch"
flags = "--batch 16"
seeds = [1]
"""


def grid(tmp_path: Path, content: str) -> Grid:
    file = tmp_path / "grid.toml"
    file.write_text(content, encoding="utf-8")
    return read_grid(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('experiment = "small"', "experiment ="), "grid.toml"),
        (('title = "A small grid"', ""), "title"),
        (('flags = "linear"', ""), "flags"),
        (('label = "textCNN, small batch"', 'label = "textCNN"'), "two runs have the same label"),
        (('flags = "--batch 16"', 'flags = "--batch 0"'), "--batch"),
        (('experiment = "small"', 'experiment = "../x"'), "experiment '../x'"),
        (("seeds = [0, 1]", "seeds = [0, 1]\nsedes = [2]"), "sedes"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_runs(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        grid(tmp_path, GRID.replace(*change))


def test_no_grid_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file"):
        read_grid(tmp_path / "none.toml")


def row(scheme: str, auc: float, **more: Any) -> dict[str, Any]:
    names = [
        "teacher_version",
        "teacher_auc",
        "teacher_recall",
        "coverage",
        "churn",
        "negative_flips",
        "wall_s",
        "cpu_s",
        "model_version",
    ]
    facts = {"label": scheme, "scheme": scheme, "flags": "", "seed": 0, "labels_hash": "ab"}
    return dict.fromkeys(names) | facts | {"auc": auc, "recall": 2 * auc - 1, "precision": 0.95} | more


def test_the_gap_is_that_between_textcnn_and_teacher() -> None:
    rows = [row("textcnn", 0.90), row("textcnn", 0.92), row("bert", 0.96), row("offline", 0.93), row("offline", 0.95)]
    assert gap_closed(rows[3:], rows, "auc") == pytest.approx(0.6)  # (0.94 - 0.91) / (0.96 - 0.91)
    assert gap_closed(rows[3:], rows[2:], "auc") is None, "without the lower end there is no gap"
    cells = table_of(rows)[-1]
    assert cells[1:4] == ["2", "0.9400 ± 0.0141", "0.880 ± 0.028"] and cells[5:7] == ["60%", "60%"]
    assert cells[-3:] == ["0.773", "0.63", ""] and len(cells) == len(HEAD)


def test_the_report_is_whole_and_needs_nothing_beside_it(tmp_path: Path) -> None:
    rows = [row("textcnn", 0.90), row("bert", 0.96), row("offline", 0.93, label="<offline> & more")]
    curves = {"offline": (np.array([1.0, 0.5]), np.array([0.9, 1.0]))}
    write_report(rows, curves, "small", "A title", "jobs/compare_schemes.py --grid x", tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {
        "small.json",
        "small.md",
        "small.html",
        "small-pr.png",
        "small-gap.png",
    }
    runs = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    assert [run["student"]["auc"] for run in runs] == [0.90, 0.96, 0.93]
    page = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert "&lt;offline&gt; &amp; more" in page and "<offline>" not in page
    assert page.count("data:image/png;base64,") == 2 and not re.search(r'(?:src|href)="(?!data:)', page)


@pytest.mark.spark
@pytest.mark.slow
def test_a_grid_runs_once_and_goes_on_where_it_was(spark: SparkSession, database: str, tmp_path: Path) -> None:
    warehouse = Warehouse(spark, database)
    texts = [(f"退款三个月没到账{i}号" if i % 2 else f"这家店的菜真好吃{i}号", i % 2) for i in range(240)]
    splits = ["train", "train", "valid", "test"]
    put_labels(warehouse, [(str(i), text, label, splits[i // 2 % 4]) for i, (text, label) in enumerate(texts)])
    registry = Registry(str(home_folder() / "registry"))
    before = set(registry.versions())
    small = grid(tmp_path, GRID)
    first = SchemeRuns(warehouse, registry, small)
    made: list[str] = []
    run = first.run

    def stopped(entry: Any, seed: int) -> dict[str, Any]:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(f"{entry.label} {seed}")
        return run(entry, seed)

    first.run = stopped  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.run_missing()
    assert made == ["linear 0", "textCNN 0"]
    again = SchemeRuns(warehouse, registry, small)
    again.run_missing()
    rows = again.rows()
    assert [(r["label"], r["seed"]) for r in rows] == [
        ("linear", 0),
        ("textCNN", 0),
        ("textCNN", 1),
        ("textCNN, small batch", 1),
    ]
    assert all(0.5 < r["auc"] <= 1 and r["wall_s"] > 0 and r["cpu_s"] > 0 for r in rows)
    versions = {r["model_version"] for r in rows} - {None}
    assert len(versions) == 3 and set(registry.versions()) - before == versions
    again.run_missing()
    assert set(registry.versions()) - before == versions, "what is done is not run again"
    assert set(curves_of(registry, rows, again.test_rows)) == {"textCNN", "textCNN, small batch"}
    put_labels(warehouse, [(str(i), text, label, splits[i // 2 % 4]) for i, (text, label) in enumerate(texts[:200])])
    assert SchemeRuns(warehouse, registry, small).rows() == [], "other labels, other results"
