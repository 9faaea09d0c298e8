"""Time and memory of the processes of a line of the scoring benchmark."""

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

LINE = "OPINION_BENCH_LINE"  # in the environment of a line's workers


@dataclass
class Used:
    """Seconds of processors, and the highest resident memory seen, in MiB."""

    worker_s: float = 0
    jvm_s: float = 0
    worker_mib: float = 0
    jvm_mib: float = 0


@contextlib.contextmanager
def resource_usage(line: str) -> Iterator[Used]:
    """Watch the JVM and the Python workers of a line while the block runs."""
    used, ended = Used(), threading.Event()
    jvm = psutil.Process(os.getppid())
    spent: dict[int, list[float]] = {}  # a process's seconds, as first and as last seen

    def look() -> None:
        spent.setdefault(jvm.pid, [seconds_of(jvm)])[1:] = [seconds_of(jvm)]
        used.jvm_mib = max(used.jvm_mib, jvm.memory_info().rss / 2**20)
        for process in jvm.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and process.environ().get(LINE) == line:
                    spent.setdefault(process.pid, [seconds_of(process)])[1:] = [seconds_of(process)]
                    used.worker_mib = max(used.worker_mib, process.memory_info().rss / 2**20)

    def watch() -> None:
        while not ended.wait(0.1):
            look()

    look()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield used
    finally:
        ended.set()
        watcher.join()
        look()
        took = {pid: last - first for pid, (first, last) in spent.items()}
        used.jvm_s = took.pop(jvm.pid)
        used.worker_s = sum(took.values())


def seconds_of(process: psutil.Process) -> float:
    """Seconds of processors that a process has had."""
    times = process.cpu_times()
    return float(times.user + times.system)
