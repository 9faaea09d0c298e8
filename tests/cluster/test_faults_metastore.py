"""The metastore, or the PostgreSQL behind it, goes away while a day is published: old or new, then mended."""

import threading
import time
from collections.abc import Callable

import pytest

from jobs.warehouse import publish
from jobs.warehouse.publish import Run
from jobs.warehouse.warehouse import Warehouse
from tests.cluster.cluster import CORE
from tests.cluster.night import Night, attempt
from tests.cluster.service import Service

pytestmark = [pytest.mark.cluster, pytest.mark.faults]


def restart(service: Service) -> None:
    """Stopped, and at once started again."""
    service.stop()
    service.start()


def at_audit(monkeypatch: pytest.MonkeyPatch, does: Callable[[], None]) -> None:
    """Have it done when all is staged and nothing is switched."""
    read_back, done = Run.read_back_all, []

    def before(run, *args):  # type: ignore[no-untyped-def]
        if not done:
            done.append(True)
            does()
        return read_back(run, *args)

    monkeypatch.setattr(Run, "read_back_all", before)


def at_switch(monkeypatch: pytest.MonkeyPatch, nth: int, does: Callable[[], None]) -> None:
    """Have it done right before the nth switch of a run."""
    point, calls = Warehouse.set_location, []

    def before(warehouse, *args):  # type: ignore[no-untyped-def]
        calls.append(args)
        if len(calls) == nth:
            does()
        point(warehouse, *args)

    monkeypatch.setattr(Warehouse, "set_location", before)


@pytest.mark.parametrize("name", ["metastore", "postgres"])
def test_a_restart_in_the_middle_costs_only_time(night: Night, monkeypatch, name: str) -> None:
    at_audit(monkeypatch, lambda: restart(night.cluster.services[name]))
    with night.fault(f"{name} restarted between staging and switch") as fault:
        attempt(fault, lambda: night.score(night.next))
        if fault.code:  # a clear refusal, and the old day
            assert fault.code == 4
            night.is_whole(night.current)
            attempt(fault, lambda: night.score(night.next))
    night.is_whole(night.current)


@pytest.mark.parametrize("name", ["metastore", "postgres"])
def test_what_goes_away_between_two_switches_is_finished_by_the_next_run(night: Night, monkeypatch, name: str) -> None:
    service, old, new, back = night.cluster.services[name], night.current, night.next, []

    def away() -> None:
        service.kill()
        if name == "postgres":  # the metastore asks for it again and again, and its client waits as long
            back.append(threading.Thread(target=lambda: (time.sleep(8), service.start())))
            back[0].start()

    at_switch(monkeypatch, 3, away)
    with night.fault(f"{name} killed between two switches", switched_before=2) as fault:
        attempt(fault, lambda: night.score(new))
        for thread in back:
            thread.join(timeout=120)
        night.cluster.start(*CORE)
        if fault.code:
            assert fault.code == 4, fault.message
            assert night.each_table_is_whole(old, new) == 2
            started = time.monotonic()
            publish.finish_pending(night.warehouse)  # as the next run of any scope does first
            fault.seconds = time.monotonic() - started
            night.current = new
    night.is_whole(new)
