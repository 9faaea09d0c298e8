"""The night of one day or of several, in one start of Spark: load, score, report.

Each step is the job of that name (load_opinions, score_opinions, report_day), with its lock and its exit code. One that
fails stops those after it, and its exit code is the night's; what the steps before it published stays.
"""

import functools

from jobs.common.cli import Parser, job_parser
from jobs.common.days import add_days, each
from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.common.options import add_options, from_flags
from jobs.ingest.load_flags import Loading, days_and_loading
from jobs.scoring.scoring_flags import ReaderOptions, ScoringRun


def main() -> None:
    """Do the steps for the day, or for each day."""
    args = parser().parse_args()
    days, loading = days_and_loading(args)
    ScoringRun.check(args.sample)
    reader = from_flags(ReaderOptions, args)
    # Late: Spark and numba take seconds, which --help and a wrong flag need not wait for.
    from jobs.steps.load_day import load
    from jobs.steps.report_day import report
    from jobs.steps.score_day import loaded, score
    from jobs.steps.second_reading import checked_reader
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    warehouse = Warehouse(spark_session("night"), args.database)

    # After the first day is loaded, which needs no model, and once: a champion promoted meanwhile is the next run's.
    @functools.cache
    def scoring() -> ScoringRun:
        registry = home_registry()
        model, chosen = loaded(registry, args.model), checked_reader(registry, reader)
        return from_flags(ScoringRun, args, model=model, reader=chosen)

    def night(dt: str) -> None:
        load(warehouse, dt, loading)
        score(warehouse, dt, scoring(), highest=bool(args.dt))
        report(warehouse, dt, home_registry())

    if args.dt:
        night(args.dt)
    else:
        each(days, None, night)


def parser() -> Parser:
    """The command line."""
    example = "night --dt 2026-11-09 --input stream/dt=2026-11-09.jsonl.gz"
    several = "--from 2026-11-09 --to 2026-11-15 --input 'stream/dt={dt}.jsonl.gz'"
    flags = job_parser(__doc__, example, f".venv/bin/opinion night {several}")
    add_days(flags, "the day of the input", "all days from this one on …", "… to this one, also those done before")
    add_options(flags, Loading)
    flags.add_argument("--model", default="champion", help="champion, or a version of the registry")
    add_options(flags, ScoringRun)
    add_options(flags, ReaderOptions)
    return flags


if __name__ == "__main__":
    run_main(main)
