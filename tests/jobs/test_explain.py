"""jobs/explain.py as its user runs it: without Spark for a text, from the tables for an opinion; the columns add up."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer
from jobs.explain import stored_lines, stored_opinion
from jobs.warehouse.tables import OPINION_SCORE, RAW_OPINION, SCORING_RUN
from jobs.warehouse.warehouse import Warehouse
from tests.conftest import ROOT
from tests.jobs.tiny_model import TEXTS, add_model
from tests.jobs.tiny_tables import put

TEXT = f"{TEXTS[0]}，{TEXTS[4]}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A home with two versions, the first of which is the champion."""
    folder = tmp_path_factory.mktemp("explained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPINION_HOME", str(folder))
        versions = [add_model("tiny", seed) for seed in (1, 2)]
    Registry(str(folder / "registry")).promote(versions[0], "the first")
    return folder, versions


def explain(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the job as plain Python, with no Java on the PATH."""
    environment = os.environ | {"OPINION_HOME": str(folder), "PATH": "/nonexistent"}
    environment.pop("PYSPARK_GATEWAY_PORT", None)
    command = [".venv/bin/python", "jobs/explain.py", *args]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_a_text_is_explained_without_spark_and_the_columns_sum_to_the_margins(models) -> None:  # type: ignore[no-untyped-def]
    folder, versions = models
    done = explain(folder, "--text", TEXT, "--against", versions[1], "--top", "6")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"text: {TEXT.replace('，', ',')}"
    for name, version in zip("AB", versions, strict=True):
        scorer = Scorer(Registry(str(folder / "registry")).load(version).bundle)
        score = scorer.score([TEXT]).scores[0]
        decision = "a valid complaint" if score >= scorer.threshold else "junk"
        assert f"{name}: {version}, {decision}, score {score:.4f}, threshold 0.5000" in lines
    rows = [(re.findall(r"[+-]\d+\.\d{4}", line), line) for line in lines]
    numbers = [([float(cell) for cell in cells], line) for cells, line in rows if len(cells) == 2]
    assert "valid complaint" in numbers[0][1] and numbers[0][0] == [0, 0]
    margin, parts = numbers[1], numbers[2:]
    assert "margin here" in margin[1] and len(parts) == 6 + 2
    np.testing.assert_allclose(np.sum([cells for cells, _ in parts], axis=0), margin[0], atol=1e-3)
    starts = {line.index(line[22:].strip()[0], 22) for _, line in parts}
    assert starts == {22}, "the n-grams stand in one column"


def test_the_json_says_the_same_for_machines(models) -> None:  # type: ignore[no-untyped-def]
    folder, versions = models
    done = explain(folder, "--text", TEXT, "--model", versions[1], "--json")
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    [model] = content["models"]
    assert model["version"] == versions[1] and content["stored"] is None
    assert all(content["text"][ngram["start"] : ngram["end"]] == ngram["ngram"] for ngram in model["ngrams"])
    total = model["base"] + model["others"]["margin"] + sum(ngram["margin"] for ngram in model["ngrams"])
    assert total == pytest.approx(model["margin"], abs=1e-4)
    strengths = [abs(ngram["margin"]) for ngram in model["ngrams"]]
    assert strengths == sorted(strengths, reverse=True) and strengths


def test_the_champion_decides_at_its_operating_threshold(models, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder, (first, second) = shutil.copytree(models[0], tmp_path / "home"), models[1]
    registry = Registry(str(folder / "registry"))
    registry.promote(first, "x")
    registry.set_threshold(first, {"value": 0.9}, "x")
    done = explain(folder, "--text", TEXT, "--against", second, "--json")
    assert done.returncode == 0, done.stderr
    thresholds = {model["version"]: model["threshold"] for model in json.loads(done.stdout)["models"]}
    assert thresholds == {first: pytest.approx(0.9), second: 0.5}
    assert registry.load(first).threshold == np.float32(0.9) and registry.load(second).threshold == np.float32(0.5)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--text", "！！！"], 2, "the text has no score: no_word_character"),
        (["--text", "好", "--dt", "2026-11-09"], 2, "--opinion-id and --dt belong together"),
        (["--opinion-id", "a", "--dt", "2026-11-09"], 2, "start it with spark-submit"),
        (["--text", "好", "--top", "0"], 2, "--top must be 1 or more"),
        (["--text", "好", "--against", "nothing"], 3, "no model nothing"),
        ([], 2, "one of the arguments --text --opinion-id is required"),
    ],
)
def test_what_cannot_be_explained_is_one_line(models, flags: list[str], code: int, message: str) -> None:  # type: ignore[no-untyped-def]
    done = explain(models[0], *flags)
    assert done.returncode == code and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ") and message in line


@pytest.mark.spark
def test_an_opinion_is_the_row_of_its_id_that_was_scored(
    spark: SparkSession, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "0")
    warehouse, day = Warehouse(spark, database), "2026-11-09"
    put(
        warehouse,
        RAW_OPINION,
        {"dt": day},
        [("a", "二", "web", None), ("a", "一", "web", None), ("b", "", "web", None)],
    )
    put(warehouse, OPINION_SCORE, {"dt": day}, [("a", 0.25, False, "tiny-1", "run")])
    alone = {"version": "tiny-1", "score": 0.25, "student_score": None, "reader_score": None, "second_reader": None}
    assert stored_opinion(database, day, "a") == ("一", alone)
    assert stored_opinion(database, day, "b") == ("", None)
    with pytest.raises(BadInput, match="has no opinion c on 2026-11-09"):
        stored_opinion(database, day, "c")


@pytest.mark.spark
def test_an_opinion_that_a_second_reader_decided_shows_what_each_gave(
    spark: SparkSession, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "0")
    warehouse, day = Warehouse(spark, database), "2026-11-09"
    put(warehouse, RAW_OPINION, {"dt": day}, [("a", "一", "web", None)])
    put(warehouse, OPINION_SCORE, {"dt": day}, [("a", 0.25, False, "tiny-1", "run", 0.75, 0.125, "second reader")])
    run = dict.fromkeys(SCORING_RUN.columns) | {"run_id": "run", "second_reader": "bert-1"}
    put(warehouse, SCORING_RUN, {"dt": day}, [tuple(run.values())])
    stored = stored_opinion(database, day, "a")[1]
    assert stored and stored_lines(stored) == [
        "score of the day: 0.2500 by tiny-1",
        "decided with the second reader bert-1: it gave 0.1250, the student 0.7500",
    ]
