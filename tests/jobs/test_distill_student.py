"""jobs/distill_student.py: the whole chain from labels to a student that scores, and what is refused before it."""

import re
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest
from pyspark.sql import SparkSession

from distill.errors import BadInput
from distill.logits import fingerprint
from distill.registry import Registry
from distill.text import normalise
from jobs.distill_student import distil, plan_of, schedule
from jobs.student_flags import parser
from tests.conftest import submit
from tests.jobs.conftest import DAY, LABELS, STREAM, Chain
from tests.jobs.tiny_model import add_model


def test_a_textcnn_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    version = add_model("textcnn", 1)
    args = parser().parse_args(["--scheme", "offline", "--teacher", "textcnn", "--embeddings", "teacher"])

    def no_session() -> SparkSession:
        raise AssertionError("it is refused before Spark is started")

    with pytest.raises(BadInput, match=f"a BERT; {version} is a textCNN"):
        distil(no_session, args)


def test_a_route_comes_before_the_epochs_of_the_teacher_itself() -> None:
    """Of two teachers the anchors stand for the first; their logits are numbered after all teachers."""
    flags = "--scheme multi-teacher --teacher bert textcnn --route 10:1 20:2 --epochs 2"
    args = parser().parse_args(flags.split())
    assert schedule(args, 2) == ((2, 1), (3, 1), (3, 1), (0, 1), (0, 1))
    plan = plan_of(args, 2)
    assert (plan.epochs, plan.alpha_soft, len(plan.schedule)) == (5, (1.0, 1.0), 5)


# From here on as their user runs them.


@pytest.mark.spark
@pytest.mark.slow
def test_a_refusal_ends_the_job_before_spark_is_asked_for_anything(tmp_path: Path) -> None:
    done = submit("distill_student", "--scheme", "offline", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "--scheme offline needs one --teacher" in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "metastore_db").exists()


def manifests(home: Path) -> dict[str, Any]:
    registry = Registry(str(home / "registry"))
    return {version: registry.load(version)[1].manifest for version in registry.versions()}


@pytest.mark.spark
@pytest.mark.slow
def test_the_chain_leaves_a_teacher_its_route_and_a_student(chain: Chain) -> None:
    home, said = chain.home, chain.said
    found = manifests(home)
    teacher, student = Registry(str(home / "registry")).resolve("bert"), said[-1].split("saved as ")[1].split()[0]
    assert re.fullmatch(r"offline-\d{8}T\d{6}Z-[0-9a-f]{6}", student)
    anchors = [version for version in found if version.startswith(f"{teacher}-step-")]
    assert anchors and set(chain.versions) == {teacher, student, *anchors}
    assert not list((home / "train").iterdir()), "snapshots and checkpoints are gone"
    rows = found[teacher]["lineage"]["rows"]
    assert sum(rows.values()) == len({normalise(text) for text, _ in LABELS})
    assert found[teacher]["lineage"]["scheme"] == "bert"
    assert found[student]["metrics"]["test"]["rows"] == rows["test"]


@pytest.mark.spark
@pytest.mark.slow
def test_the_lineage_of_the_student_says_what_taught_it(chain: Chain) -> None:
    home, said = chain.home, chain.said
    registry = Registry(str(home / "registry"))
    teacher, bundle = registry.load(registry.resolve("bert"))
    lineage = registry.load(registry.resolve("offline"))[1].manifest["lineage"]
    assert lineage["scheme"] == "offline"
    [of_teacher] = lineage["teachers"]
    assert of_teacher["version"] == teacher
    assert fingerprint(bundle.digest, "float32") in of_teacher["fingerprints"]
    assert of_teacher["train_rows"] == lineage["rows"]["train"]
    assert (lineage["transfer"]["days"], lineage["transfer"]["rows"]) == ([DAY], len(set(STREAM)))
    seen = lineage["rows"]["train"] + lineage["transfer"]["rows"]
    assert [point["rows"] for point in lineage["curve"]] == [seen]
    assert f"training on {seen} texts" in said[-1]
    assert lineage["inside"] == {"teacher": teacher, "embeddings": True, "hint_layer": None, "hint_epochs": 1}
    assert lineage["training"]["temperature"] > 0 and lineage["training"]["alpha_soft"] == [1.0]


@pytest.mark.spark
@pytest.mark.slow
def test_the_student_scores_the_day(chain: Chain) -> None:
    home = chain.home
    student = Registry(str(home / "registry")).resolve("offline")
    done = submit("score_opinions", "--dt", DAY, "--model", student, home=home)
    assert done.returncode == 0, done.stderr
    assert f"read {len(STREAM) + 3} = scored {len(STREAM) + 2} + rejected 1" in done.stdout
    [run] = (home / "data/opinion/score_opinions" / f"dt={DAY}").glob("run=*")
    rows = pads.dataset(run / "table=opinion_score", format="parquet").to_table()
    assert set(rows["model_version"].to_pylist()) == {student} and rows.num_rows == len(STREAM) + 2
