"""A day that is scored while executors, workers and rows fail: it ends whole, or refused with the old day in place."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from distill.scoring.scorer import Scorer
from jobs.scoring import worker
from jobs.warehouse.tables import OPINION_SCORE, REJECTED_OPINION
from tests.cluster.night import DAY, Night, attempt

pytestmark = [pytest.mark.cluster, pytest.mark.faults]

MARKED = f"{DAY}-250"  # the row at which something happens
score_batch = worker.score_batch


def at_the_marked_row(does: Callable[[], None]) -> Callable[..., Any]:
    """A `score_batch` that does that where the marked row is; Spark ships local functions by value."""
    marked, original = MARKED, score_batch

    def scoring(scorer: Scorer, batch: Any, chosen: Any) -> Any:
        if marked in batch.column("opinion_id").to_pylist():
            does()
        yield from original(scorer, batch, chosen)

    return scoring


def once(marker: Path, does: Callable[[], None]) -> Callable[[], None]:
    """`does`, the first time in any process."""
    name = str(marker)

    def first() -> None:
        if not os.path.exists(name):
            open(name, "w").close()
            does()

    return first


def killing_executor() -> Callable[[], None]:
    def kill() -> None:
        java = next(parent for parent in psutil.Process().parents() if parent.name() == "java")
        java.kill()
        time.sleep(60)  # with its executor gone this worker is ended too

    return kill


def killing_worker() -> Callable[[], None]:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return kill


@pytest.mark.parametrize(
    ("name", "kill"), [("an executor killed mid-score", killing_executor), ("a Python worker killed", killing_worker)]
)
def test_a_process_killed_once_costs_only_time(night: Night, tmp_path, monkeypatch, capfd, name, kill) -> None:
    monkeypatch.setattr(worker, "score_batch", at_the_marked_row(once(tmp_path / "marker", kill())))
    with night.fault(name) as fault:
        attempt(fault, lambda: night.score(night.next))
        assert fault.code == 0, fault.message
    assert (tmp_path / "marker").exists(), "it was killed"
    assert "a Python worker died" not in capfd.readouterr().out, "the usual pass was enough"
    night.is_whole(night.current)


def test_a_machine_lost_mid_score_costs_only_time(night: Night, tmp_path, monkeypatch) -> None:
    """The worker daemon and all it has started, killed when its executor has the marked row."""
    pids, go = tmp_path / "pid", str(tmp_path / "pid")

    def wait() -> None:
        with open(go, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60)

    monkeypatch.setattr(worker, "score_batch", at_the_marked_row(once(pids, wait)))

    def lose() -> None:
        until = time.monotonic() + 120
        while not (pids.exists() and pids.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        above = {parent.pid for parent in psutil.Process(int(pids.read_text())).parents()}
        [machine] = [w for w in night.cluster.workers if (process := w.process()) and process.pid in above]
        machine.kill()

    killer = threading.Thread(target=lose)
    killer.start()
    with night.fault("a machine lost mid-score") as fault:
        attempt(fault, lambda: night.score(night.next))
        killer.join(timeout=120)
        assert fault.code == 0, fault.message
    assert sum(w.process() is None for w in night.cluster.workers) == 1
    night.is_whole(night.current)


def exhausting_memory() -> Callable[[], None]:
    def eat() -> None:
        import resource

        import numpy as np
        import psutil

        most = psutil.Process().memory_info().vms + (300 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        eaten = []
        while True:
            eaten.append(np.ones(1 << 22))

    return eat


@pytest.mark.parametrize(
    ("name", "kill"),
    [("a row that kills its worker", killing_worker), ("a row that exhausts memory", exhausting_memory)],
)
def test_a_poisoned_row_is_set_aside_and_the_day_completes(night: Night, monkeypatch, capfd, name, kill) -> None:
    monkeypatch.setattr(worker, "score_batch", at_the_marked_row(kill()))
    with night.fault(name, rejected={"kills_scorer": 1}) as fault:
        attempt(fault, lambda: night.score(night.next))
        assert fault.code == 0, fault.message
    assert "a Python worker died" in capfd.readouterr().out
    audit = night.audit()
    assert audit.rejected_by_reason["kills_scorer"] == 1
    assert audit.rows_read == audit.rows_scored + audit.rows_rejected == night.rows
    aside = night.warehouse.read(REJECTED_OPINION, dt=DAY).where("reason = 'kills_scorer'").collect()
    assert [row.opinion_id for row in aside] == [MARKED]
    assert aside[0].content, "the text is kept"
    ids = [row.opinion_id for row in night.warehouse.read(OPINION_SCORE, dt=DAY).collect()]
    assert MARKED not in ids and len(ids) == len(set(ids)) == audit.rows_scored
    monkeypatch.undo()
    night.score(night.current)
    night.is_whole(night.current)


def test_a_task_that_fails_on_every_attempt_leaves_the_old_day_and_no_text_in_any_log(
    night: Night, monkeypatch
) -> None:
    text = "我的电话是13800138000，请马上退款"

    def fail() -> None:
        raise ValueError(f"cannot score {text}")

    monkeypatch.setattr(worker, "score_batch", at_the_marked_row(fail))
    folders = night.look()["folders"]
    with night.fault("a task that fails on every attempt") as fault:
        attempt(fault, lambda: night.score(night.next))
        assert fault.code == 1, fault.message  # a bug: it would be raised again
        assert fault.message.startswith("a Python worker failed: ValueError, its message left out")
    night.is_whole(night.current)
    assert night.look()["folders"] == folders, "what was staged is gone"
    logs = night.logs() + fault.message
    assert "ValueError, its message left out" in logs
    for secret in ("13800138000", "马上退款", "cannot score"):
        assert secret not in logs
    monkeypatch.undo()
    night.score(night.current)


@contextmanager
def nearly_full(folder: Path, room: int, aside: Path) -> Iterator[None]:
    """A file system of its own in the folder's place, with the folder's files and so many bytes free."""
    shutil.copytree(folder, aside)
    used = sum(-(-file.stat().st_size // 4096) * 4096 for file in folder.rglob("*") if file.is_file())
    size = f"size={used + room}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield
    finally:
        # Lazy: an executor may have a file of it open still.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_full_at_write_leaves_the_old_day(night: Night, tmp_path: Path) -> None:
    unit = night.cluster.home / "data" / "faults" / "score_opinions" / f"dt={DAY}"
    with nearly_full(unit, 8192, tmp_path / "aside"):
        before = sorted(unit.rglob("*"))
        with night.fault("disk full at write") as fault:
            attempt(fault, lambda: night.score(night.next))
            assert fault.code == 4 and "no space left" in fault.message
        night.is_whole(night.current)
        assert sorted(unit.rglob("*")) == before, "what was staged is gone"
    night.score(night.next)
    night.is_whole(night.current)
