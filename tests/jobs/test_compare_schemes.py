"""jobs/compare_schemes.py: a grid is checked before it runs, runs once, and its report says what the table holds."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.evaluation.paired import Difference
from distill.models.registry import Registry
from jobs.common.home import home as home_folder
from jobs.reports.scheme_protocol import differences
from jobs.reports.scheme_report import HEAD, Report, curves_of, gap_closed, table_of, write_report
from jobs.training.grid import Grid, Run, read_grid
from jobs.training.scheme_runs import SchemeRuns
from jobs.warehouse.warehouse import Warehouse
from tests.jobs.tiny_tables import put_labels

GRID = """
experiment = "small"
title = "A small grid"
seeds = [0, 1]
trial_seed = 7
reference = "textCNN"
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
trials = ["--learning-rate 1e-6", "--learning-rate 2e-2"]
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
        (("trial_seed = 7", "trial_seed = 1"), "trials need a trial_seed that is none of the seeds"),
        (("trial_seed = 7", ""), "trials need a trial_seed that is none of the seeds"),
        (("--learning-rate 1e-6", "--learning-rate 0"), "--learning-rate"),
        (("--learning-rate 1e-6", "--learning-rate 2e-2"), "two trials of 'textCNN, small batch' have the same flags"),
        (('reference = "textCNN"', 'reference = "offline"'), "reference 'offline' is the label of no run"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_runs(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        grid(tmp_path, GRID.replace(*change))


def test_flags_name_the_versions_of_models(tmp_path: Path) -> None:
    named = GRID.replace('"--scheme textcnn"', '"--scheme joint-sum --start {warm}"') + '\n[models]\nwarm = "bert@1"\n'
    assert grid(tmp_path, named).run[1].flags == "--scheme joint-sum --start bert@1"
    with pytest.raises(BadInput, match="warm"):
        grid(tmp_path, named.replace("warm =", "cold ="))


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
        "phase",
        "valid_auc",
        "valid_recall",
        "total_cpu_s",
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
    write_report(Report("small", "A title", "jobs/compare_schemes.py --grid x", rows, curves), tmp_path)
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


def trial(flags: str, valid_auc: float, total_cpu_s: float) -> dict[str, Any]:
    return row(
        "offline", 0.0, flags=flags, phase="trial", valid_auc=valid_auc, valid_recall=0.7, total_cpu_s=total_cpu_s
    ) | dict.fromkeys(["auc", "recall", "precision"])


def test_the_report_publishes_every_trial_and_keeps_trials_out_of_the_table(tmp_path: Path) -> None:
    trials = [trial("--epochs 1", 0.9, 70), trial("--epochs 2", 0.93, 80), trial("--epochs 9", 0.95, 120)]
    rows = [*trials, row("textcnn", 0.90), row("offline", 0.94, flags="--epochs 2", phase="final", total_cpu_s=81.0)]
    found = {"offline": {"AUC": Difference(0.04, 0.03, 0.05), "recall": Difference(-0.01, -0.02, 0.005)}}
    report = Report("small", "A title", "x", rows, {}, found, reference="textcnn", budget=100)
    page = write_report(report, tmp_path)
    assert [line.split(" | ")[-2:] for line in page.splitlines() if "`--epochs" in line] == [
        ["70", " |"],
        ["80", "chosen |"],
        ["120", "over the budget |"],
    ]
    table = page[: page.index("## ")]
    assert [line.split(" | ")[:3] for line in table.splitlines()[2:] if line] == [
        ["| textcnn", "1", "0.9000"],
        ["| offline", "1", "0.9400"],
    ]
    assert "+0.0400 (+0.0300 to +0.0500) | -0.0100 (-0.0200 to +0.0050) |" in page
    content = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    assert [run["phase"] for run in content] == ["trial"] * 3 + ["final"] * 2
    assert [run["valid"]["auc"] for run in content[:3]] == [0.9, 0.93, 0.95]
    assert "over the budget" in (tmp_path / "small.html").read_text(encoding="utf-8")


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

    def stopped(one: Run) -> dict[str, Any]:
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(f"{one.label} {one.seed}")
        return run(one)

    first.run = stopped  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.run_missing()
    assert made == [*["textCNN, small batch 7"] * 2, "linear 0", "textCNN 0"]
    again = SchemeRuns(warehouse, registry, small)
    again.run_missing()
    rows = again.rows()
    trials, finals = rows[:2], rows[2:]
    slow, fast = "--batch 16 --learning-rate 1e-6", "--batch 16 --learning-rate 2e-2"
    assert [(r["label"], r["seed"], r["flags"], r["phase"]) for r in trials] == [
        ("textCNN, small batch", 7, slow, "trial"),
        ("textCNN, small batch", 7, fast, "trial"),
    ]
    assert [(r["label"], r["seed"], r["flags"], r["phase"]) for r in finals] == [
        ("linear", 0, "linear", "final"),
        ("textCNN", 0, "--scheme textcnn", "final"),
        ("textCNN", 1, "--scheme textcnn", "final"),
        ("textCNN, small batch", 1, fast, "final"),
    ]
    assert trials[0]["valid_auc"] < trials[1]["valid_auc"], "so that the choice is no accident"
    assert all(r["auc"] is None and r["recall"] is None for r in trials), "nobody looked at test"
    assert all(0.5 < r["auc"] <= 1 and r["wall_s"] > 0 and r["cpu_s"] > 0 for r in finals)
    assert all(0 < r["total_cpu_s"] <= r["cpu_s"] for r in rows), "no teacher, and no validation"
    versions = {r["model_version"] for r in rows} - {None}
    assert len(versions) == 5 and set(registry.versions()) - before == versions
    again.run_missing()
    assert set(registry.versions()) - before == versions, "what is done is not run again"
    assert set(curves_of(registry, rows, again.test_rows)) == {"textCNN", "textCNN, small batch"}
    measured = differences(registry, rows, "textCNN", again.test_rows)
    assert measured.keys() == {"textCNN, small batch"}
    small_budget = SchemeRuns(warehouse, registry, replace(small, budget_cpu_s=1e-3))
    with pytest.raises(BadInput, match=r"no trial of 'textCNN, small batch' is within budget_cpu_s 0\.001"):
        small_budget.run_missing()
    put_labels(warehouse, [(str(i), text, label, splits[i // 2 % 4]) for i, (text, label) in enumerate(texts[:200])])
    assert SchemeRuns(warehouse, registry, small).rows() == [], "other labels, other results"
