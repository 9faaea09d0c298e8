"""Several days: which are skipped, what a failure stops, and what the exit code says."""

import pytest

from distill.errors import BadInput, BadModel, Busy, Held, Infrastructure, OpinionError
from jobs.common.days import WORST_FIRST, between, each


def test_both_ends_count_and_months_and_years_have_their_ends() -> None:
    assert between("2026-12-30", "2027-01-02") == ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02"]
    assert between("2028-02-28", "2028-03-01") == ["2028-02-28", "2028-02-29", "2028-03-01"]
    assert between("2026-11-09", "2026-11-09") == ["2026-11-09"]
    assert between("2026-11-10", "2026-11-09") == []


def test_what_is_done_is_skipped_and_a_failure_stops_no_other_day(capsys: pytest.CaptureFixture[str]) -> None:
    worked = []

    def work(dt: str) -> None:
        worked.append(dt)
        if dt.endswith("10"):
            raise BadInput("raw_opinion has no day 2026-11-10")
        if dt.endswith("12"):
            raise ConnectionError("refused")

    days = between("2026-11-09", "2026-11-13")
    with pytest.raises(BadInput, match="2 of 5 days failed: 2026-11-10, 2026-11-12; the others are published"):
        each(days, lambda dt: dt.endswith("11"), work)
    assert worked == [day for day in days if not day.endswith("11")]
    lines = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert [line.split("  ")[0] for line in lines] == days
    assert lines[0].endswith("  done") and lines[2].endswith("  skipped: done already by this model")
    assert lines[1].endswith("failed with code 2: raw_opinion has no day 2026-11-10")
    assert "failed with code 4: refused" in lines[3] and lines[4].endswith("  done")


def test_without_a_way_to_know_what_is_done_every_day_is_worked() -> None:
    def work(dt: str) -> None:
        if dt.endswith("10"):
            raise BadInput("x")

    with pytest.raises(BadInput, match=r"1 of 2 days failed: 2026-11-10; the others are published$"):
        each(["2026-11-09", "2026-11-10"], None, work)


@pytest.mark.parametrize("better", range(len(WORST_FIRST) - 1))
def test_the_exit_code_is_that_of_the_worst_day(better: int) -> None:
    kinds = {kind.exit_code: kind for kind in (OpinionError, BadInput, BadModel, Infrastructure, Busy, Held)}
    assert sorted(kinds) == sorted(WORST_FIRST)
    raised = iter([kinds[WORST_FIRST[better + 1]]("x"), kinds[WORST_FIRST[better]]("y")])

    def work(dt: str) -> None:
        raise next(raised)

    with pytest.raises(OpinionError) as worst:
        each(["2026-11-09", "2026-11-10"], lambda dt: False, work)
    assert worst.value.exit_code == WORST_FIRST[better]


def test_an_interruption_stops_all() -> None:
    def work(dt: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each(["2026-11-09", "2026-11-10"], lambda dt: False, work)
