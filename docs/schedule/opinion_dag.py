"""Airflow: a day is loaded and scored every night, the threshold chosen every evening, a challenger trained every week.

Copy this file into the folder of DAGs. It knows the checkout and the stream by variables of Airflow's environment.
"""

import os

import pendulum
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

CHECKOUT = os.environ.get("OPINION_CHECKOUT", "/opt/opinion-distill")
STREAM = os.environ.get("OPINION_STREAM", "/data/stream/dt={day}.jsonl.gz")
SUBMIT_FLAGS = os.environ.get("SUBMIT_FLAGS", "--properties-file spark_conf/local/spark-defaults.conf").split()
ZONE = "Asia/Shanghai"
# The day that has ended, as people here call it: {{ ds }} is the day in UTC, another one for most of the night.
DAY = f"{{{{ data_interval_start.in_timezone('{ZONE}').to_date_string() }}}}"
# Infrastructure failed, or another run has the day: both may be over in a while.
AGAIN = {4, 5}


class JobOperator(BaseOperator):
    """A job of the checkout; its exit code says whether it is worth trying again."""

    template_fields = ("flags",)

    def __init__(self, *, job: str, flags: list[str], **options):
        super().__init__(task_id=job, **options)
        self.job, self.flags = job, flags

    def execute(self, context) -> None:
        """Run the job; its last line is in the log of the task, and in the error."""
        self.hook = SubprocessHook()
        command = [".venv/bin/spark-submit", *SUBMIT_FLAGS, f"jobs/{self.job}.py", *self.flags]
        done = self.hook.run_command(command, cwd=CHECKOUT)
        said = f"{self.job} ended with exit code {done.exit_code}: {done.output}"
        if done.exit_code in AGAIN:
            raise AirflowException(said)
        if done.exit_code:
            raise AirflowFailException(said)

    def on_kill(self) -> None:
        """End the job with its task."""
        self.hook.send_sigterm()


COMMON = {
    "start_date": pendulum.datetime(2026, 11, 1, tz=ZONE),
    "catchup": False,  # of days that were missed see docs/operations.md
    "max_active_runs": 1,
    "default_args": {
        "retries": 5,
        "retry_delay": pendulum.duration(minutes=1),
        "retry_exponential_backoff": True,
    },
}

with DAG("opinion_nightly", schedule=CronDataIntervalTimetable("30 1 * * *", timezone=ZONE), **COMMON):
    # Three tasks, and not the job `night` that does them in one start: each has its retries, its log and its time here.
    load = JobOperator(job="load_opinions", flags=["--dt", DAY, "--input", STREAM.format(day=DAY)])
    score = JobOperator(job="score_opinions", flags=["--dt", DAY])
    load >> score >> JobOperator(job="report_day", flags=["--dt", DAY])

# After people have labelled the night's sample and load_labels has run.
with DAG("opinion_threshold", schedule=CronDataIntervalTimetable("0 20 * * *", timezone=ZONE), **COMMON):
    JobOperator(job="calibrate_threshold", flags=[])

with DAG("opinion_weekly", schedule=CronDataIntervalTimetable("0 4 * * 6", timezone=ZONE), **COMMON):
    JobOperator(job="retrain", flags=[]) >> JobOperator(job="report_retrain", flags=[])
