"""Several days in turn: a finished day is skipped, and a failed one does not stop the others."""

import argparse
import logging
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from distill.errors import BadInput, OpinionError
from jobs.common.cli import day
from jobs.common.failures import error_of, print_stderr
from jobs.common.privacy import mask_numbers

log = logging.getLogger("opinion")

# Exit codes by urgency; the last ones disappear when the job runs again.
WORST_FIRST = (1, 3, 2, 6, 4, 5)


def add_days(parser: argparse.ArgumentParser, one: str, first: str, last: str) -> None:
    """The flags that name one day or several, with their help."""
    parser.add_argument("--dt", type=day, help=one)
    parser.add_argument("--from", type=day, dest="first", metavar="DT", help=first)
    parser.add_argument("--to", type=day, dest="last", metavar="DT", help=last)


def days_of(args: argparse.Namespace) -> list[str]:
    """The days that the flags name; raises BadInput for flags that do not fit together."""
    if bool(args.dt) == bool(args.first or args.last) or (not args.dt and not (args.first and args.last)):
        raise BadInput("name one day with --dt, or several with both --from and --to")
    days = [args.dt] if args.dt else between(args.first, args.last)
    if not days:
        raise BadInput(f"--from {args.first} is after --to {args.last}")
    return days


def between(first: str, last: str) -> list[str]:
    """The days from the first to the last, inclusive; empty when the last is before the first."""
    begin = date.fromisoformat(first)
    return [str(begin + timedelta(days)) for days in range((date.fromisoformat(last) - begin).days + 1)]


def each(days: Sequence[str], is_done: Callable[[str], bool] | None, work: Callable[[str], None]) -> None:
    """Do the work for every day that is not done (for all without `is_done`), then print the result of each.

    Raises the worst kind of error among the failed days, with their names.
    """
    outcomes, failed = {}, {}
    for number, dt in enumerate(days, 1):
        try:
            if is_done and is_done(dt):
                outcomes[dt] = "skipped: done already by this model"
                continue
            print(f"{dt} ({number} of {len(days)})", flush=True)
            work(dt)
            outcomes[dt] = "done"
        except Exception as e:
            failed[dt] = e if isinstance(e, OpinionError) else error_of(e)
            log.exception("%s failed", dt)
            outcomes[dt] = f"failed with code {failed[dt].exit_code}: {mask_numbers(' '.join(str(failed[dt]).split()))}"
            print_stderr(f"{dt}  {outcomes[dt]}")
    print("\n".join(["", *(f"{dt}  {what}" for dt, what in outcomes.items())]), flush=True)
    if failed:
        worst = min(failed.values(), key=lambda error: WORST_FIRST.index(error.exit_code))
        of = f"{len(failed)} of {len(days)} days failed"
        again = ", and a run again skips them" if is_done else ""
        raise type(worst)(f"{of}: {', '.join(failed)}; the others are published{again}") from worst
