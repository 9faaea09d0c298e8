"""Score one day: raw_opinion(dt) -> opinion_score, valid_complaint, rejected_opinion and the audit in scoring_run.

Rows read = scored + rejected, checked before anything is published. A second run of a day replaces the first.
"""

from distill.errors import BadInput
from jobs.common.cli import Parser, job_parser
from jobs.common.days import add_days, days_of, each
from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.common.options import add_options, from_flags
from jobs.scoring.scoring_flags import ReaderOptions, ScoringRun


def main() -> None:
    """Choose the model, score the day or days, print the summary."""
    args = parser().parse_args()
    days = days_of(args)
    if args.force and args.dt:
        raise BadInput("--force goes with --from and --to: a day that --dt names is scored in any case")
    ScoringRun.check(args.sample)
    reader = from_flags(ReaderOptions, args)
    # Late: Spark and numba take a second, which --help and a wrong flag need not wait for.
    from jobs.steps.score_day import is_scored, loaded, score
    from jobs.steps.second_reading import checked_reader
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    # Read once: a champion that is promoted during the run scores the next one.
    model = loaded(home_registry(), args.model)
    scoring = from_flags(ScoringRun, args, model=model, reader=checked_reader(home_registry(), reader))
    warehouse = Warehouse(spark_session("score_opinions"), args.database)
    if args.dt:
        score(warehouse, args.dt, scoring)
    else:
        is_done = None if args.force else lambda dt: is_scored(warehouse, dt, model, scoring.reader)
        each(days, is_done, lambda dt: score(warehouse, dt, scoring, highest=False))


def parser() -> Parser:
    """The command line."""
    flags = job_parser(__doc__, "score_opinions --dt 2026-11-09")
    to = "… to this one, where it is not done already"
    add_days(flags, "the day to score, loaded by load_opinions before", "score all days from this one on …", to)
    flags.add_argument("--force", action="store_true", help="with --from and --to: days that are done, too")
    flags.add_argument("--model", default="champion", help="champion, or a version of the registry")
    add_options(flags, ScoringRun)
    add_options(flags, ReaderOptions)
    return flags


if __name__ == "__main__":
    run_main(main)
