"""jobs/again.sh: what may be over in a while is tried again, anything else is the caller's at once."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.common.cli import CHECKOUT


@pytest.fixture
def again(tmp_path):
    """Run it in a checkout whose spark-submit ends with the given codes, one a call; the codes that were used."""
    (tmp_path / "jobs").mkdir()
    shutil.copy(CHECKOUT / "jobs" / "again.sh", tmp_path / "jobs")
    submit = tmp_path / ".venv" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(
        "#!/bin/sh\necho 'WARNING: Using incubator modules: jdk.incubator.vector' >&2\n"
        'printf "%s|" "$@" >> given\necho >> given\nexit $(sed -n "$(wc -l < given)p" codes)\n'
    )
    submit.chmod(0o755)

    def run(*codes: int, **variables: str) -> tuple[int, list[str], str]:
        (tmp_path / "codes").write_text("".join(f"{code}\n" for code in codes))
        done = subprocess.run(
            [str(tmp_path / "jobs" / "again.sh"), "score_opinions", "--dt", "2026-11-09", "--model", "a b"],
            env=os.environ | {"WAIT": "0", "TRIES": "3"} | variables,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, (tmp_path / "given").read_text().splitlines(), done.stderr

    return run


@pytest.mark.parametrize(
    ("codes", "ends", "calls"),
    [
        ((0,), 0, 1),
        ((4, 0), 0, 2),
        ((5, 4, 0), 0, 3),
        ((4, 4, 4, 0), 4, 3),
        ((1,), 1, 1),
        ((2,), 2, 1),
        ((3,), 3, 1),
        ((5, 2, 0), 2, 2),
        ((137,), 137, 1),
        ((45,), 45, 1),
    ],
)
def test_codes(again, codes, ends, calls):
    code, given, said = again(*codes)
    assert (code, len(given)) == (ends, calls)
    assert said.count("\n") == calls - (ends == 0)
    assert not ends or said.endswith(f"score_opinions ended with exit code {ends}\n")
    assert set(given) == {
        "--properties-file|spark_conf/local/spark-defaults.conf|jobs/score_opinions.py|--dt|2026-11-09|--model|a b|"
    }


def test_it_waits_longer_each_time_and_says_so(again):
    _, given, said = again(4, 5, 0, WAIT="1", SUBMIT_FLAGS="--load-spark-defaults --properties-file x.conf")
    assert said.splitlines() == [
        "score_opinions ended with exit code 4; try 2 of 3 in 1 s",
        "score_opinions ended with exit code 5; try 3 of 3 in 2 s",
    ]
    assert all(line.startswith("--load-spark-defaults|--properties-file|x.conf|jobs/") for line in given)


def test_the_crontab_runs_jobs_that_are_there(tmp_path):
    """Each line is run by a shell as cron runs it, with an again.sh that writes down what it was given."""
    lines = (CHECKOUT / "docs" / "schedule" / "crontab").read_text(encoding="utf-8").splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and line[0].isupper())
    for name in ("jobs", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "jobs" / "again.sh").write_text('#!/bin/sh\necho "$@" >> given\necho said\n')
    (tmp_path / "jobs" / "again.sh").chmod(0o755)
    for line in lines:
        if line and line[0].isdigit():
            command = line.split(maxsplit=5)[5].replace("\\%", "%")
            assert "%" not in line.replace("\\%", ""), "cron ends a command at a bare %"
            subprocess.run(
                ["bash", "-c", command],
                env=os.environ | variables | {"CHECKOUT": str(tmp_path), "OPINION_HOME": str(tmp_path)},
                check=True,
            )
    assert (tmp_path / "logs" / "cron.log").read_text() == "said\n" * 5
    given = (tmp_path / "given").read_text().splitlines()
    assert [line.split()[0] for line in given] == [
        *("load_opinions", "score_opinions", "report_day"),
        *("retrain", "report_retrain"),
    ]
    assert all((Path(CHECKOUT) / "jobs" / f"{line.split()[0]}.py").exists() for line in given)
    day = given[1].split()[2]
    assert given[0] == f"load_opinions --dt {day} --input /data/stream/dt={day}.jsonl.gz"
