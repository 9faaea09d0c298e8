"""The DAG file in a real Airflow, which has an environment of its own: `make test-airflow`."""

import os
from pathlib import Path

import pytest

pytest.importorskip("airflow", reason="Airflow has an environment of its own: make test-airflow")

import pendulum
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

FILE = Path(__file__).resolve().parents[2] / "docs" / "schedule" / "opinion_dag.py"
ZONE = "Asia/Shanghai"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose spark-submit says what it was given and ends with the code in the file `code`."""
    folder = tmp_path_factory.mktemp("checkout")
    submit = folder / ".venv" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text('#!/bin/sh\necho "$@" > given\necho "error: 第二行"\nexit $(cat code)\n', encoding="utf-8")
    submit.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def bag(checkout):
    os.environ["OPINION_CHECKOUT"] = str(checkout)
    return DagBag(dag_folder=str(FILE), bundle_path=FILE.parent, bundle_name="docs")


def test_it_is_two_dags_without_an_error(bag):
    assert bag.import_errors == {}
    nightly, weekly = bag.dags["opinion_nightly"], bag.dags["opinion_weekly"]
    assert [task.task_id for task in nightly.topological_sort()] == ["load_opinions", "score_opinions", "report_day"]
    assert [task.task_id for task in weekly.topological_sort()] == ["retrain", "report_retrain"]
    assert bag.dags["opinion_threshold"].task_ids == ["calibrate_threshold"]
    assert all(task.retries > 0 and task.retry_exponential_backoff for dag in (nightly, weekly) for task in dag.tasks)


def test_the_night_scores_the_day_that_has_ended_in_beijing(bag):
    nightly = bag.dags["opinion_nightly"]
    seen = DagSerialization.from_dict(DagSerialization.to_dict(nightly))  # as the scheduler sees it
    begin = pendulum.datetime(2026, 11, 9, 1, 30, tz=ZONE)
    since = TimeRestriction(begin, None, catchup=True)
    run = seen.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=since)
    assert run.run_after == pendulum.datetime(2026, 11, 10, 1, 30, tz=ZONE)
    for task in nightly.tasks:
        flags = task.render_template(task.flags, {"data_interval_start": run.data_interval.start})
        assert flags[:2] == ["--dt", "2026-11-09"]
    assert nightly.get_task("load_opinions").flags[3].count("data_interval_start") == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [(0, None), (4, AirflowException), (5, AirflowException)]
    + [(code, AirflowFailException) for code in (1, 2, 3, 137)],
)
def test_only_what_may_be_over_in_a_while_is_tried_again(bag, checkout, code, kind):
    (checkout / "code").write_text(str(code))
    task = bag.dags["opinion_weekly"].get_task("retrain")
    try:
        task.execute({})
    except AirflowException as e:
        assert type(e) is kind  # AirflowFailException is the one that Airflow does not try again
        assert f"exit code {code}: error: 第二行" in str(e)
    else:
        assert kind is None
    given = (checkout / "given").read_text()
    assert given == "--properties-file spark_conf/local/spark-defaults.conf jobs/retrain.py\n"
