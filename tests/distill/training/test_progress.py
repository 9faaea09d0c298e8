"""A bar is drawn on a terminal and nowhere else, also where spark-submit stands between."""

import os
import pty
import re
import subprocess
import sys
import termios

from distill import CHECKOUT

CODE = "from distill.training.progress import progress_bar; print(sum(progress_bar(range(5), 'epoch 1/1', 0, 5)))"

PARTS = "from distill.training.progress import progress_parts; print(*progress_parts(900, 3, 'logits', 'texts'))"


def run(command: list[str], **variables: str) -> tuple[str, str]:
    """The command's stdout, and its stderr, which is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    done = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | variables, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60
    )
    os.set_blocking(ours, False)
    try:
        seen = os.read(ours, 65536)
    except BlockingIOError:
        seen = b""
    os.close(theirs)
    os.close(ours)
    return done.stdout, seen.decode()


def test_on_a_terminal_there_is_a_bar():
    output, seen = run([sys.executable, "-c", CODE])
    assert output == "10\n" and "epoch 1/1" in seen


def test_spark_submit_may_stand_between():
    """It reads both streams of its Python through a pipe; the terminal is its own stderr."""
    between = ["sh", "-c", f'{sys.executable} -c "{CODE}" 2>&1 | cat']
    output, seen = run(between, PYSPARK_GATEWAY_PORT="1")
    assert output == "10\n" and "epoch 1/1" in seen
    assert run(between)[1] == ""  # nobody's but our own


def test_in_a_log_file_there_is_none(tmp_path):
    with open(tmp_path / "log", "w") as log:
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            cwd=CHECKOUT,
            env=os.environ | {"PYSPARK_GATEWAY_PORT": "1"},
            stdout=log,
            stderr=log,
            timeout=60,
        )
    assert done.returncode == 0 and (tmp_path / "log").read_text() == "10\n"


def test_parts_are_a_bar_on_a_terminal_and_lines_elsewhere():
    output, seen = run([sys.executable, "-c", PARTS])
    assert output == "0 1 2\n" and "logits" in seen and "/900" in seen
    done = subprocess.run([sys.executable, "-c", PARTS], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    lines = [re.sub(r"\d+ texts", "N texts", line) for line in done.stdout.splitlines()]
    assert lines == [
        "part 1 of 3: N texts/s, 0 min left",
        "part 2 of 3: N texts/s, 0 min left",
        "part 3 of 3: N texts/s",
        "0 1 2",
    ]
