"""jobs/distill_student.py: what is refused, and its schedule; tests/jobs/test_chain.py trains with it."""

from pathlib import Path

import pytest

from distill.errors import BadInput
from jobs.common.options import from_flags
from jobs.training.student_flags import StudentTraining, parser
from jobs.training.student_training import distil
from jobs.warehouse.warehouse import Warehouse
from tests.conftest import submit
from tests.jobs.tiny_model import add_model


def test_a_textcnn_cannot_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINION_HOME", str(tmp_path))
    version = add_model("textcnn", 1)
    options = StudentTraining(scheme="offline", teacher=("textcnn",), embeddings="teacher")

    def no_warehouse() -> Warehouse:
        raise AssertionError("it is refused before Spark is started")

    with pytest.raises(BadInput, match=f"a BERT; {version} is not one"):
        distil(no_warehouse, options, "offline-20261123T201500Z-1a2b3c")


def test_a_route_comes_before_the_epochs_of_the_teacher_itself() -> None:
    """Of two teachers the anchors stand for the first; their logits are numbered after all teachers."""
    flags = "--scheme multi-teacher --teacher bert textcnn --route 10:1 20:2 --epochs 2"
    options = from_flags(StudentTraining, parser().parse_args(flags.split()))
    assert options.schedule() == ((2, 1), (3, 1), (3, 1), (0, 1), (0, 1))
    config = options.config()
    assert (config.epochs, config.alpha_soft, len(config.schedule)) == (5, (1.0, 1.0), 5)


@pytest.mark.spark
@pytest.mark.slow
def test_a_refusal_ends_the_job_before_spark_is_asked_for_anything(tmp_path: Path) -> None:
    done = submit("distill_student", "--scheme", "offline", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "--scheme offline needs one --teacher" in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "metastore_db").exists()
