"""The lock of a day: one holder at a time, named to the second, and free the moment the holder dies."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from distill.errors import Busy
from jobs.common import locks

HOLD = """
import sys
import threading
from pathlib import Path
from jobs.common import locks
with locks.hold(Path(sys.argv[1]), "the day"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "day.lock"


@pytest.fixture
def other(path: Path):
    """Another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_holder_is_refused_with_the_name_of_the_first(path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(Busy) as refused, locks.hold(path, "2026-11-09 of opinion"):
        pass
    message = str(refused.value)
    assert message.startswith("2026-11-09 of opinion is being written by another run")
    assert f"pid {other.pid} on {socket.gethostname()} since 20" in message


def test_the_lock_is_free_after_the_holder_ended(path: Path, other: subprocess.Popen[str]) -> None:
    other.communicate(input="")
    with locks.hold(path, "the day"):
        assert f"pid {os.getpid()} " in locks.holder(path)


def test_who_is_patient_gets_the_lock_when_it_is_free(path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(Busy, match=f"pid {other.pid} "), locks.hold(path, "the day", patience=0.3):
        pass
    threading.Timer(0.5, other.kill).start()
    with locks.hold(path, "the day", patience=30):
        assert f"pid {os.getpid()} " in locks.holder(path)


def test_the_lock_is_free_after_kill_9_though_its_file_is_still_there(path: Path, other: subprocess.Popen[str]) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert f"pid {other.pid} " in locks.holder(path)
    with locks.hold(path, "the day"):
        assert f"pid {os.getpid()} " in locks.holder(path)


def test_a_refusal_does_not_disturb_the_holder(path: Path, other: subprocess.Popen[str]) -> None:
    for _ in range(2):
        with pytest.raises(Busy, match=f"pid {other.pid} "), locks.hold(path, "the day"):
            pass


def test_the_lock_is_free_after_an_exception(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold(path, "the day"):
        raise ZeroDivisionError
    with locks.hold(path, "the day"):
        pass


@pytest.mark.parametrize("content", ["", "not json", "{}", '{"pid": 1}', "[1]", "1"])
def test_a_lock_file_that_says_nothing_useful_does_not_hide_the_refusal(path: Path, content: str) -> None:
    with locks.hold(path, "the day"):
        path.write_text(content)
        with pytest.raises(Busy, match=r"holder unknown, see .*day\.lock"), locks.hold(path, "the day"):
            pass


def test_two_days_do_not_wait_for_each_other(path: Path, other: subprocess.Popen[str]) -> None:
    with locks.hold(path.with_name("another.lock"), "another day"):
        pass
