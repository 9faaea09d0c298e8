"""A night with a second reader on the cluster, by its command: executors read the texts, and both readers decide."""

import pytest

from distill.models.registry import Registry
from distill.scoring.scorer import probability_of
from distill.scoring.second_reader import rounded_margins
from distill.text.normalisation import normalise, text_hash
from jobs.warehouse.tables import TEACHER_LOGIT
from jobs.warehouse.warehouse import Warehouse
from tests.cluster.night import Night
from tests.jobs import read_day, tiny_model, tiny_teacher
from tests.jobs.read_day import DAY, STREAM, run_of, scores_of

pytestmark = pytest.mark.cluster

DATABASE, READ = "second_reader", 40


def test_executors_read_the_nearest_texts_and_both_readers_decide(night: Night, tmp_path) -> None:
    model, teacher = tiny_model.add_model("read", 1), tiny_teacher.add_teacher(tmp_path, 1)
    Registry(str(night.cluster.home / "registry")).promote(model, "for its second reader")
    warehouse = Warehouse(night.warehouse.spark, DATABASE)
    read_day.put_day(warehouse)
    read_day.put_labels(warehouse, model, teacher)
    flags = ("--database", DATABASE, "--second-reader", "bert", "--read", str(READ), "--second-reader-required")
    done = night.cluster.submit("score_opinions", "--dt", DAY, *flags, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"second reader {teacher}: {READ} texts ({READ} computed" in done.stdout
    run, scores = run_of(warehouse), scores_of(warehouse)
    assert (run.second_reader, run.reader_texts, run.warning) == (teacher, READ, None)
    read = {i: scores[f"id-{i}"] for i in range(len(STREAM)) if scores[f"id-{i}"][4] == "second reader"}
    assert len(read) == READ
    alone = probability_of(rounded_margins(tiny_teacher.logits_alone(teacher, [STREAM[i] for i in read])))
    assert [row[3] for row in read.values()] == alone.tolist()
    assert all((score >= run.threshold) == valid for score, valid, *_ in scores.values())
    stored = {row.text_hash for row in warehouse.read(TEACHER_LOGIT, teacher=teacher, dt=f"read-{DAY}").collect()}
    assert stored == {text_hash(normalise(STREAM[i])) for i in read}
