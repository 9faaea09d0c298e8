"""A server process of the test cluster: started once, looked at, stopped or killed, started again on the same port."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

START_SECONDS = 300.0  # alone some take 15, on a busy machine many times that
STOP_SECONDS = 30.0


class Service:
    """One server process; its folder holds its port, its pid and its log, so that any process can find it."""

    user: str | None = None
    stop_by = signal.SIGTERM

    def __init__(self, folder: Path, env: dict[str, str], command: Sequence[str | Path] = ()):
        """Nothing is started yet; {port} in the command and in the environment stands for the port to listen on."""
        self.folder, self.name, self.env, self._command = folder, folder.name, env, command
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """The command that starts it."""
        return [str(part).replace("{port}", str(self.port)) for part in self._command]

    def prepare(self) -> None:
        """Prepare the folders and files that it starts with."""

    @property
    def port(self) -> int:
        """A port on loopback that was free at the first call, then always the same."""
        file = self.folder / "port"
        if not file.exists():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                file.write_text(str(probe.getsockname()[1]))
        return int(file.read_text())

    @property
    def log(self) -> str:
        """All that it has printed."""
        file = self.folder / "log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def process(self) -> psutil.Process | None:
        """The running process; None when it does not run. A pid that was given to another process is not it."""
        try:
            pid, created = (self.folder / "pid").read_text().split()
            process = psutil.Process(int(pid))
            return process if process.create_time() == float(created) and process.status() != "zombie" else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self) -> None:
        """Start it unless it runs, and wait until its port answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until its port answers; raises RuntimeError with the end of its log when it has ended instead."""
        self._wait(self.answers, START_SECONDS, "does not answer")

    def launch(self) -> None:
        """Start it unless it runs."""
        if self.process() is None:
            self.prepare()
            with open(self.folder / "log", "ab") as log:
                started = subprocess.Popen(
                    self.command(),
                    cwd=self.folder,
                    env={name: value.replace("{port}", str(self.port)) for name, value in self.env.items()},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    user=self.user,
                )
            created = psutil.Process(started.pid).create_time()
            (self.folder / "pid").write_text(f"{started.pid} {created!r}")

    def answers(self) -> bool:
        """Whether somebody listens on the port; raises RuntimeError when the process is gone."""
        if self.process() is None:
            raise RuntimeError(f"{self.name} has ended:\n{self.log[-3000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ask it to end, and wait until it has; nothing happens when it does not run."""
        self._signal(self.stop_by)

    def kill(self) -> None:
        """kill -9, with all that it has started."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        process = self.process()
        if process is None:
            return
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        self._wait(lambda: self.process() is None, STOP_SECONDS, "does not end")

    def _wait(self, true: Callable[[], bool], seconds: float, otherwise: str) -> None:
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} {otherwise} after {seconds:.0f} s:\n{self.log[-3000:]}")
            time.sleep(0.1)
