"""Load a day of the opinion stream into raw_opinion(dt); lines that are not records go to rejected_opinion.

Every input line ends in exactly one of the two: lines read = rows stored + rejected, checked before anything is
published. A second load of a day replaces the first. An input with mostly rejected lines is refused (docs/inputs.md).
"""

from jobs.common.cli import Parser, job_parser
from jobs.common.days import add_days, each
from jobs.common.failures import run_main
from jobs.common.options import add_options
from jobs.ingest.load_flags import Loading, days_and_loading


def main() -> None:
    """Load the day or days, say what was counted."""
    args = parser().parse_args()
    days, loading = days_and_loading(args)
    # Late: Spark takes time, which --help and a wrong flag need not wait for.
    from jobs.steps.load_day import load
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    warehouse = Warehouse(spark_session("load_opinions"), args.database)
    if args.dt:
        load(warehouse, args.dt, loading)
    else:
        each(days, None, lambda dt: load(warehouse, dt, loading))


def parser() -> Parser:
    """The command line."""
    example = "load_opinions --dt 2026-11-09 --input stream/dt=2026-11-09.jsonl.gz"
    several = "--from 2026-11-09 --to 2026-11-15 --input 'stream/dt={dt}.jsonl.gz'"
    flags = job_parser(__doc__, example, f".venv/bin/opinion load_opinions {several}")
    add_days(
        flags,
        "the day of the input",
        "load all days from this one on …",
        "… to this one, also those loaded before",
    )
    add_options(flags, Loading)
    return flags


if __name__ == "__main__":
    run_main(main)
