"""The user's stderr beside spark-submit: pipes and devices are opened, files are left as they are."""

import os
import subprocess
import sys

import pytest

from distill import CHECKOUT
from distill.user_stderr import opened

# As under spark-submit: the Python's own stderr is a pipe, its parent's is the user's.
CODE = "from distill import user_stderr as u; s = u.user_stderr(); print(s and s.name); s and print('said', file=s)"
BETWEEN = ["sh", "-c", f'{sys.executable} -c "{CODE}" 2>&1 | cat; echo after >&2']
ENVIRONMENT = os.environ | {"PYSPARK_GATEWAY_PORT": "1"}


@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_file_is_neither_emptied_nor_written_beside_its_owner(tmp_path, mode):
    with open(tmp_path / "log", mode) as log:
        log.write("before\n")
        log.flush()
        done = subprocess.run(BETWEEN, cwd=CHECKOUT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=log, timeout=60)
    assert done.stdout == b"None\n" and (tmp_path / "log").read_text() == "before\nafter\n"


def test_a_pipe_is_written_to():
    done = subprocess.run(BETWEEN, cwd=CHECKOUT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stderr == "said\nafter\n"


def test_without_spark_submit_it_is_our_own(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYSPARK_GATEWAY_PORT"}
    with open(tmp_path / "log", "w") as log:
        command = [sys.executable, "-c", CODE]
        subprocess.run(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=log, timeout=60)
    assert (tmp_path / "log").read_text() == "said\n"


def test_what_cannot_be_opened_is_nobodys(tmp_path):
    os.mkfifo(tmp_path / "unread")
    assert opened(str(tmp_path / "unread")) is None, "a pipe that nobody reads is not waited for"
    assert opened(str(tmp_path / "missing")) is None and opened(str(tmp_path)) is None
